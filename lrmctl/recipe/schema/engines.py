"""Schema of engine options, for the evaluated model, a judge or a reward. Starts no engine.

`engine: hf` is short for `engine: {use: hf}`. An unknown key is rejected with a suggestion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationError, WithJsonSchema, model_validator

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.recipe.schema.sections import Positive, PositiveFloat, Section, Share

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]


class HfOptions(Section):
    """transformers, in this process or in one worker process per GPU."""

    reads_weights: ClassVar[bool] = True

    use: Literal["hf"] = "hf"
    dtype: Dtype = "auto"
    """`auto` is float32 on CPU and bfloat16 on CUDA."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or one GPU, e.g. `cuda:1`. Same as a judge's option `device`."""
    workers: Positive | Literal["auto"] = "auto"
    """Processes that share the completions, each with the whole model; never changes what is stored. `auto`: one for
    each GPU that this process sees, one without any or if `device` names one. 1 for a judge."""
    trust_remote_code: bool = False
    """Run the Python code in the model's folder. Read that code first."""

    @model_validator(mode="after")
    def _one_device_for_one_worker(self) -> HfOptions:
        if isinstance(self.workers, int) and self.workers > 1 and ":" in self.device:
            raise ValueError(
                f"{self.workers} workers, and `device: {self.device}` names one GPU: say `workers: 1`, or"
                " `device: cuda` and choose the GPUs with the environment variable CUDA_VISIBLE_DEVICES"
            )
        return self


class VllmOptions(Section):
    """vLLM, in this process; must be installed."""

    reads_weights: ClassVar[bool] = True

    use: Literal["vllm"] = "vllm"
    dtype: Dtype = "auto"
    """`auto` is the checkpoint's dtype."""
    memory: Annotated[Share, Field(gt=0)] = 0.9
    """Share of the GPU's memory for weights and cache (vLLM's `gpu_memory_utilization`); 0.3 for a judge."""
    tensor_parallel: Positive = 1
    """GPUs that share one copy of the model."""
    max_len: Positive | None = None
    """Tokens of prompt and completion together; the model's limit by default."""
    top_logprobs: Annotated[int, Field(ge=1, le=1000)] = 20
    """For probability-based judges: number of most likely first tokens requested; other tokens have no probability."""
    options: dict[str, Any] = {}
    """Further keyword arguments of `vllm.LLM`."""
    trust_remote_code: bool = False
    """Run the Python code in the model's folder. Read that code first."""


class OpenAiOptions(Section):
    """One or more servers of one model with an OpenAI-compatible API: vLLM, SGLang, llama.cpp, TGI, or a vendor's."""

    reads_weights: ClassVar[bool] = False

    use: Literal["openai"] = "openai"
    base_url: Url | Annotated[tuple[Url, ...], Field(min_length=1)]
    """Address including the version, e.g. `http://node1:8000/v1`; a list distributes requests among the servers."""
    model: str = ""
    """The servers' name of the model; by default the model given to the evaluation or judge."""
    api: Literal["chat", "completions"] = "chat"
    """chat: the server renders the prompt; completions: lrmctl does, with the tokenizer (needed by decoding modes)."""
    tokenizer: str | None = None
    """Folder or hub id of the model's tokenizer: renders prompts, counts tokens, and reveals whether the chat template
    opens the thinking, so that truncated thinking is recognized."""
    revision: str = ""
    """Free-text label of the server's weights; part of the key under which completions are stored."""
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Name of the environment variable that holds the key. Never the key itself: recipes are stored and shared."""
    concurrency: Positive = 32
    """Concurrent requests of this process to each server."""
    timeout: PositiveFloat = 1800.0
    """Seconds without a response after which a request fails; long thinking takes long. 60 for a judge."""
    patience: Annotated[float, Field(ge=0)] = 45.0
    """Seconds that a server may be down, busy or failing before requests to it fail; 0 disables retries."""
    requests_per_minute: Positive | None = None
    """Most requests started per minute; no limit by default."""
    top_logprobs: Annotated[int, Field(ge=1, le=100)] = 20
    """For probability-based judges: number of most likely first tokens requested (OpenAI allows 20, `/completions`
    often 5)."""
    extra_body: dict[str, Any] = {}
    """Keys that override those of each request; `null` removes a key, e.g. `{max_tokens: null}`. Evaluations send
    model, temperature, top_p, top_k if set, max_tokens, seed and n; judges only model, temperature and max_tokens. For
    the rest a server may use its model's defaults (vLLM does, unless served with `--generation-config vllm`)."""


_PluginName = Annotated[str, WithJsonSchema({"type": "string", "not": {"enum": ["hf", "vllm", "openai"]}})]


class PluginEngineOptions(Section):
    """An engine from a plugin."""

    reads_weights: ClassVar[bool] = False

    use: _PluginName
    """Registered name (see `lrmctl plugin list engine`)."""
    options: dict[str, Any] = {}
    """Keyword arguments of the plugin's factory."""

    @model_validator(mode="before")
    @classmethod
    def _options_are_in_a_mapping(cls, given: Any) -> Any:
        if isinstance(given, dict) and (odd := [key for key in given if key not in cls.model_fields]):
            name = given.get("use")
            hint = did_you_mean(str(name), _ENGINES) or "its options are under `options:`"
            raise ValueError(f"the engine {name!r} is not built in and has no key {odd[0]!r}; {hint}")
        return given


