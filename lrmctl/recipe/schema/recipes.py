"""Recipe schema: pydantic models with one sentence under each field; unknown keys are rejected.

Keys use the field's standard terms, not the backend's. Knows no files, no line numbers and no torch.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from lrmctl.recipe.function_ref import FunctionRef
from lrmctl.recipe.schema.algorithm import Algorithm, RlRollout, RolloutSection, TrainingEval
from lrmctl.recipe.schema.build import Build, DataSampling, KeptSamples, check_build
from lrmctl.recipe.schema.engines import EngineSection, HfOptions
from lrmctl.recipe.schema.evaluation import EvalSection
from lrmctl.recipe.schema.loss_weights import LossWeights
from lrmctl.recipe.schema.offline import OfflineData
from lrmctl.recipe.schema.offline import OfflineRecipe as OfflineRecipe
from lrmctl.recipe.schema.preference import PreferenceRecipe as PreferenceRecipe
from lrmctl.recipe.schema.prefill import Prefill, check_shares
from lrmctl.recipe.schema.sections import (
    BY_NAME,
    MOST_ROWS,
    BackendSection,
    Launch,
    Layout,
    MisplacedError,
    Mixed,
    Optimizer,
    Positive,
    PromptSource,
    RecipeHeader,
    Section,
    SftSource,
    Share,
    SourceUse,
    all_weighted_or_none,
    error_at,
    judge_from_mapping,
)
from lrmctl.recipe.schema.study import StudyRecipe as StudyRecipe
from lrmctl.recipe.schema.thinking import ThinkingOption
from lrmctl.types import Kind, Scope


def _check_clip(clip: tuple[float, float] | None) -> None:
    """Raises ValueError if the lower bound is not below the upper one."""
    if clip is not None and clip[0] >= clip[1]:
        raise ValueError(f"the lower bound {clip[0]:g} is not below the upper one {clip[1]:g}; say [low, high]")


class Component(Section):
    """One term of a composed reward."""

    other_forms = BY_NAME

    use: str | None = None
    """Name of a registered reward."""
    fn: str | None = None
    """Instead of `use`: a Python function, e.g. `./my_reward.py:score`; the path is relative to the recipe."""
    name: str | None = None
    """Name in the logs; by default the reward's, or for a function called `score` its file's."""
    options: dict[str, Any] = {}
    """Keyword arguments of the reward's factory, or of the function."""
    part: Scope = "whole"
    """What is scored; `both` is the lower score of thinking and answer, `segments` the lowest of thinking segments."""
    weight: float = 1.0
    """A component with weight 0 is only logged."""
    when: tuple[Kind, ...] | Kind | None = None
    """Prompt kinds that this component applies to; all by default."""
    clip: tuple[float, float] | None = None
    """Lowest and highest score, before the weight."""
    gate: Literal["multiply", "veto"] | None = None
    """Instead of adding the score: `multiply` multiplies the sum by it, `veto` replaces the sum if it is too low."""
    below: float = 0.5
    """With `gate: veto`: a score below this vetoes."""
    otherwise: float = 0.0
    """With `gate: veto`: the rollout's reward after a veto."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"use": given}
        if isinstance(given, dict) and isinstance(options := given.get("options"), dict):
            with error_at("options"):
                return {**given, "options": judge_from_mapping(options)}
        return given

    @model_validator(mode="after")
    def _fits(self) -> Component:
        if (self.use is None) == (self.fn is None):
            raise ValueError("say exactly one of `use:` (a registered reward) and `fn:` (a function in a file)")
        if self.fn is not None:
            with error_at("fn"):
                FunctionRef.parse(self.fn)
        with error_at("clip"):
            _check_clip(self.clip)
        if self.gate is not None and self.weight != 1:
            raise MisplacedError("a gate is not added up, so that its weight has no effect; leave it out", ("weight",))
        for word in ("below", "otherwise"):  # compared by value, because a resolved recipe has all defaults filled in
            if self.gate != "veto" and getattr(self, word) != type(self).model_fields[word].default:
                raise MisplacedError("only a veto has this; say `gate: veto`, or leave it out", (word,))
        return self

    @property
    def label(self) -> str:
        """The component's name in the logs."""
        return self.name or self.use or FunctionRef.parse(str(self.fn)).label

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Prompt kinds that the component applies to."""
        when = self.when
        return get_args(Kind) if when is None else (when,) if isinstance(when, str) else when


class RewardServiceSection(Section):
    """Performance settings of the reward service; scores do not depend on them, unless samples of a group are lost."""

    window: Annotated[float, Field(ge=0, le=1)] = 0.003
    """Seconds that the first rollout of a batch waits for others."""
    max_batch: Positive = 64
    """Most rollouts scored in one call."""
    workers: Positive = 1
    """Scoring processes; each loads the judges' models."""
    time_limit: Annotated[float, Field(gt=0, le=170)] = 60.0
    """Seconds after which scoring a rollout is terminated and counts as failed. OpenRLHF waits 180."""
    group_wait: Annotated[float, Field(gt=0, le=680)] = 600.0
    """Seconds that rewards which compare the samples of a prompt wait for the last one, from the first one on; then the
    samples that have come are compared. OpenRLHF gives up after about 900."""
    cache_mb: Annotated[float, Field(ge=0)] = 256
    """Size of the verdict cache in MB; 0 disables it."""
    fsync: bool = False
    """Call fsync after every rollout row; without it a power cut, but not a kill, may lose the last rows."""


