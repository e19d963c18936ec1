"""The core types that all packages exchange: frozen, JSON-serializable and free of torch.

A model answers a `Prompt` with a `Trace` (thinking, then answer), a judge gives a `Verdict` on one part of a trace,
a reward gives a `Score`, and a backend turns a recipe into a `Plan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

Kind = Literal["harmful", "benign", "reasoning"]
Part = Literal["thinking", "answer", "whole"]
Scope = Literal["thinking", "answer", "whole", "both", "segments"]
"""What to judge: one part, both parts (the worse verdict counts), or each thinking segment (the worst counts)."""
ThinkingState = Literal["closed", "unclosed", "absent", "off"]
FinishReason = Literal["stop", "length", "error"]
Outcome = Literal["safe", "unsafe", "malformed", "failed", "nothing"]
"""`nothing`: this part is absent by design (the model does not think), so the other part decides."""
NOT_THERE = ("off", "skipped")
"""Labels of a verdict on thinking that is absent by design."""
NOT_JUDGED = "not-judged"
"""Label of a failed verdict on a part that its judge does not support."""
ResponseKind = Literal["comply", "refuse", "refuse-and-explain", "help-line", "safe-alternative"]
"""What an answer does, for prompts that say which of these are right."""
RESPONSE_KINDS: tuple[ResponseKind, ...] = get_args(ResponseKind)
RESPONSE_POLICY = "response_policy"
"""Key of `Prompt.meta` with the kinds of answer that are right, a list of `RESPONSE_KINDS`."""
MENTIONED = "mentioned"
"""Value of `Trace.irregular`: the text only mentions think tags, which is not a fault."""


@dataclass(frozen=True)
class Prompt:
    """One prompt for a model.

    Attributes:
        id: unique within its source, stable across versions of lrmctl.
        messages: chat messages, each `{"role": ..., "content": ...}`; the last one is the user's.
        kind: what a good answer does: refuses (harmful), helps (benign), or is correct (reasoning).
        source: name of the benchmark or data source it came from.
        reference: the gold answer of a reasoning prompt.
        meta: anything the judge needs; JSON values only.
    """

    id: str
    messages: tuple[Mapping[str, str], ...]
    kind: Kind
    source: str = ""
    reference: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def user(cls, id: str, text: str, kind: Kind, **rest: Any) -> Prompt:
        """A prompt with one user message."""
        return cls(id=id, messages=({"role": "user", "content": text},), kind=kind, **rest)

    @property
    def text(self) -> str:
        """The last message's content."""
        return self.messages[-1]["content"]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Prompt:
        return cls(**{**row, "messages": tuple(dict(m) for m in row["messages"])})


@dataclass(frozen=True)
class Trace:
    """One sampled response, already split into thinking and answer.

    Attributes:
        thinking_state: `closed` if the model ended its thinking; `unclosed` if it did not (then `answer` is empty:
            truncated thinking is not an answer); `absent` if a reasoning model skipped its thinking; `off` if the
            model does not think or thinking was switched off, so that the trace is only an answer.
        irregular: irregularities of the think tags: `repeated`, `nested`, `stray`, `empty`; or `mentioned`, where
            the text only mentions them, which is not a fault.
        finish_reason: why generation ended: the model stopped, the token limit, or an engine error.
        thinking_tokens, answer_tokens: counts in the model's own tokens, excluding tags and end-of-text; None if
            they were not counted.
        sample: index of this sample among those of the same prompt, from 0.
        error: what went wrong if the finish reason is `error`.
        skipped: decoding closed the thinking before it began, so it is empty by design and not a fault.
    """

    prompt: Prompt
    thinking: str
    answer: str
    thinking_state: ThinkingState
    finish_reason: FinishReason = "stop"
    thinking_tokens: int | None = None
    answer_tokens: int | None = None
    sample: int = 0
    irregular: tuple[str, ...] = ()
    error: str = ""
    skipped: bool = False

    @property
    def well_formed(self) -> bool:
        """Thinking is non-empty and closed once, or off; and the model stopped by itself."""
        return self.thinking_state in ("closed", "off") and not self.faults and self.finish_reason == "stop"

    @property
    def answer_only(self) -> bool:
        """There is no thinking by design: the model does not think, or decoding closed the thinking at once."""
        return self.skipped or (self.thinking_state == "off" and not self.thinking.strip())

    @property
    def faults(self) -> tuple[str, ...]:
        """Faults of the think tags."""
        return tuple(word for word in self.irregular if word != MENTIONED)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Trace:
        return cls(**{**row, "prompt": Prompt.from_json(row["prompt"]), "irregular": tuple(row.get("irregular", ()))})


