"""Schema of an evaluation: benchmarks, tasks, judges, sampling, engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrmctl.recipe.schema.decoding import Decoding, DefaultDecoding
from lrmctl.recipe.schema.engines import EngineSection, HfOptions
from lrmctl.recipe.schema.sections import (
    BY_NAME,
    JudgeName,
    MisplacedError,
    Positive,
    Section,
    Share,
    Use,
    judge_from_mapping,
)
from lrmctl.recipe.schema.thinking import ThinkingOption
from lrmctl.types import Scope

FITTED = "fitted"
"""The judge that `lrmctl judge fit` writes: it brings its accuracy with it."""
LAB = "lab"
"""The judge of the lab's benchmarks, which is never the default of any other benchmark."""


class ExtraJudgeSection(Section):
    """An additional judge whose verdicts are recorded but decide nothing: a score, or full and partial refusals."""

    other_forms = BY_NAME

    judge: JudgeName
    """A judge's name, or `{NAME: {option: value}}`."""
    judge_options: dict[str, Any] = {}
    """Keyword arguments of the judge."""
    part: Scope = "answer"
    """What it judges."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return judge_from_mapping({"judge": given} if isinstance(given, str) else given)


class MeasuredPart(Section):
    """The judge's accuracy on labelled texts of one part."""

    sensitivity: Share
    """Share of unsafe texts judged unsafe."""
    specificity: Share
    """Share of safe texts judged safe."""
    unsafe: Positive | None = None
    """Number of labelled unsafe texts; with `safe`, the interval includes the uncertainty of both rates."""
    safe: Positive | None = None
    """Number of labelled safe texts."""


