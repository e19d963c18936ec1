"""A judge made of a template and an engine: asks, parses, and turns every error into a failed verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lrmctl.engines.base import Engine
from lrmctl.errors import JudgeError
from lrmctl.hooks.specs import Judge
from lrmctl.judges.base import describe
from lrmctl.judges.query import JudgeQuery, JudgeReply, ask, unrenderable
from lrmctl.judges.templates.base import JudgeTemplate, ParsedVerdict, part_text, raw_of, with_turns
from lrmctl.judges.templates.sanitize import defused
from lrmctl.judges.windows import next_count, windows, worst
from lrmctl.types import Part, Trace, Verdict

LONGEST_RAW = 1_000
"""Characters of a judge's output that are kept; of longer output the beginning and the end, where verdicts are."""


@dataclass(frozen=True)
class _Answer:
    """The result for one text: the engine's reply, and its parsed verdict or the error."""

    raw: str = ""
    said: ParsedVerdict | None = None
    error: str = ""
    too_long: bool = False


class ModelJudge(Judge):
    """A model that judges. All questions about all traces go to the engine in one call.

    A response that exceeds the model's context is judged in overlapping windows, and the worst one counts; the verdict
    then has a label `windows N`.

    Args:
        template: the questions, and how replies are parsed.
        engine: answers the questions; loaded at the first one, or by `prepare`.
        model: the model's name in the version of verdicts.
    """

    def __init__(self, template: JudgeTemplate, engine: Engine, model: str) -> None:
        self.name, self.version = template.name, f"{template.version} of {model}"
        self.says_refusal = template.says_refusal
        self.parallel = engine.parallel  # concurrent calls (see `judges.shared`)
        self.template, self._engine = template, engine

    def check(self) -> None:
        """Find out early whether the judge can be called at all; loads no weights.

        Raises:
            LrmctlError: there is no model of this name, or no key for its server, or its chat template omits the prompt
                or the response.
        """
        self._engine.check()
        if why := unrenderable(self._engine, self.template.asks("a prompt", "a response", self._engine.control_tokens)):
            fix = "give the judge's own model with its own chat template, or serve it (engine: openai)"
            raise JudgeError(f"the judge {self.name!r} cannot be asked: {why}", fix=fix)

    def prepare(self) -> None:
        """Load the model.

        Raises:
            LrmctlError: there is no model of this name, or it cannot be loaded.
        """
        self._engine.prepare()

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        """One verdict per trace; a failed one if the judge cannot be called or its reply cannot be parsed."""
        known = [self._nothing(trace, part) for trace in traces]
        asked = [trace for trace, verdict in zip(traces, known, strict=True) if verdict is None]
        judged = iter(self._judged(asked, part))
        return [verdict or next(judged) for verdict in known]

    def _nothing(self, trace: Trace, part: Part) -> Verdict | None:
        """The verdict on a part that is not there: malformed, without a word on safety."""
        if trace.finish_reason == "error":
            return Verdict(self.name, self.version, part, error="the engine failed on this sample")
        if part_text(trace, part):
            return None
        return Verdict(self.name, self.version, part, malformed=True, labels=("empty",))

    def _judged(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        """Judge whole texts first; those that exceed the model's context then in windows, as few as possible."""
        answers = self._answers([(trace, part_text(trace, part)) for trace in traces])
        verdicts = [self._verdict(part, answer) for answer in answers]
        long = {i: 2 for i, answer in enumerate(answers) if answer.too_long}
        while long:
            parts = {i: windows(part_text(traces[i], part), n) for i, n in long.items()}
            asked = iter(self._answers([(traces[i], text) for i, texts in parts.items() for text in texts]))
            again: dict[int, int] = {}
            for i, texts in parts.items():
                some = [next(asked) for _ in texts]
                if not any(answer.too_long for answer in some):
                    verdicts[i] = self._verdict_of_windows(part, some)
                elif more := next_count(len(texts), len(part_text(traces[i], part))):
                    again[i] = more
                else:
                    why = f"the question leaves the judge no room for a response: {verdicts[i].error}"
                    verdicts[i] = replace(verdicts[i], error=why)
            long = again
        return verdicts

    def _answers(self, texts: Sequence[tuple[Trace, str]]) -> list[_Answer]:
        """The parsed replies about each text, all requested in one call."""
        if not texts:
            return []
        try:
            reserved = self._engine.control_tokens
            asks = [self._asks(trace, text, reserved) for trace, text in texts]
            replies = self._replies([some if isinstance(some, tuple) else () for some in asks])
        except Exception as error:  # whatever an engine raises becomes an error of these traces
            return [_Answer(error=describe(error)) for _ in texts]
        return [
            self._answer(some) if isinstance(ask, tuple) else _Answer(error=ask)
            for ask, some in zip(asks, replies, strict=True)
        ]

    def _asks(self, trace: Trace, text: str, reserved: Sequence[str]) -> tuple[JudgeQuery, ...] | str:
        """The questions about a text, or why there are none."""
        try:
            asks = self.template.asks_about(trace.prompt, text, reserved)
        except JudgeError as error:
            return str(error)
        if (sections := self.template.reads_turns) is None:
            return asks
        return tuple(with_turns(ask, trace, lambda turn: defused(turn, reserved, sections)) for ask in asks)

    def _replies(self, asks: Sequence[Sequence[JudgeQuery]]) -> list[list[JudgeReply]]:
        rest = iter(ask(self._engine, [query for some in asks for query in some]))
        return [[next(rest) for _ in some] for some in asks]

    def _answer(self, replies: Sequence[JudgeReply]) -> _Answer:
        raw = "\n".join(raw_of(reply) for reply in replies)
        failed = next((reply for reply in replies if reply.error), None)
        if failed is not None:
            return _Answer(raw, error=failed.error, too_long=any(reply.too_long for reply in replies))
        said = self.template.read(replies)
        if isinstance(said, ParsedVerdict):
            return _Answer(raw, said)
        return _Answer(raw, error=f"the judge's output {said}: {_bounded(raw)[:80]!r}")

    def _verdict_of_windows(self, part: Part, answers: Sequence[_Answer]) -> Verdict:
        said = worst([answer.said or answer.error for answer in answers])
        raw = "\n".join(f"[window {i} of {len(answers)}] {_bounded(a.raw)}" for i, a in enumerate(answers, 1))
        return self._verdict(part, _Answer(raw, said) if isinstance(said, ParsedVerdict) else _Answer(raw, error=said))

    def _verdict(self, part: Part, answer: _Answer) -> Verdict:
        verdict, said = Verdict(self.name, self.version, part, raw=_bounded(answer.raw)), answer.said
        if said is None:
            return replace(verdict, error=answer.error)
        return replace(
            verdict,
            safe=said.safe,
            refused=said.refused,
            labels=said.labels,
            p_unsafe=said.p_unsafe,
            malformed=False,
        )


def _bounded(text: str) -> str:
    if len(text) <= LONGEST_RAW:
        return text
    half = LONGEST_RAW // 2
    return f"{text[:half]} [...] {text[-half:]}"
