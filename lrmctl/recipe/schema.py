"""What a recipe may say. Pydantic models, one sentence under each field; unknown keys are refused.

Words are the field's own, not the backend's. This file knows no files, no line numbers and no torch.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lrmctl.types import Kind, Part

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Positive = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """Base of every section: frozen, and a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Use(Section):
    """A plugin by name with its options."""

    use: str
    """Registered name, e.g. `lab` (see `lrmctl plugin list`)."""
    options: dict[str, Any] = {}
    """Keyword arguments of the plugin's factory."""


class BackendSection(Section):
    name: str = "openrlhf"
    """Registered backend."""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """`auto` takes CUDA where torch sees a GPU, else CPU."""
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """`auto` is bf16 on CUDA and fp32 on CPU. fp32 exists on CPU only."""
    gpus: Positive = 1
    """GPUs of the actor (SFT: of the job)."""
    flags: dict[str, Any] = {}
    """The backend's own flags, without the leading dashes, for what the recipe has no word for."""


class Optimizer(Section):
    learning_rate: Annotated[float, Field(gt=0)] = 1e-6
    warmup_ratio: Annotated[float, Field(ge=0, le=1)] = 0.05
    schedule: Literal["constant", "cosine"] = "cosine"
    """Both start with a linear warm-up; cosine ends at a tenth of the peak."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    micro_batch_size: Positive = 8
    """Sequences per forward and backward pass on one device."""
    zero_stage: Annotated[int, Field(ge=0, le=3)] = 2


class Component(Section):
    """One term of a composed reward."""

    use: str
    """Registered reward."""
    name: str | None = None
    """Name in the logs; the reward's own name by default."""
    options: dict[str, Any] = {}
    part: Part = "whole"
    """What is scored."""
    weight: float = 1.0
    when: tuple[Kind, ...] | Kind | None = None
    """Prompt kinds that this component applies to; all by default."""


class RewardSection(Section):
    components: Annotated[tuple[Component, ...], Field(min_length=1)]
    """A rollout's reward is the sum of weight x score over the components that apply to its prompt's kind."""
    on_failure: Literal["abort", "neutral"] = "abort"
    """A component that fails ends the run, or its rollout gets `neutral_value` and is counted."""
    neutral_value: float = 0.0
    max_failure_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    """With `neutral`: above this share of failed rollouts the run ends all the same."""

    @model_validator(mode="after")
    def _unique(self) -> RewardSection:
        names = [c.name or c.use for c in self.components]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"two components are logged as {sorted(twice)[0]!r}; give one of them a `name:`")
        return self


class Kl(Section):
    coef: Annotated[float, Field(ge=0)] = 0.0
    """0 trains without a reference model."""
    estimator: Literal["k1", "k2", "k3"] = "k3"
    place: Literal["loss", "reward"] = "loss"


class Algorithm(Section):
    name: Literal["grpo"] = "grpo"
    """grpo: advantages are rewards minus the group's mean, over the group's standard deviation."""
    steps: Positive = 80
    prompts_per_step: Positive = 16
    samples_per_prompt: Annotated[int, Field(ge=2)] = 8
    clip_low: Annotated[float, Field(gt=0)] = 0.2
    clip_high: Annotated[float, Field(gt=0)] = 0.2
    kl: Kl = Kl()


class Rollout(Section):
    max_new_tokens: Positive = 4096
    temperature: Annotated[float, Field(gt=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0


class Rejection(Section):
    """Rejection-sampling fine-tuning: sample from the base, keep what the reward accepts, imitate that."""

    prompts: Annotated[tuple[Use, ...], Field(min_length=1)]
    reward: RewardSection
    samples_per_prompt: Positive = 8
    rollout: Rollout = Rollout()
    keep_at_least: float = 1.0
    """A sample is kept if its reward is at least this."""
    max_per_prompt: Positive | None = None
    """Keep at most this many samples of one prompt (the first ones)."""


class SftData(Section):
    """Where demonstrations come from: named sources, or the base's own samples filtered by a reward."""

    sources: tuple[Use, ...] = ()
    rejection: Rejection | None = None
    max_len: Positive = 8192
    """Tokens of prompt + response; longer rows are dropped and counted."""

    @model_validator(mode="after")
    def _one(self) -> SftData:
        if bool(self.sources) == (self.rejection is not None):
            raise ValueError("say exactly one of `sources:` and `rejection:`")
        return self


class Train(Section):
    epochs: Positive = 3
    batch_size: Positive = 16
    """Sequences per optimizer step."""


class _Recipe(Section):
    name: Name
    description: str = ""
    seed: int = 0


class SftRecipe(_Recipe):
    kind: Literal["sft"]
    model: str
    """`lab:tiny`, a local folder, a hub id, or `run:NAME`."""
    data: SftData
    train: Train = Train()
    optimizer: Optimizer = Optimizer()
    backend: BackendSection = BackendSection()


class RlRecipe(_Recipe):
    kind: Literal["rl"]
    model: str
    prompts: Annotated[tuple[Use, ...], Field(min_length=1)]
    reward: RewardSection
    algorithm: Algorithm = Algorithm()
    rollout: Rollout = Rollout()
    optimizer: Optimizer = Optimizer()
    save_every: Positive | None = None
    """Steps between checkpoints that `--resume` can start from; none by default."""
    max_len: Positive = 8192
    """Tokens of prompt + response."""
    backend: BackendSection = BackendSection()


class SafetySet(Use):
    """One safety or over-refusal benchmark and its judge."""

    judge: str = "lab"
    judge_options: dict[str, Any] = {}


class EvalSection(Section):
    safety: tuple[SafetySet, ...] = ()
    """Benchmarks judged in thinking and in answer."""
    reasoning: tuple[str, ...] = ()
    """lm-evaluation-harness tasks, e.g. `lab_arithmetic`."""
    temperatures: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (0.6, 1.0)
    samples: Positive = 4
    """Samples per prompt and temperature."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_new_tokens: Positive = 4096
    batch_size: Positive = 64
    limit: Positive | None = None
    """At most this many prompts of each set."""


class EvalRecipe(_Recipe):
    kind: Literal["eval"]
    model: str
    evaluation: EvalSection


class AnalysisSection(Section):
    lexicons: tuple[str, ...] = ("cyclicreflex", "lab")
    entropy: bool = True
    """Exact token entropy of thinking, in nats, from a forward pass with the model's own logits at T=1."""
    max_traces: Positive = 512
    """Traces per prompt kind that the entropy pass reads."""


class Arm(Section):
    name: Name
    recipe: str
    """Shipped recipe name or a file; its `model:` is replaced by the study's base."""
    label: str = ""
    """What the report calls it."""
    control: bool = False
    """A control is set apart in the report."""
    set: dict[str, Any] = {}
    """Overrides, as with `--set`."""


class StudyRecipe(_Recipe):
    kind: Literal["study"]
    base: str = "lab:tiny"
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    evaluation: EvalSection
    analysis: AnalysisSection = AnalysisSection()
    jobs: Positive = 2
    """Arms trained or evaluated side by side."""

    @model_validator(mode="after")
    def _unique(self) -> StudyRecipe:
        names = ["base", *(a.name for a in self.arms)]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"two arms are called {sorted(twice)[0]!r} (`base` is taken)")
        return self


Recipe = Annotated[SftRecipe | RlRecipe | EvalRecipe | StudyRecipe, Field(discriminator="kind")]
AnyRecipe = SftRecipe | RlRecipe | EvalRecipe | StudyRecipe
