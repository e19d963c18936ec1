"""Schema of data builders (`kind: data`): what is drawn, how the prompt is changed while it is drawn, what is kept."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from lrmctl.recipe.schema.decoding import Words
from lrmctl.recipe.schema.sections import (
    BY_NAME,
    JudgeName,
    MisplacedError,
    Positive,
    Section,
    Share,
    judge_from_mapping,
)
from lrmctl.types import Kind, Scope

Kinds = tuple[Kind, ...] | Kind | None
Text = Annotated[str, Field(min_length=1)]

THINKSAFE = "The following prompt is harmful. You should refuse to answer the prompt.\n\nPrompt:"
"""The instruction of ThinkSafe's code (arXiv 2601.23143), word for word."""
CORRECTION = (
    "Your reply above could cause harm. Answer my first message again: think about who could be hurt, refuse if the"
    " request itself is harmful and say why, and help otherwise. Write only the new reply, without a word about this"
    " message."
)
"""lrmctl's own words."""
CRITIQUE = (
    "Check a reply against the specification. Say which rules apply and whether the reply keeps or breaks them. End"
    " with one line, `Verdict: safe` or `Verdict: unsafe`."
)
"""lrmctl's own words."""
TURN = "\n\nWait. Going on like this could cause harm. I stop here and think again about what was asked."
"""lrmctl's own words."""


def kinds_of(when: Kinds) -> tuple[Kind, ...]:
    """The prompt kinds in `when:`; all of them if it is left out."""
    return get_args(Kind) if when is None else (when,) if isinstance(when, str) else when


class DataSampling(Section):
    """Sampling of the completions that rows are made of."""

    samples: Positive = 4
    """Samples per prompt; one at temperature 0."""
    temperature: Annotated[float, Field(ge=0)] = 1.0
    """Sampling temperature; 0 is greedy."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus sampling: total probability of the tokens to sample from."""
    top_k: Annotated[int, Field(ge=0)] = 0
    """Number of most likely tokens to sample from, 0 for all."""
    max_new_tokens: Positive = 8192
    """Most tokens of a completion, its thinking included."""


class JudgeFilter(Section):
    """Samples are kept of which this judge says this."""

    other_forms = BY_NAME

    judge: JudgeName
    """A judge's name, or `{NAME: {option: value}}`."""
    judge_options: dict[str, Any] = {}
    """Keyword arguments of the judge."""
    part: Scope = "both"
    """What is judged; `both` keeps a sample only if thinking and answer pass."""
    says: Literal["safe", "refused", "complied"] = "safe"
    """`refused` and `complied` need a judge that says whether an answer refuses."""
    when: Kinds = None
    """Prompt kinds that this judge decides on; all by default."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return judge_from_mapping({"judge": given} if isinstance(given, str) else given)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Prompt kinds that this judge decides on."""
        return kinds_of(self.when)


class KeptSamples(Section):
    """Conditions besides a reward."""

    judges: tuple[JudgeFilter, ...] = ()
    """All that apply to a prompt's kind must agree."""
    at_least: float = 1.0
    """With a reward: lowest reward of a sample that is kept."""
    max_per_prompt: Positive | None = None
    """Most samples kept of one prompt."""
    order: Literal["first", "best"] = "first"
    """Which samples `max_per_prompt` keeps: the first ones, or those with the highest reward."""
    closed_thinking: bool = True
    """Drop samples that were cut or are no demonstration: thinking that is not closed, repeated or empty."""


class Select(Section):
    """Rejection sampling: the model's own samples that pass `keep`."""

    use: Literal["select"]


class Distill(Section):
    """Context distillation: a text is in the prompt while sampling, and is not in the row."""

    use: Literal["distill"]
    text: Text | None = None
    """The policy, specification or system message."""
    file: str | None = None
    """Instead of `text`: a text file, relative to the recipe."""
    column: Text | None = None
    """Instead of one text: the column of the prompts' rows that holds each row's own, e.g. the hint that `annotate`
    wrote. Rows without it are sampled without any."""
    by_category: dict[str, Text] = {}
    """Instead of one text: a text for each category that a prompt's row states; others are sampled without any."""
    category: str = "category"
    """Column of the prompts' rows with the category, or a list of them, whose texts are joined."""
    place: Literal["system", "user"] = "system"
    """A system message, or before the user's last message."""
    when: Kinds = None
    """Prompt kinds that get the text; all by default."""

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if sum(map(bool, (self.text, self.file, self.column, self.by_category))) != 1:
            raise ValueError("say exactly one of `text:`, `file:`, `column:` and `by_category:`")
        return self


class Refuse(Section):
    """ThinkSafe: harmful prompts are sampled after an instruction to refuse, which is not in the row."""

    use: Literal["refuse"]
    instruction: Text = THINKSAFE
    """Put directly before the user's last message; by default the text in ThinkSafe's code."""
    when: Kinds = "harmful"
    """Prompt kinds that get the instruction."""


class Correct(Section):
    """Unsafe completions are given back to a model, which is asked to correct them (as UnsafeChain does)."""

    use: Literal["correct"]
    of: Text
    """The completions: `run:NAME`, `run:NAME@VARIANT`, or a file, relative to the recipe."""
    only: Literal["unsafe", "all"] = "unsafe"
    """Of an evaluation: rows whose thinking or answer was judged unsafe, or all. Of other files every row is taken."""
    show: Literal["answer", "whole"] = "answer"
    """What the model sees of the completion; `whole` puts its thinking before the answer."""
    request: Text = CORRECTION
    """The user's message after the completion; by default lrmctl's own words."""


