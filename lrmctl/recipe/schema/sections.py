"""Sections that recipes of several kinds share: plugins by name, where a job runs, the optimizer.

Words are the field's own, not the backend's. One sentence under each field says what it means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Positive = Annotated[int, Field(gt=0, le=100_000_000)]
MOST_ROWS = 10_000_000
"""Rows that a recipe may write for its trainer: they are made in memory."""
PositiveFloat = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class MisplacedError(ValueError):
    """What is wrong between keys, told of one of them.

    Attributes:
        at: key path below the section that is checked.
    """

    def __init__(self, what: str, at: tuple[str | int, ...]) -> None:
        super().__init__(what)
        self.at = at


def _kinds(annotation: Any) -> set[Any]:
    """The plain types in an annotation."""
    inner = get_args(annotation)
    return {annotation} if not inner else {kind for one in inner for kind in _kinds(one)}


class Section(BaseModel):
    """Base of every section: frozen, and a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

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
    """A ValueError from inside is about this key, not about the whole section."""
    try:
        yield
    except ValueError as error:
        raise MisplacedError(str(error), at) from None


def judge_from_mapping(given: Any) -> Any:
    """`judge: {NAME: {option: value}}` as `judge:` and `judge_options:`, as `--judge` takes it; all else as it is.

    Raises:
        MisplacedError: a mapping that names no judge or several, or options in two places.
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


class Use(Section):
    """A plugin by name with its options; the name alone where it needs none."""

    use: str
    """Registered name, e.g. `lab` (see `lrmctl plugin list`)."""
    options: dict[str, Any] = {}
    """Keyword arguments of the plugin's factory."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"use": given} if isinstance(given, str) else given


class Mixed(Use):
    """A data source in a mixture."""

    weight: PositiveFloat | None = None
    """This source's share of the rows, relative to the other weights; without weights every row is taken once."""


class SftSource(Mixed):
    """A source of demonstrations."""

    template_args: dict[str, Any] = {}
    """Arguments of the chat template for these rows, beside the recipe's: `{enable_thinking: false}` for rows without
    thinking in a mixture."""


def all_weighted_or_none(sources: Sequence[Mixed]) -> None:
    """Raises ValueError if only some sources of a mixture have a weight."""
    without = [s.use for s in sources if s.weight is None]
    if 0 < len(without) < len(sources):
        raise ValueError(f"the source {without[0]!r} has no weight and others have; give all one, or none")


class BackendSection(Section):
    name: str = "openrlhf"
    """Registered backend."""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """`auto` takes CUDA where torch sees a GPU, else CPU."""
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """`auto` is bf16 on CUDA and fp32 on CPU. fp32 exists on CPU only."""
    flags: dict[str, Any] = {}
    """The backend's own flags, without the leading dashes, for what the recipe has no word for."""


class Layout(Section):
    """Which role runs on how many GPUs. On CPU everything is one process per role."""

    nodes: Positive = 1
    """Machines of the actor (SFT: of the job)."""
    gpus: Positive = 1
    """GPUs of the actor on each node (SFT: of the job)."""
    placement: Literal["colocated", "separate"] = "colocated"
    """RL. colocated: all roles take turns on the same GPUs and sleep in between; separate: each has its own."""
    rollout_gpus: Positive | None = None
    """RL, separate: GPUs of all rollout engines together; as many as the actor's by default."""
    reference_gpus: Positive | None = None
    """RL, separate: GPUs per node of the reference model; as many as the actor's by default."""
    critic_gpus: Positive | None = None
    """RL, separate: GPUs per node of the critic (PPO); as many as the actor's by default."""
    tensor_parallel: Positive = 1
    """RL: GPUs of one rollout engine."""
    gpu_type: str | None = None
    """Named GPU that the memory estimate is held against, e.g. `H100-80GB` (`lrmctl train --dry-run` lists them)."""


class Launch(Section):
    """How a job is started. Not part of what a run is: a resumed run may be launched in another way."""

    via: Literal["local", "ray", "slurm"] = "local"
    """local: a subprocess; ray: a job on a running Ray cluster; slurm: a batch script through sbatch."""
    address: str | None = None
    """ray: the dashboard of the cluster, e.g. `http://head:8265`; RAY_API_SERVER_ADDRESS by default."""
    reward_host: str | None = None
    """Host name or address under which other nodes reach the reward service; this machine's own by default."""
    options: dict[str, Any] = {}
    """slurm: sbatch options without dashes, e.g. `{partition: gpu, time: "12:00:00"}`; ray: the job's runtime_env."""
    setup: tuple[str, ...] = ()
    """slurm: shell lines that come before the job, e.g. `module load cuda`."""


class Lora(Section):
    """Low-rank adapters in place of all weights. SFT only."""

    rank: Positive = 16
    alpha: Positive = 32
    dropout: Share = 0.0
    targets: tuple[str, ...] = ("all-linear",)
    """Modules that get an adapter."""


class Optimizer(Section):
    learning_rate: PositiveFloat = 1e-6
    warmup_ratio: Share = 0.05
    schedule: Literal["constant", "cosine"] = "cosine"
    """Both start with a linear warm-up; cosine ends at `min_lr_ratio` of the peak."""
    min_lr_ratio: Share = 0.1
    """cosine: the learning rate of the last step as a share of the peak; 0 goes down to nothing."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[Share, Share] = (0.9, 0.95)
    """Adam's."""
    max_grad_norm: PositiveFloat = 1.0
    micro_batch_size: Positive = 8
    """Sequences per forward and backward pass on one device."""
    zero_stage: Annotated[int, Field(ge=0, le=3)] = 2
    """What DeepSpeed's ZeRO shards: 1 optimizer states, 2 gradients too, 3 weights too."""
    offload: bool = False
    """Optimizer states in host memory."""
    gradient_checkpointing: bool = True
    """Activations are computed again in the backward pass. Has no effect on CPU."""
    packing: bool = True
    """Sequences are packed without padding, which needs flash attention. Has no effect on CPU."""
    dynamic_batch_tokens: Positive | None = None
    """RL: micro-batches of about this many tokens per GPU in place of `micro_batch_size` sequences; needs packing."""
    sequence_parallel: Positive = 1
    """GPUs that share one sequence (ring attention); needs packing."""
    lora: Lora | None = None

    @model_validator(mode="after")
    def _fits(self) -> Optimizer:
        if self.schedule != "cosine" and self.min_lr_ratio != type(self).model_fields["min_lr_ratio"].default:
            raise MisplacedError("only cosine has this; say `schedule: cosine`, or leave it out", ("min_lr_ratio",))
        return self
