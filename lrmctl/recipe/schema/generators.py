"""What a recipe may say of the engine that completes prompts in an evaluation. Knows no engine and starts none.

`engine: hf` is short for `engine: {use: hf}`. Engines that answer judges have options of their own
(`lrmctl.recipe.schema.engine_options`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lrmctl.recipe.schema.sections import Positive, PositiveFloat, Section, Share

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]


class HfGenerator(Section):
    """transformers, in this process."""

    use: Literal["hf"] = "hf"
    dtype: Dtype = "auto"
    """`auto` is float32 on CPU and bfloat16 on CUDA."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or one GPU, e.g. `cuda:1`."""


class VllmGenerator(Section):
    """vLLM, in this process; it has to be installed."""

    use: Literal["vllm"] = "vllm"
    dtype: Dtype = "auto"
    """`auto` is what the checkpoint says."""
    memory: Annotated[Share, Field(gt=0)] = 0.9
    """Share of the GPU's memory for weights and cache (vLLM's `gpu_memory_utilization`)."""
    tensor_parallel: Positive = 1
    """GPUs that share one copy of the model."""
    max_len: Positive | None = None
    """Tokens of prompt and completion together; what the model allows by default."""
    options: dict[str, Any] = {}
    """Further keyword arguments of `vllm.LLM`."""


class OpenAiGenerator(Section):
    """One or several servers of one model that speak OpenAI's API: vLLM, SGLang, llama.cpp, TGI, or a vendor's."""

    use: Literal["openai"] = "openai"
    base_url: Url | Annotated[tuple[Url, ...], Field(min_length=1)]
    """Address up to and with the version, e.g. `http://node1:8000/v1`; a list shares the work out."""
    model: str = ""
    """The name that the servers know the model by; by default the model that the evaluation is given."""
    api: Literal["chat", "completions"] = "chat"
    """chat: the server renders the prompt; completions: lrmctl does, with the tokenizer (needed by decoding modes)."""
    tokenizer: str | None = None
    """Folder or hub id of the model's tokenizer: renders prompts, counts tokens, and shows of a template whether it
    opens the thought, so that a thought cut by the length limit is known for one."""
    revision: str = ""
    """Which weights the server has, in your own words; part of what completions are stored under."""
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Name of the environment variable that holds the key. Never the key itself: recipes are stored and shared."""
    concurrency: Positive = 32
    """Requests on their way at the same time, to each server."""
    timeout: PositiveFloat = 1800.0
    """Seconds that the server may be silent on one request; long thoughts take long."""
    patience: Annotated[float, Field(ge=0)] = 45.0
    """Seconds for which a server may be down, busy or broken before a completion counts as failed."""
    requests_per_minute: Positive | None = None
    """Most requests started within a minute; no limit by default."""
    extra_body: dict[str, Any] = {}
    """Keys put over those of each request; `null` leaves a key out. Sent are model, temperature, top_p, top_k if it is
    set, max_tokens, seed and n: a server may take its model's own defaults for others (vLLM does, unless it is served
    with `--generation-config vllm`)."""


def _by_name(given: Any) -> Any:
    if isinstance(given, str):
        return {"use": given}
    return {"use": "hf", **given} if isinstance(given, dict) else given


GeneratorOptions = Annotated[
    HfGenerator | VllmGenerator | OpenAiGenerator, Field(discriminator="use"), BeforeValidator(_by_name)
]
"""An engine by name, or a mapping with `use:`."""
