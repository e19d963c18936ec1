"""Schema sections shared by several kinds of recipe: plugins by name, where a job runs, the optimizer.

Keys use the field's standard terms, not the backend's. One sentence under each field documents it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Positive = Annotated[int, Field(gt=0, le=100_000_000)]
MOST_ROWS = 10_000_000
"""Most rows that a recipe may write for its trainer, because they are built in memory."""
PositiveFloat = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class MisplacedError(ValueError):
    """A validation error that is reported at one key of the section.

    Attributes:
        at: key path within the section being validated.
    """

    def __init__(self, what: str, at: tuple[str | int, ...]) -> None:
        super().__init__(what)
        self.at = at


def _kinds(annotation: Any) -> set[Any]:
    """The innermost types in an annotation."""
    inner = get_args(annotation)
    return {annotation} if not inner else {kind for one in inner for kind in _kinds(one)}


class Section(BaseModel):
    """Base of every section: frozen; unknown keys are errors."""

    other_forms: ClassVar[tuple[dict[str, Any], ...]] = ()
    """JSON Schemas of what else a validator of the section takes, e.g. just a name; `True` as the schema of a key means
    that of the section itself."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, values: Any) -> Any:
        for key, value in values.items() if isinstance(values, dict) else ():
            several = value if isinstance(value, (list, tuple)) else (value,)
            if key in cls.model_fields and any(isinstance(v, bool) for v in several):
                kinds = _kinds(cls.model_fields[key].annotation)
                if kinds & {int, float} and not kinds & {bool, Any}:
                    raise MisplacedError("is a number, not true or false", (key,))
        return values


@contextmanager
def error_at(*at: str | int) -> Iterator[None]:
    """Report a ValueError raised inside at this key instead of the whole section."""
    try:
        yield
    except ValueError as error:
        raise MisplacedError(str(error), at) from None


def judge_from_mapping(given: Any) -> Any:
    """Convert `judge: {NAME: {option: value}}` to `judge:` and `judge_options:`; return anything else unchanged.

    Raises:
        MisplacedError: the mapping does not name exactly one judge, or options are given in two places.
    """
    if not isinstance(given, Mapping) or not isinstance(judge := given.get("judge"), Mapping):
        return given
    if judge.keys() <= {"use", "options"} and isinstance(judge.get("use"), str):
        judge = {judge["use"]: judge.get("options")}
    name, options = next(iter(judge.items()), (None, None))
    if len(judge) != 1 or not isinstance(name, str) or not isinstance(options, Mapping | None):
        raise MisplacedError("one judge: its name, or `{NAME: {option: value}}`", ("judge",))
    if options and given.get("judge_options"):
        raise MisplacedError("the judge's options are said here and in `judge_options:`; say them once", ("judge",))
    return {**given, "judge": name, "judge_options": dict(options or given.get("judge_options") or {})}


_TEXT: dict[str, Any] = {"type": "string"}
BY_NAME: tuple[dict[str, Any], ...] = (_TEXT,)
"""A section that may be written as just a name."""
_OPTIONS = {"type": ["object", "null"]}
JudgeName = Annotated[
    str,
    WithJsonSchema(
        {
            "anyOf": [
                _TEXT,
                {
                    "title": "{use: NAME, options: {...}}",
                    "type": "object",
                    "properties": {"use": _TEXT, "options": _OPTIONS},
                    "required": ["use"],
                    "additionalProperties": False,
                },
                {
                    "title": "{NAME: {option: value}}",
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": _OPTIONS,
                },
            ]
        }
    ),
]
"""A judge in a section that `judge_from_mapping` prepares."""


class Use(Section):
    """A plugin by name with its options; just the name if it needs none."""

    other_forms: ClassVar[tuple[dict[str, Any], ...]] = BY_NAME

    use: str
    """Registered name, e.g. `lab` (see `lrmctl plugin list`)."""
    options: dict[str, Any] = {}
    """Keyword arguments of the plugin's factory."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"use": given} if isinstance(given, str) else given


class SourceUse(Use):
    """A data source; `run:NAME` is the result of `lrmctl data build`."""

    @model_validator(mode="before")
    @classmethod
    def _of_a_run(cls, given: Any) -> Any:
        named = given.get("use") if isinstance(given, dict) else given
        if not isinstance(named, str) or not named.startswith("run:"):
            return given
        rest = given if isinstance(given, dict) else {}
        options = rest.get("options")
        if not isinstance(options, dict | None):
            return given
        return {**rest, "use": "run", "options": {"name": named.removeprefix("run:"), **(options or {})}}


class Mixed(SourceUse):
    """A data source in a mixture."""

    weight: PositiveFloat | None = None
    """This source's share of the rows, relative to the other weights; without weights every row is used once."""


class PromptSource(Mixed):
    """A source of prompts."""

    template_args: dict[str, Any] = {}
    """Chat template arguments for these rows, added to the recipe's: e.g. `{enable_thinking: false}` for rows without
    thinking in a mixture."""
    system: str | None = None
    """A system message before these prompts, instead of the recipe's; empty for none."""


class SftSource(PromptSource):
    """A source of demonstrations."""

    loss_weight: PositiveFloat = 1.0
    """Weight of these rows in the loss. A row of a file may have its own `loss_weight`: a number, one for each part
    (`{thinking: 0.5, answer: 1.0}`), or one for each token of the response."""


def all_weighted_or_none(sources: Sequence[Mixed]) -> None:
    """Raises ValueError if only some sources of a mixture have a weight."""
    without = [s.use for s in sources if s.weight is None]
    if 0 < len(without) < len(sources):
        raise ValueError(f"the source {without[0]!r} has no weight and others have; give all one, or none")