class JudgeAccuracySection(Section):
    """The judge's accuracy on labelled texts, from `lrmctl judge measure`; adds corrected rates.

    Separate for thinking and answers, because a judge's accuracy differs; one pair of numbers applies to both.
    `{from: FOLDER}` takes them from the cross-validation of a judge that `lrmctl judge fit` wrote there.
    """

    other_forms = (
        {
            "type": "object",
            "properties": {"from": {"type": "string", "description": "Folder of a judge that `judge fit` wrote."}},
            "required": ["from"],
            "additionalProperties": False,
        },
    )

    sensitivity: Share | None = None
    """Share of unsafe texts judged unsafe, for both parts."""
    specificity: Share | None = None
    """Share of safe texts judged safe, for both parts."""
    unsafe: Positive | None = None
    """Number of labelled unsafe texts; with `safe`, the interval includes the uncertainty of both rates."""
    safe: Positive | None = None
    """Number of labelled safe texts."""
    thinking: MeasuredPart | None = None
    """Measured on thinking."""
    answer: MeasuredPart | None = None
    """Measured on answers."""

    @model_validator(mode="before")
    @classmethod
    def _from_manifest(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "from" not in given:
            return given
        if len(given) > 1 or not isinstance(given["from"], str):
            raise ValueError("`from` takes the folder of a fitted judge, and stands alone")
        return _cross_validated(Path(given["from"]).expanduser() / "judge.json")

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
        """The accuracy measured for a part; None if not measured."""
        own = self.thinking if part == "thinking" else self.answer
        if own is not None or self.sensitivity is None or self.specificity is None:
            return own
        return MeasuredPart(
            sensitivity=self.sensitivity, specificity=self.specificity, unsafe=self.unsafe, safe=self.safe
        )


def _cross_validated(manifest: Path) -> Any:
    """The measured accuracy in the manifest of a fitted judge."""
    try:
        measured = json.loads(manifest.read_bytes())["measured"]
    except (OSError, ValueError, LookupError, TypeError):
        raise ValueError(f"there is no fitted judge's manifest at {str(manifest)[:200]!r}") from None
    if not measured:
        raise ValueError(f"{manifest} has no accuracy of a judge of safety: it is fitted on another label")
    return measured


def _of_refusals(manifest: Path) -> Any:
    """Accuracy of a judge of refusals where unsafe means not refused: the negatives are the unsafe texts."""
    try:
        scores = json.loads(manifest.read_bytes())["held_out"]
        rates = {"sensitivity": scores["specificity"]["value"], "specificity": scores["sensitivity"]["value"]}
        counts = {"unsafe": scores["tn"] + scores["fp"], "safe": scores["tp"] + scores["fn"]}
    except (OSError, ValueError, LookupError, TypeError):
        raise ValueError(f"there is no fitted judge's manifest at {str(manifest)[:200]!r}") from None
    return {"answer": {**rates, **counts}}


def _own_accuracy(options: dict[str, Any]) -> JudgeAccuracySection | None:
    """What the folders of a fitted judge say of its accuracy; None if none does, or cannot be read."""
    folders = options.get("folder")
    for folder in [folders] if isinstance(folders, str) else folders or ():
        try:
            if options.get("unsafe_unless_refused"):
                return JudgeAccuracySection.model_validate(_of_refusals(Path(folder).expanduser() / "judge.json"))
            return JudgeAccuracySection.model_validate({"from": folder})
        except ValueError:  # fitted on another label; a folder that is not there is the judge's own error
            continue
    return None


class SafetySet(Use):
    """One safety or over-refusal benchmark and its judge."""

    judge: JudgeName | None = None
    """The evaluation's judge by default."""
    judge_options: dict[str, Any] = {}
    """Keyword arguments of this benchmark's judge."""
    also: tuple[ExtraJudgeSection, ...] | None = None
    """Additional judges; the evaluation's by default."""
    measured: JudgeAccuracySection | None = None
    """Accuracy of this benchmark's judge; the evaluation's if the judge is the same, or a fitted judge's own."""

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
    """What a model is evaluated on, who judges, how completions are sampled."""

    safety: tuple[SafetySet, ...] = ()
    """Benchmarks, judged on thinking and answer."""
    reasoning: tuple[ReasoningUse, ...] = ()
    """Reasoning tasks, e.g. `math500`, or any of lm-evaluation-harness as `lmeval:NAME`."""
    judge: JudgeName | None = None
    """Judge of benchmarks that name none: a name, or `{NAME: {option: value}}`. Only the lab's benchmarks need none."""
    judge_options: dict[str, Any] = {}
    """Keyword arguments of `judge`."""
    also: tuple[ExtraJudgeSection, ...] = ()
    """Additional judges of benchmarks that name none."""
    measured: JudgeAccuracySection | None = None
    """Accuracy of `judge`; a fitted judge brings its own."""
    over_refusal: bool = True
    """If no benchmark has benign prompts, add XSTest's safe ones: a model can look safe by refusing everything."""
    temperatures: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (0.6,)
    """Sampling temperatures, each with all samples; 0 is greedy, with one sample."""
    samples: Positive = 4
    """Samples per prompt and temperature."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Nucleus sampling: total probability of the tokens to sample from."""
    top_k: Annotated[int, Field(ge=0)] = 0
    """Number of most likely tokens to sample from, 0 for all."""
    max_new_tokens: Positive = 16_384
    """Most tokens of a completion, its thinking included."""
    decoding: Decoding = DefaultDecoding()
    """Control of thinking: zero-think, less-think, more-think, a budget, a forced prefix."""
    system: str = ""
    """A system message before every prompt."""
    template_args: dict[str, Any] = {}
    """Keyword arguments of the chat template, e.g. `{enable_thinking: false}`."""
    thinking: ThinkingOption = None
    """The model's thinking format: `off`, a name, or `{open: ..., close: ...}`; detected by default."""
    trust_remote_code: bool = False
    """Run the Python code in the model's folder. Read that code first."""
    engine: EngineSection = HfOptions()
    """Generation engine: hf, vllm or openai."""
    batch_size: Positive | Literal["auto"] = "auto"
    """Completions generated in parallel in this process; `auto` depends on free memory."""
    limit: Positive | None = None
    """Most prompts per benchmark."""
    max_failed: Share = 0.05
    """Share of completions that may fail; above it the evaluation fails, and finished completions are kept."""

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
        """The benchmarks, each with its judge, additional judges and judge accuracy filled in."""
        return tuple(self._judged(chosen) for chosen in self.safety)

    def _judged(self, chosen: SafetySet) -> SafetySet:
        own = chosen.judge is None or (chosen.judge, chosen.judge_options) == (self.judge, self.judge_options)
        filled = {
            "judge": (self.judge or LAB) if own else chosen.judge,
            "judge_options": self.judge_options if own else chosen.judge_options,
            "also": self.also if chosen.also is None else chosen.also,
            "measured": self.measured if own and chosen.measured is None else chosen.measured,
        }
        if filled["measured"] is None and filled["judge"] == FITTED:
            filled["measured"] = _own_accuracy(self.judge_options if own else chosen.judge_options)
        return chosen.model_copy(update=filled)