EngineOptions = HfOptions | VllmOptions | OpenAiOptions | PluginEngineOptions
_ENGINES: dict[str, type[EngineOptions]] = {"hf": HfOptions, "vllm": VllmOptions, "openai": OpenAiOptions}
ENGINE_ARGUMENTS = ("model", "rendering", "batch_size")
"""What a factory of engines is given besides the recipe's options."""
JUDGE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "hf": {"workers": 1},
    "vllm": {"memory": 0.3},
    "openai": {"timeout": 60.0},
}
"""Different defaults for a judge's engine, which may run next to a model in training and replies briefly."""


def _by_name(given: Any) -> Any:
    if isinstance(given, str):
        return {"use": given}
    return {"use": "hf", **given} if isinstance(given, dict) else given


def _which(given: Any) -> str:
    use = given.get("use") if isinstance(given, dict) else getattr(given, "use", None)
    return use if isinstance(use, str) and use in _ENGINES else "plugin"


_Engine = Annotated[
    Annotated[HfOptions, Tag("hf")]
    | Annotated[VllmOptions, Tag("vllm")]
    | Annotated[OpenAiOptions, Tag("openai")]
    | Annotated[PluginEngineOptions, Tag("plugin")],
    Discriminator(_which),
]
EngineSection = Annotated[
    _Engine, BeforeValidator(_by_name, json_schema_input_type=Literal["hf", "vllm"] | _PluginName | _Engine)
]
"""The engine of an evaluation, by name or as a mapping with `use:`."""


def judge_engine_options(engine: str | Mapping[str, Any]) -> EngineOptions:
    """Validated engine options of a judge or reward, from a name or a mapping with `use:`.

    Raises:
        RecipeError: an unknown engine or key, or an invalid value.
    """
    return engine_options(engine, JUDGE_DEFAULTS)


def engine_options(engine: str | Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]] = {}) -> EngineOptions:
    """The same of any engine; `defaults` are by engine, for keys that are not given."""
    given = {"use": engine} if isinstance(engine, str) else engine
    if not isinstance(given, Mapping):
        raise RecipeError(f"an engine is a name or a mapping, not {engine!r}", "engine", "say `engine: hf`")
    given = {"use": "hf", **given}
    if (name := str(given["use"])) not in _ENGINES:
        return _of_a_plugin(name, given)
    section = _ENGINES[name]
    for key in given:
        if key not in section.model_fields:
            raise RecipeError(_unknown(name, str(key)), f"engine.{key}", did_you_mean(str(key), section.model_fields))
    try:
        return section.model_validate({**defaults.get(name, {}), **given})
    except ValidationError as error:
        raise _misfit(name, error) from None


def is_built_in(name: str) -> bool:
    """Whether lrmctl itself has an engine of this name, whose options are keys of the section."""
    return name in _ENGINES


def check_plugin_engine(name: str, options: Mapping[str, Any]) -> None:
    """Raises RecipeError for a name that no plugin registers, or for options that its factory refuses."""
    from lrmctl.hooks import registry

    if taken := [key for key in ENGINE_ARGUMENTS if key in options]:
        raise RecipeError(f"the engine {name!r} gets {taken[0]!r} from lrmctl", f"engine.options.{taken[0]}")
    try:
        registry.check("engine", name, {**dict.fromkeys(ENGINE_ARGUMENTS), **options})
    except NotFoundError as error:
        raise RecipeError(error.what, "engine.use", error.fix) from None


def _of_a_plugin(name: str, given: Mapping[str, Any]) -> PluginEngineOptions:
    try:
        found = PluginEngineOptions.model_validate(dict(given))
    except ValidationError as error:
        raise _misfit(name, error) from None
    check_plugin_engine(name, found.options)
    return found


def _unknown(name: str, key: str) -> str:
    if key in ("api_key", "key", "token"):
        return f"the engine {name!r} takes no key: name the environment variable that holds it as `api_key_env`"
    return f"the engine {name!r} has no option {key!r}"


def _misfit(name: str, error: ValidationError) -> RecipeError:
    found = error.errors(include_url=False, include_input=False)
    first = found[0]
    if not first["loc"]:
        return RecipeError(first["msg"].removeprefix("Value error, "), "engine")
    key = str(first["loc"][0])
    if first["type"] == "missing":
        return RecipeError(
            f"the engine {name!r} needs the option {key!r}", f"engine.{key}", f"add `{key}:` to the engine"
        )
    steps = first["loc"] if len(found) == 1 else (key,)  # several: the branches of a union, which are no keys
    where = ".".join(str(step) for step in ("engine", *steps))
    told = dict.fromkeys(each["msg"] for each in found if each["loc"][:1] == first["loc"][:1])
    return RecipeError(f"the engine {name!r} does not take this {key}: {', or '.join(told)}", where)