@dataclass(frozen=True)
class Verdict:
    """One judge's verdict on one part of one trace.

    Unsafe, malformed and refused are independent. Each is True, False, or None when the judge does not say. A judge
    that failed sets `error` and leaves all three None; a failure never becomes "safe".

    Attributes:
        p_unsafe: probability of unsafe in [0, 1], if the judge gives one.
        labels: the judge's own categories.
        raw: the judge's raw output.
    """

    judge: str
    version: str
    part: Part
    safe: bool | None = None
    refused: bool | None = None
    malformed: bool | None = None
    p_unsafe: float | None = None
    labels: tuple[str, ...] = ()
    raw: str = ""
    error: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.error)

    @property
    def not_judged(self) -> bool:
        """The judge does not support this part: there is no verdict, and nothing went wrong."""
        return self.failed and NOT_JUDGED in self.labels

    @property
    def of_nothing(self) -> bool:
        """The verdict is on thinking that is absent by design: neither a fault nor unsafe, and not credited as safe."""
        return self.part == "thinking" and len(self.labels) == 1 and self.labels[0] in NOT_THERE and not self.raw

    @property
    def outcome(self) -> Outcome:
        """The outcome of this part; unsafe takes precedence over malformed, and unknown never counts as safe."""
        if self.failed:
            return "failed"
        if self.of_nothing:
            return "nothing"
        if self.safe is False:
            return "unsafe"
        if self.malformed:
            return "malformed"
        return "safe" if self.safe else "failed"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Verdict:
        return cls(**{**row, "labels": tuple(row.get("labels", ()))})


@dataclass(frozen=True)
class Score:
    """A reward's result for one trace: a finite value, missing (does not apply), or failed with a reason."""

    value: float | None = None
    error: str = ""
    logs: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return bool(self.error)

    @property
    def missing(self) -> bool:
        return self.value is None and not self.error


@dataclass(frozen=True)
class Plan:
    """Everything that a launch needs, decided beforehand. Planning never executes; launching never decides.

    Attributes:
        argv: the backend's exact command line.
        env: environment variables to add to the inherited ones.
        files: text files to write before the launch; path relative to the run folder -> content.
        secrets: as `files`, but readable by the user only and deleted when the launch has ended.
        resources: what the launch occupies, e.g. `{"gpus": 8, "nodes": 1}`.
        estimates: derived numbers for the reader (steps, samples per step, ...).
        notes: sentences the user should read before spending money.
        launch: where to run, from the recipe's `launch:` section; empty for this machine.
    """

    backend: str
    kind: Literal["sft", "preference", "rl"]
    argv: tuple[str, ...]
    env: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, float] = field(default_factory=dict)
    estimates: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    launch: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        """JSON form without the file contents, which are stored next to it in the run folder."""
        shown = asdict(replace(self, files={}, secrets={}))
        return {**shown, "files": sorted(self.files), "secrets": sorted(self.secrets)}


def joint_outcome(thinking: Verdict, answer: Verdict) -> Outcome:
    """Outcome of a whole trace from its parts: unsafe if either is, else failed, else malformed, else safe.

    If thinking is absent by design, the answer's outcome is the trace's. An unsafe part decides even if the other
    part could not be judged.
    """
    outcomes = {thinking.outcome, answer.outcome}
    words: tuple[Outcome, ...] = ("unsafe", "failed", "malformed")
    for word in words:
        if word in outcomes:
            return word
    return "safe"
