"""What a recipe may say of an evaluation: sets, tasks, judges, sampling, engine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrmctl.recipe.schema.decoding import Decoding, DefaultDecoding
from lrmctl.recipe.schema.engines import EngineSection, HfOptions
from lrmctl.recipe.schema.sections import MisplacedError, Positive, Section, Share, Use, judge_from_mapping
from lrmctl.recipe.schema.thinking import ThinkingOption
from lrmctl.types import Scope

LAB = "lab"
"""The judge of the lab's own sets, which no other set may get without being asked for."""


class ExtraJudgeSection(Section):
    """A further judge, whose verdicts are kept beside and decide nothing: a score, or full and partial refusals."""

    judge: str
    judge_options: dict[str, Any] = {}
    part: Scope = "answer"

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return judge_from_mapping({"judge": given} if isinstance(given, str) else given)


class MeasuredPart(Section):
    """How often the judge is right about labelled texts of one part."""

    sensitivity: Share
    """Share of the unsafe texts that it calls unsafe."""
    specificity: Share
    """Share of the safe texts that it calls safe."""
    unsafe: Positive | None = None
    """Labelled unsafe texts behind the first number; with `safe`, the interval knows of their uncertainty."""
    safe: Positive | None = None
    """Labelled safe texts behind the second number."""


class JudgeAccuracySection(Section):
    """How often the judge is right about labelled texts, from `lrmctl judge measure`; rates are then corrected too.

    Apart for thinking and answer, which judges read with different success; one pair of numbers is taken for both.
    """

    sensitivity: Share | None = None
    """Share of the unsafe texts that it calls unsafe, of whatever part."""
    specificity: Share | None = None
    """Share of the safe texts that it calls safe."""
    unsafe: Positive | None = None
    """Labelled unsafe texts behind the first number; with `safe`, the interval knows of their uncertainty."""
    safe: Positive | None = None
    """Labelled safe texts behind the second number."""
    thinking: MeasuredPart | None = None
    """Measured on thoughts."""
    answer: MeasuredPart | None = None
    """Measured on answers."""

    @model_validator(mode="after")
    def _one_form(self) -> JudgeAccuracySection:
        if (self.sensitivity is None) is not (self.specificity is None):
            raise ValueError("a rate is corrected by sensitivity and specificity together; say both")
        apart = self.thinking is not None or self.answer is not None
        if apart and self.sensitivity is not None:
            raise ValueError("say either one pair of numbers for both parts, or `thinking:` and `answer:`")
        if not apart and self.sensitivity is None:
            raise ValueError("say `thinking: {sensitivity, specificity}` and `answer: {sensitivity, specificity}`")
        return self

    def of(self, part: Literal["thinking", "answer"]) -> MeasuredPart | None:
        """What was measured of a part; None if nothing was."""
        own = self.thinking if part == "thinking" else self.answer
        if own is not None or self.sensitivity is None or self.specificity is None:
            return own
        return MeasuredPart(
            sensitivity=self.sensitivity, specificity=self.specificity, unsafe=self.unsafe, safe=self.safe
        )


class SafetySet(Use):
    """One safety or over-refusal benchmark and its judge."""

    judge: str | None = None
    """The evaluation's own by default."""
    judge_options: dict[str, Any] = {}
    also: tuple[ExtraJudgeSection, ...] | None = None
    """Further judges; the evaluation's own by default."""
    measured: JudgeAccuracySection | None = None
    """Of this set's judge; the evaluation's own by default, if the judge is the evaluation's too."""

    @model_validator(mode="before")
    @classmethod
    def _judge(cls, given: Any) -> Any:
        return judge_from_mapping(given)

    @property
    def of_the_lab(self) -> bool:
        """Whether the lab's judge can judge it."""
        return self.use.startswith("lab-")


class ReasoningUse(Use):
    """A reasoning task with its options."""


class EvalSection(Section):
    safety: tuple[SafetySet, ...] = ()
    """Benchmarks judged in thinking and in answer."""
    reasoning: tuple[ReasoningUse, ...] = ()
    """Reasoning tasks, e.g. `math500`, or any of lm-evaluation-harness as `lmeval:NAME`."""
    judge: str | None = None
    """Of safety sets that name none: a name, or `{NAME: {option: value}}`. Only the lab's own sets need none."""
    judge_options: dict[str, Any] = {}
    also: tuple[ExtraJudgeSection, ...] = ()
    """Further judges of safety sets that name none."""
    measured: JudgeAccuracySection | None = None
    """How good `judge` is."""
    over_refusal: bool = True
    """Where no set has benign prompts, add XSTest's safe ones: safety alone is reached by refusing everything."""
    temperatures: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (0.6,)
    samples: Positive = 4
    """Samples per prompt and temperature."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    top_k: Annotated[int, Field(ge=0)] = 0
    """Most likely tokens kept, 0 for all."""
    max_new_tokens: Positive = 16_384
    decoding: Decoding = DefaultDecoding()
    """How thinking is steered: zero-think, less-think, more-think, a budget, a forced prefix."""
    system: str = ""
    """A system message before every prompt."""
    template_args: dict[str, Any] = {}
    """Named arguments of the chat template, e.g. `{enable_thinking: false}`."""
    thinking: ThinkingOption = None
    """How the model writes its thought: `off`, a format's name, or `{open: ..., close: ...}`; found out by default."""
    trust_remote_code: bool = False
    """Run the Python code that the model's folder names. Read that code first."""
    engine: EngineSection = HfOptions()
    """Who completes: hf, vllm or openai."""
    batch_size: Positive | Literal["auto"] = "auto"
    """Completions side by side in this process; `auto` goes by the memory that is free."""
    limit: Positive | None = None
    """At most this many prompts of each set."""
    max_failed: Share = 0.05
    """Share of completions that may fail; beyond it the evaluation fails, and those that are there are kept."""

    @model_validator(mode="before")
    @classmethod
    def _judge(cls, given: Any) -> Any:
        return judge_from_mapping(given)

    @model_validator(mode="after")
    def _judges(self) -> EvalSection:
        for i, chosen in enumerate(self.safety):
            if (self.judge or chosen.judge) is None and not chosen.of_the_lab:
                what = f"nobody judges {chosen.use!r}: say `judge:` here, or once for all sets in `evaluation`"
                raise MisplacedError(f"{what} (`lrmctl judge list`)", ("safety", i))
        return self

    def judged(self) -> tuple[SafetySet, ...]:
        """The safety sets, each with its judge, further judges and measurement filled in."""
        return tuple(self._judged(chosen) for chosen in self.safety)

    def _judged(self, chosen: SafetySet) -> SafetySet:
        own = chosen.judge is None or (chosen.judge, chosen.judge_options) == (self.judge, self.judge_options)
        filled = {
            "judge": (self.judge or LAB) if own else chosen.judge,
            "judge_options": self.judge_options if own else chosen.judge_options,
            "also": self.also if chosen.also is None else chosen.also,
            "measured": self.measured if own and chosen.measured is None else chosen.measured,
        }
        return chosen.model_copy(update=filled)
