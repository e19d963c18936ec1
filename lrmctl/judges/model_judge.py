"""A judge out of a form and an engine: asks, reads, and turns whatever goes wrong into a failed verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lrmctl.engines.chat import Ask, ChatEngine, Reply
from lrmctl.errors import JudgeError
from lrmctl.judges.base import describe
from lrmctl.judges.forms import Form, Said, part_text, raw_of, with_turns
from lrmctl.judges.untrusted import defused
from lrmctl.types import Part, Trace, Verdict

LONGEST_RAW = 1_000
"""Characters of a judge's output that are kept; of longer output the beginning and the end, where a verdict stands."""


class ModelJudge:
    """A model that judges. All questions about all traces go to the engine in one call.

    Args:
        form: what is asked and how replies are read.
        engine: who answers; loaded at the first question, or by `prepare`.
        model: of the verdicts' version.
    """

    def __init__(self, form: Form, engine: ChatEngine, model: str) -> None:
        self.name, self.version = form.name, f"{form.version} of {model}"
        self.parallel = int(getattr(engine, "parallel", 1))  # calls at the same time (see `judges.shared`)
        self._form, self._engine = form, engine

    def check(self) -> None:
        """Find out early whether the judge can be asked at all; loads no weights.

        Raises:
            LrmctlError: there is no model of this name, or no key for its server, or its chat template leaves out the
                prompt or the response.
        """
        self._engine.check()
        why_not = getattr(self._engine, "why_not", None)
        if why_not is not None and (why := why_not(self._form.asks("a prompt", "a response", self._engine.reserved))):
            fix = "give the judge's own model with its own chat template, or serve it (engine: openai)"
            raise JudgeError(f"the judge {self.name!r} cannot be asked: {why}", fix=fix)

    def prepare(self) -> None:
        """Load the model.

        Raises:
            LrmctlError: there is none of this name, or it cannot be loaded.
        """
        self._engine.prepare()

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        """One verdict per trace; a judge that cannot be asked, or says nothing readable, gives a failed one."""
        known = [self._nothing(trace, part) for trace in traces]
        asked = [trace for trace, verdict in zip(traces, known, strict=True) if verdict is None]
        judged = iter(self._judged(asked, part))
        return [verdict or next(judged) for verdict in known]

    def _nothing(self, trace: Trace, part: Part) -> Verdict | None:
        """The verdict on a part that is not there: malformed, and nothing is said of its safety."""
        if trace.finish_reason == "error":
            return Verdict(self.name, self.version, part, error="the engine failed on this sample")
        if part_text(trace, part):
            return None
        return Verdict(self.name, self.version, part, malformed=True, labels=("empty",))

    def _judged(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        if not traces:
            return []
        try:
            reserved = self._engine.reserved
            asks = [self._asks(trace, part, reserved) for trace in traces]
            replies = self._replies(asks)
        except Exception as error:  # whatever an engine raises is data of these traces
            return [Verdict(self.name, self.version, part, error=describe(error)) for _ in traces]
        return [self._verdict(part, some) for some in replies]

    def _asks(self, trace: Trace, part: Part, reserved: Sequence[str]) -> tuple[Ask, ...]:
        asks = self._form.asks(trace.prompt.text, part_text(trace, part), reserved)
        sections: tuple[str, ...] | None = getattr(self._form, "reads_turns", None)
        if sections is None:
            return asks
        return tuple(with_turns(ask, trace, lambda text: defused(text, reserved, sections)) for ask in asks)

    def _replies(self, asks: Sequence[Sequence[Ask]]) -> list[list[Reply]]:
        flat = [ask for some in asks for ask in some]
        replies = list(self._engine.ask(flat))
        if len(replies) != len(flat):
            return [[Reply(error=f"the engine gave {len(replies)} replies to {len(flat)} questions")] for _ in asks]
        rest = iter(replies)
        return [[next(rest) for _ in some] for some in asks]

    def _verdict(self, part: Part, replies: Sequence[Reply]) -> Verdict:
        raw = _bounded("\n".join(raw_of(reply) for reply in replies))
        verdict = Verdict(self.name, self.version, part, raw=raw)
        if error := next((reply.error for reply in replies if reply.error), ""):
            return replace(verdict, error=error)
        said = self._form.read(replies)
        if not isinstance(said, Said):
            return replace(verdict, error=f"the judge's output {said}: {raw[:80]!r}")
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