class BackendSection(Section):
    """The trainer, and what it is given besides the recipe; just its name if that is all."""

    other_forms: ClassVar[tuple[dict[str, Any], ...]] = BY_NAME

    name: str = "openrlhf"
    """Name of a registered backend."""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """`auto` is CUDA if torch sees a GPU, else CPU."""
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """`auto` is bf16 on CUDA and fp32 on CPU. fp32 is CPU only."""
    flags: dict[str, Any] = {}
    """The backend's own flags, without the leading dashes, for settings without a recipe key."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given


class Layout(Section):
    """How many GPUs each role runs on. On CPU each role is one process."""

    nodes: Positive = 1
    """Nodes of the actor (SFT, preference: of the job)."""
    gpus: Positive = 1
    """GPUs of the actor on each node (SFT, preference: of the job)."""
    placement: Literal["colocated", "separate"] = "colocated"
    """RL. colocated: all roles take turns on the same GPUs; separate: each role has its own."""
    rollout_gpus: Positive | None = None
    """RL, separate: GPUs of all rollout engines together; as many as the actor's by default."""
    reference_gpus: Positive | None = None
    """RL, separate: GPUs per node of the reference model; as many as the actor's by default."""
    critic_gpus: Positive | None = None
    """RL, separate: GPUs per node of the critic (PPO); as many as the actor's by default."""
    tensor_parallel: Positive = 1
    """RL: GPUs per rollout engine."""
    gpu_type: str | None = None
    """GPU that the memory estimate is compared with, e.g. `H100-80GB` (`lrmctl train --dry-run` lists them)."""


LauncherName = Annotated[str, WithJsonSchema({"anyOf": [{"enum": ["local", "ray", "slurm"]}, {"type": "string"}]})]


class Launch(Section):
    """How a job is started. Not part of the recipe hash: a resumed run may be launched in another way."""

    via: LauncherName = "local"
    """local: a subprocess; ray: a job on a running Ray cluster; slurm: a batch script through sbatch; or the name of a
    plugin's launcher."""
    address: str | None = None
    """ray: address of the cluster's dashboard, e.g. `http://head:8265`; RAY_API_SERVER_ADDRESS by default."""
    reward_host: str | None = None
    """Host name or address at which other nodes reach the reward service; this machine's by default."""
    options: dict[str, Any] = {}
    """slurm: sbatch options without dashes, e.g. `{partition: gpu, time: "12:00:00"}`; ray: the job's runtime_env; of a
    plugin's launcher: its own."""
    setup: tuple[str, ...] = ()
    """slurm: shell lines to run before the job, e.g. `module load cuda`."""


class Lora(Section):
    """Train low-rank adapters instead of all weights; not for RL."""

    rank: Positive = 16
    """Rank of the adapters' matrices."""
    alpha: Positive = 32
    """The adapters' output is scaled by `alpha` / `rank`."""
    dropout: Share = 0.0
    """Dropout on the input of the adapters."""
    targets: tuple[str, ...] = ("all-linear",)
    """Modules that get an adapter."""


class Optimizer(Section):
    """AdamW, its schedule, and how a step is spread over memory and devices."""

    learning_rate: PositiveFloat = 1e-6
    """Peak learning rate."""
    warmup_ratio: Share = 0.05
    """Share of the optimizer steps in which the learning rate grows to its peak."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Both start with a linear warm-up; cosine ends at `min_lr_ratio` of the peak."""
    min_lr_ratio: Share = 0.1
    """cosine: final learning rate as a share of the peak."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay."""
    betas: tuple[Share, Share] = (0.9, 0.95)
    """Adam's beta parameters."""
    max_grad_norm: PositiveFloat = 1.0
    """Gradients with a larger norm are scaled down to it."""
    micro_batch_size: Positive = 8
    """Sequences (preference: pairs of them) per forward and backward pass on one device."""
    zero_stage: Annotated[int, Field(ge=0, le=3)] = 2
    """What DeepSpeed's ZeRO shards: 1 optimizer states, 2 gradients too, 3 weights too."""
    offload: bool = False
    """Keep optimizer states in host memory."""
    gradient_checkpointing: bool = True
    """Recompute activations in the backward pass. No effect on CPU."""
    packing: bool = True
    """Pack sequences without padding; needs flash attention. No effect on CPU."""
    dynamic_batch_tokens: Positive | None = None
    """RL: micro-batches of about this many tokens per GPU instead of `micro_batch_size` sequences; needs packing."""
    sequence_parallel: Positive = 1
    """GPUs that share one sequence (ring attention); needs packing."""
    lora: Lora | None = None

    @model_validator(mode="after")
    def _fits(self) -> Optimizer:
        if self.schedule != "cosine" and self.min_lr_ratio != type(self).model_fields["min_lr_ratio"].default:
            raise MisplacedError("only cosine has this; say `schedule: cosine`, or leave it out", ("min_lr_ratio",))
        return self


class RecipeHeader(Section):
    """What every recipe has."""

    name: Name
    """Name of the run's folder, unless `--name` says another."""
    description: str = ""
    """What the recipe does, in one line for lists and reports."""
    trackers: tuple[Use, ...] = ()
    """Trackers that hear what happens in the run, e.g. `[mlflow]` after `pip install lrmctl-mlflow`; they are no part
    of what the run is. In a study each arm's recipe names its own."""
    requires: tuple[str, ...] = ()
    """Distributions that must be installed, e.g. `["lrmctl-reward-brevity>=0.2"]`; no part of what the run is. In a
    study each arm's recipe names its own."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of everything that is random: the order of rows, sampling, the trainer."""

    @field_validator("requires")
    @classmethod
    def _requirements(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        from lrmctl._util.requirement import parse_requirement

        for text in given:
            parse_requirement(text)
        return given