class RewardSection(Section):
    """A reward composed of several components, and what happens when one fails."""

    components: Annotated[tuple[Component, ...], Field(min_length=1)]
    """A rollout's reward is the sum of weight x score over the components that apply to its prompt's kind."""
    on_failure: Literal["abort", "neutral"] = "abort"
    """When a component fails: end the run, or count the rollout and give it the mean reward of the samples that it is
    compared with, so that nothing is learned from it."""
    max_failure_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    """With `neutral`: the run still ends above this share of failed rollouts."""
    clip: tuple[float, float] | None = None
    """Lowest and highest reward of a rollout, before normalization."""
    normalise: Literal["kind", "component-group"] | None = None
    """`kind`: normalize rewards to mean 0 and standard deviation 1 per prompt kind, over the rollouts seen so far.
    `component-group`: normalize the scores of each component among the samples of a prompt, then add them (GDPO)."""
    service: RewardServiceSection = RewardServiceSection()

    @model_validator(mode="before")
    @classmethod
    def _no_constant(cls, data: Any) -> Any:
        if isinstance(data, dict) and "neutral_value" in data:
            why = "no constant is neutral among the samples of a prompt: a failed rollout gets their mean"
            raise MisplacedError(f"{why}; leave it out", ("neutral_value",))
        return data

    @model_validator(mode="after")
    def _unique(self) -> RewardSection:
        names = [c.label for c in self.components]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"two components are logged as {sorted(twice)[0]!r}; give one of them a `name:`")
        return self

    @model_validator(mode="after")
    def _adds_up(self) -> RewardSection:
        added = [c for c in self.components if c.gate is None]
        if not any(c.weight for c in added):
            why = "every component has weight 0" if added else "gates alone add up to nothing"
            raise MisplacedError(f"{why}: add a component with a weight and without `gate:`", ("components",))
        with error_at("clip"):
            _check_clip(self.clip)
        for i, c in enumerate(self.components):
            if c.gate == "veto" and self.clip and not self.clip[0] <= c.otherwise <= self.clip[1]:
                what = f"{c.otherwise:g} lies outside of the reward's clip [{self.clip[0]:g}, {self.clip[1]:g}]"
                raise MisplacedError(what, ("components", i, "otherwise"))
        return self

    @model_validator(mode="after")
    def _normalises(self) -> RewardSection:
        if self.normalise == "component-group":
            why = "`normalise: component-group` normalizes each component by itself"
            if self.clip is not None:
                raise MisplacedError(f"{why}, before there is a sum to clip; clip the components", ("clip",))
            for i, c in enumerate(self.components):
                if c.gate is not None:
                    what = f"{why}, and a gate is applied to the sum of raw scores; leave one of the two out"
                    raise MisplacedError(what, ("components", i, "gate"))
        return self

    @property
    def uncovered(self) -> tuple[Kind, ...]:
        """Prompt kinds whose reward is always 0, because no summed component applies to them."""
        covered = {kind for c in self.components if c.gate is None and c.weight for kind in c.kinds}
        return tuple(kind for kind in get_args(Kind) if kind not in covered)

    def kinds(self, name: str) -> tuple[Kind, ...]:
        """Prompt kinds that a component applies to; all kinds for `reward`.

        Raises:
            ValueError: no component is logged under this name.
        """
        if name == "reward":
            return get_args(Kind)
        for component in self.components:
            if component.label == name:
                return component.kinds
        known = ", ".join(c.label for c in self.components)
        raise ValueError(f"no reward component is called {name!r}; there are: {known}, reward")