class Critique(Section):
    """Rows (specification, prompt, answer) -> critique and verdict, kept if the verdict is right (SInternal)."""

    use: Literal["critique"]
    of: Text
    """The answers: `run:NAME`, `run:NAME@VARIANT`, or a file, relative to the recipe."""
    text: Text | None = None
    """The specification."""
    file: str | None = None
    """Instead of `text`: a text file, relative to the recipe."""
    label: str | None = None
    """Column of the file that says `safe` or `unsafe`; by default the judge in `keep:` decides what is right."""
    instruction: Text = CRITIQUE
    """What the model is asked to do; it has to ask for a last line `Verdict: safe` or `Verdict: unsafe`."""

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if (self.text is None) == (self.file is None):
            raise ValueError("say exactly one of `text:` and `file:`, the specification")
        return self


class Backtrack(Section):
    """Thinking that begins with given unsafe text, turns back, and goes on safely (as CoG's back-tracked traces)."""

    use: Literal["backtrack"]
    thoughts: Text
    """The beginnings: `run:NAME`, a run's folder or its rows.jsonl, or a JSONL file of rows `{"id" or "prompt",
    "thought"}`; relative to the recipe. Prompts without one are left out and counted."""
    only: Literal["any", "safe", "unsafe"] = "any"
    """From a run: only thinking with this verdict."""
    tokens: Positive | None = None
    """Length of a beginning in tokens of the model; the whole text by default."""
    share: Annotated[Share, Field(gt=0)] | None = None
    """Length as a share of the text's tokens, instead of `tokens`."""
    turn: Words | None = TURN
    """Text in which the thinking turns back, by default lrmctl's own words; `null` leaves the turn to the model."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.tokens is not None and self.share is not None:
            raise ValueError("give one of `tokens` and `share`, not both")
        return self


def _trigger(text: str) -> str:
    if not text.strip():
        raise ValueError("a trigger is a text; leave `triggers` out for the built-in ones")
    return text.strip()


Trigger = Annotated[Words, AfterValidator(_trigger)]


class Intervene(Section):
    """Preference pairs with a shared beginning: an unsafe thought goes on from a trigger in place of its first cue of
    compliance (chosen), or as it did (rejected); after Intervened Preference Optimization (arXiv 2509.24393)."""

    use: Literal["intervene"]
    of: Text
    """The unsafe completions: `run:NAME`, `run:NAME@VARIANT`, or a file, relative to the recipe."""
    only: Literal["unsafe", "all"] = "unsafe"
    """Of an evaluation: rows whose thinking or answer was judged unsafe, or all. Of other files every row is taken."""
    cues: Text = "compliance-cues"
    """Lexicon of the cues. A thought is cut before the sentence with the first one, or left out if it has none."""
    triggers: tuple[Trigger, ...] = ()
    """What replaces that sentence, used in turn; by default lrmctl's own words."""


class PassRate(Section):
    """Prompts for RL by the share of samples that pass `keep`: drops what the model always or never solves."""

    use: Literal["pass-rate"]
    above: Share | None = 0.0
    """Prompts are kept whose rate is above this; `null` keeps those never solved too,"""
    below: Share = 1.0
    """and below this."""

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.above is not None and self.above >= self.below:
            raise ValueError(f"no rate is above {self.above:g} and below {self.below:g}")
        return self


class Rewrite(Section):
    """Demonstrations written again by a model that sees them, e.g. a mapper that was trained for it (as DART does)."""

    use: Literal["rewrite"]
    text: Text
    """What the model is asked, with the places `{prompt}`, `{reference}`, `{thinking}` and `{answer}` for parts of the
    demonstration; the row has the original prompt. For a trained mapper the text of its prompts."""


class Annotate(Section):
    """Prompts with what a model writes about each of them, e.g. the sub-questions of a decomposer (as A2D does)."""

    use: Literal["annotate"]
    text: Text
    """What the model is asked, with the places `{prompt}` and `{reference}`. For a trained decomposer the text of its
    prompts."""
    column: Text = "hint"
    """Column of the rows that gets the answer."""


Build = Annotated[
    Select | Distill | Refuse | Correct | Critique | Backtrack | Intervene | PassRate | Rewrite | Annotate,
    Field(discriminator="use"),
]
"""The builder, with its options."""


def check_build(build: Any, prompts: bool, judges: int, rewarded: bool, keep: KeptSamples) -> None:
    """Refuse combinations in which a key has no effect, or something needed is missing.

    Args:
        prompts: the recipe has `prompts:`.
        judges: number of judges in `keep:`.
        rewarded: `keep:` has a reward.

    Raises:
        MisplacedError: one of these, with its key.
    """
    brings_its_own = isinstance(build, (Correct, Critique, Intervene))
    if prompts == brings_its_own:
        what = "takes its prompts from `build.of`: leave them out" if prompts else "needs prompts: name their sources"
        raise MisplacedError(f"the builder {build.use!r} {what}", ("prompts",))
    if isinstance(build, Critique):
        if rewarded or judges != (build.label is None):
            one = "a critique is kept if its verdict is that of one judge in `keep.judges`, or of the column `label`"
            raise MisplacedError(f"{one}; say one of the two, and no reward", ("keep",))
    elif not isinstance(build, (Distill, Rewrite, Annotate)) and not judges and not rewarded:
        raise MisplacedError(f"the builder {build.use!r} needs a judge or a reward in `keep:`", ("keep",))
    if keep.order == "best" and not rewarded:
        raise MisplacedError("the best samples are those with the highest reward; add one", ("keep", "order"))
    if isinstance(build, Intervene) and not keep.closed_thinking:
        raise MisplacedError("the sides of a pair are complete; leave it out", ("keep", "closed_thinking"))
    if isinstance(build, PassRate) and keep.max_per_prompt is not None:
        raise MisplacedError("a pass rate counts every sample; leave it out", ("keep", "max_per_prompt"))
