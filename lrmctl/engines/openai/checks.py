"""What a server's first answers reveal: whether its template opens the thinking, whether samples are identical.

No single answer shows either. Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence

from lrmctl.engines.base import GenerationRequest
from lrmctl.engines.openai.completions import closes_only, opens
from lrmctl.engines.openai.protocol import ServerReply
from lrmctl.thinking import ThinkingFormat, format_of_text

_ENOUGH = 3
"""Prompts with identical samples before a warning is given: short refusals may coincide by chance."""
_PLAIN = 8
"""Finished answers without thinking after which a truncated one is taken to have none either."""


class ThinkTagDetector:
    """Detects whether an answer without tags is thinking. If the template opens the thinking in the prompt, an answer
    cut by the length limit has neither tag, and scoring it as an answer would be wrong.

    Args:
        known: whether the template opens the thinking, if it can be read; None for a server's own template.
        form: the model's thinking format; None detects it in each answer.
    """

    def __init__(self, known: bool | None, form: ThinkingFormat | None = None) -> None:
        self._known, self._form = known, form
        self._closes = self._apart = self._opens = False
        self._plain = 0

    @property
    def evidence(self) -> tuple[bool, ...]:
        """What has been seen so far; undecided answers are examined again when it changes."""
        return self._closes, self._apart, self._opens, self._plain >= _PLAIN

    def learn(self, answer: ServerReply) -> None:
        """Learn from an answer about the template, or about a server that separates thinking itself."""
        self._apart |= bool(answer.reasoning)
        self._closes |= not answer.reasoning and closes_only(answer.text, self._form)
        self._opens |= not answer.reasoning and opens(answer.text, self._form)
        self._plain += _bare(answer, self._form) and answer.finish_reason == "stop"

    def settled(self, answer: ServerReply) -> bool:
        """Whether enough has been seen to classify this answer."""
        seen = self._closes or self._apart
        if not _bare(answer, self._form) or seen:
            return True
        if answer.finish_reason == "stop":
            return not self._known
        return self._known is not None or self._opens or self._plain >= _PLAIN

    def thought(self, answer: ServerReply) -> bool:
        """Whether this is thinking from its first word, as far as can be told."""
        if self._apart and _bare(answer, self._form):
            return answer.finish_reason == "length"
        return self._closes or bool(self._known)


def _bare(answer: ServerReply, form: ThinkingFormat | None) -> bool:
    form = form or format_of_text(answer.text)
    tags = any(tag in answer.text for tag in (*form.all_opens, *form.all_closes)) or opens(answer.text, form)
    return bool(answer.text.strip()) and not (answer.reasoning or tags)


_LONG = 32
"""Tokens; shorter completions, such as the last turns of a decoding mode, may well be identical."""


class DuplicateSampleDetector:
    """Detects prompts whose samples are all identical although their seeds differ.

    lm-evaluation-harness sends one seed with every sample, and some servers ignore seed and temperature: pass@k is then
    that of one sample.
    """

    def __init__(self, requests: Sequence[GenerationRequest]) -> None:
        self._of: dict[GenerationRequest, int] = {}
        self._missing: list[int] = []
        self._texts: list[set[str]] = []
        groups: dict[tuple[str, object], list[GenerationRequest]] = {}
        for request in requests:
            if not request.sampling.greedy and request.sampling.max_new_tokens >= _LONG:
                groups.setdefault((request.text, request.sampling), []).append(request)
        for group in [g for g in groups.values() if len(g) > 1][:_ENOUGH]:
            self._of |= dict.fromkeys(group, len(self._texts))
            self._missing.append(len(group))
            self._texts.append(set())

    def seen(self, request: GenerationRequest, text: str | None) -> str:
        """A warning once several prompts have all their samples and these are identical; otherwise empty.

        Args:
            text: of the completion; None for one that failed.
        """
        if (group := self._of.pop(request, None)) is None:
            return ""
        self._texts[group] |= {f"failed {request.sample}", "failed"} if text is None else {text}
        self._missing[group] -= 1
        if any(self._missing) or any(len(texts) > 1 for texts in self._texts):
            return ""
        return (
            f"all samples of {len(self._texts)} prompts are equal: the server seems to ignore temperature or seed; "
            "more samples of a prompt tell nothing then (transformers serve needs do_sample in generation_config.json)"
        )