class Rejection(Section):
    """Rejection-sampling fine-tuning: SFT on the base model's own samples that the reward accepts."""

    prompts: Annotated[tuple[SourceUse, ...], Field(min_length=1)]
    """Sources of the prompts to sample from."""
    reward: RewardSection
    """Decides which samples are kept."""
    samples_per_prompt: Positive = 8
    """Samples of each prompt."""
    rollout: RolloutSection = RolloutSection()
    engine: EngineSection = HfOptions()
    """Engine that samples: hf, vllm or openai."""
    keep_at_least: float = 1.0
    """A sample is kept if its reward is at least this."""
    max_per_prompt: Positive | None = None
    """Keep at most this many samples of one prompt (the first)."""

    @model_validator(mode="after")
    def _has_no_advantages(self) -> Rejection:
        if self.reward.normalise == "component-group":
            what = "`keep_at_least` is compared with raw rewards, and those of a group always have mean 0; leave it out"
            raise MisplacedError(what, ("reward", "normalise"))
        return self


class SftData(OfflineData):
    """Source of demonstrations: named sources, or the base model's own samples filtered by a reward."""

    sources: tuple[SftSource, ...] = ()
    rejection: Rejection | None = None
    turns: Literal["last", "all"] = "last"
    """In conversations: train on the last response only, or on one row per response."""
    loss_weights: LossWeights = LossWeights()
    """Weights of the tokens in the loss."""

    @model_validator(mode="after")
    def _one(self) -> SftData:
        if bool(self.sources) == (self.rejection is not None):
            raise ValueError("say exactly one of `sources:` and `rejection:`")
        with error_at("sources"):
            all_weighted_or_none(self.sources)
        return self


class SftRecipe(OfflineRecipe):
    """Supervised fine-tuning on demonstrations, or on the model's own samples that a reward accepts."""

    kind: Literal["sft"]
    """`sft`: supervised fine-tuning."""
    data: SftData


class RlRecipe(RecipeHeader):
    """Reinforcement learning with a composed reward."""

    kind: Literal["rl"]
    """`rl`: reinforcement learning."""
    model: str
    """The model that training starts from: `lab:tiny`, a local folder, a hub id, or `run:NAME`."""
    trust_remote_code: bool = False
    """Run the Python code in the model's folder, here and in the trainer. Read that code first."""
    template_args: dict[str, Any] = {}
    """Keyword arguments of the chat template that the policy is trained with, e.g. `{enable_thinking: false}`; a source
    of prompts may add its own."""
    system: str = ""
    """A system message before prompts that have none; a source of prompts may have its own."""
    thinking: ThinkingOption = None
    """The model's thinking format: a name, two markers, or `off`; detected from the template by default."""
    prompts: Annotated[tuple[PromptSource, ...], Field(min_length=1)]
    """Sources of prompts."""
    prefill: tuple[Prefill, ...] = ()
    """Thoughts that a share of the rollouts begins with, as in RECAP (arXiv 2510.00938)."""
    reward: RewardSection
    algorithm: Algorithm = Algorithm()
    rollout: RlRollout = RlRollout()
    evaluation: TrainingEval | None = None
    """Evaluation during training."""
    optimizer: Optimizer = Optimizer()
    save_every: Positive | None = None
    """Steps between checkpoints that `--resume` can start from; none by default."""
    max_len: Positive = 8192
    """Tokens of prompt + response."""
    layout: Layout = Layout()
    launch: Launch = Launch()
    backend: BackendSection = BackendSection()

    @model_validator(mode="after")
    def _mixture(self) -> RlRecipe:
        asked = self.algorithm.steps * self.algorithm.prompts_per_step
        if asked > MOST_ROWS:
            what = f"steps x prompts_per_step are {asked:,} prompts; at most {MOST_ROWS:,} are planned in one run"
            raise MisplacedError(what, ("algorithm", "steps"))
        with error_at("prompts"):
            all_weighted_or_none(self.prompts)
        with error_at("prefill"):
            check_shares(self.prefill)
        if self.reward.normalise == "component-group":
            self._check_normalising()
        if self.evaluation is not None:
            with error_at("evaluation", "prompts"):
                all_weighted_or_none(self.evaluation.prompts)
            with error_at("evaluation", "best"):
                self.reward.kinds(self.evaluation.best or "reward")
        if self.algorithm.dynamic_filtering is not None:
            with error_at("algorithm", "dynamic_filtering", "of"):
                self.reward.kinds(self.algorithm.dynamic_filtering.of)
        return self

    def _check_normalising(self) -> None:
        """Raises MisplacedError where advantages would undo `normalise: component-group`."""
        algorithm = self.algorithm
        if algorithm.name == "grpo":
            why = "grpo divides by the group's standard deviation again, which undoes `normalise: component-group`"
            fix = (
                "say `name: reinforce_pp`, which divides by the batch's as GDPO does, or dr_grpo, which does not divide"
            )
            raise MisplacedError(f"{why}; {fix}", ("algorithm", "name"))
        if algorithm.samples_per_prompt < 2:
            what = "`normalise: component-group` compares the samples of a prompt, and there is one; say at least 2"
            raise MisplacedError(what, ("algorithm", "samples_per_prompt"))
        if algorithm.truncated_penalty is not None and algorithm.truncated_penalty >= 0:
            what = "a factor improves negative rewards, and about half of normalized rewards are; say a number below 0"
            raise MisplacedError(what, ("algorithm", "truncated_penalty"))


class EvalRecipe(RecipeHeader):
    """An evaluation of a model's safety and reasoning."""

    kind: Literal["eval"]
    """`eval`: evaluate a model."""
    model: str
    """The model that it is written for; `lrmctl eval MODEL --recipe RECIPE` says which one is evaluated."""
    evaluation: EvalSection


class Keep(KeptSamples):
    """Which samples become rows; what is dropped is counted by reason."""

    reward: RewardSection | None = None
    """A sample is kept if its reward is at least `at_least`."""


class DataRecipe(RecipeHeader):
    """Training data made by sampling from a model, judging, and keeping what passes."""

    kind: Literal["data"]
    """`data`: build training data."""
    model: str
    """As for an evaluation: `lab:tiny`, a folder, a hub id, `run:NAME`, or a model's name on a server."""
    trust_remote_code: bool = False
    """Run the Python code in the model's folder. Read that code first."""
    template_args: dict[str, Any] = {}
    """Keyword arguments of the chat template, e.g. `{enable_thinking: true}`."""
    thinking: ThinkingOption = None
    """The model's thinking format: `off`, a name, or two markers; detected by default."""
    engine: EngineSection = HfOptions()
    """Engine that samples: hf, vllm or openai."""
    batch_size: Positive | Literal["auto"] = "auto"
    """Completions generated in parallel in this process; `auto` depends on free memory."""
    prompts: tuple[Mixed, ...] = ()
    """Sources of prompts; builders with `of:` have their own."""
    sampling: DataSampling = DataSampling()
    build: Build
    """What is made of the prompts or rows: one of the builders, with its options."""
    keep: Keep = Keep()
    max_failed: Share = 0.05
    """Share of completions, and of verdicts of each judge, that may fail; finished ones are kept in any case."""

    @model_validator(mode="after")
    def _fits(self) -> DataRecipe:
        with error_at("prompts"):
            all_weighted_or_none(self.prompts)
        check_build(self.build, bool(self.prompts), len(self.keep.judges), self.keep.reward is not None, self.keep)
        return self


Recipe = Annotated[
    SftRecipe | PreferenceRecipe | RlRecipe | EvalRecipe | StudyRecipe | DataRecipe, Field(discriminator="kind")
]
AnyRecipe = SftRecipe | PreferenceRecipe | RlRecipe | EvalRecipe | StudyRecipe | DataRecipe
