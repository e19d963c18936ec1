"""Rewards for learned helpers: what a text that the policy wrote is worth to another, frozen model.

Both read the prompts of the source `asked`, which remember what they ask about, and any other prompt as itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from lrmctl._util.fill import fill, places
from lrmctl.data.asked import About
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.hooks.specs import Reward
from lrmctl.rewards.base import make_inner_reward, score_part
from lrmctl.rewards.builtin.format import FormatRules, Thinking
from lrmctl.rewards.builtin.options import number, one_of, whole_number
from lrmctl.types import Part, Prompt, Score, Trace

if TYPE_CHECKING:
    from lrmctl.data.renderer import Renderer

HINTED = "{prompt}\n\nThese steps may help:\n{hint}"
"""lrmctl's own words."""


class ProxySolves(Reward):
    """Whether a frozen model solves the prompt when it is given what the policy wrote as a hint.

    Formula: 1 if at least one of the attempts passes, else 0; with `credit: mean` the share that passes. An attempt
    passes if the inner reward gives it `at_least`. The hint is the answer, not the thinking. A hint in bad form, or one
    that does not match `pattern`, is 0 and nothing is sampled. Equal hints of a prompt get equal attempts. The score
    has failed if an attempt has failed and, with `credit: any`, none has passed.
    Range: [0, 1].
    Source: the reward of the decomposer in A2D (arXiv 2602.00759), any of n attempts of a fixed proxy times the format,
    after a note on the paper; `credit: mean`, `pattern` and the words of `text` are ours.

    Args:
        model: the frozen model: a local folder, a hub id, `run:NAME`, or its name on a server.
        text: what it is asked, with the places `{prompt}` and `{hint}`.
        attempts: samples for each hint.
        credit: `any` or `mean`.
        pattern: regular expression that the whole hint has to match, e.g. a numbered list of at most five lines.
        reward, reward_options, at_least: what counts as solved.
        temperature, max_new_tokens: of the attempts.
        engine: `hf`, `vllm`, `openai`, or a mapping with `use:` and the engine's settings.
        batch_size, device: of an engine in this process.
        template_args: for the model's chat template.
        thinking: `required`, `optional` or `absent`: the thinking that good form of the policy wants.

    Raises:
        RecipeError: an option is no such value.
    """

    range = (0.0, 1.0)

    def __init__(
        self,
        model: str,
        text: str = HINTED,
        attempts: int = 4,
        credit: Literal["any", "mean"] = "any",
        pattern: str | None = None,
        reward: str = "correct",
        reward_options: Mapping[str, Any] | None = None,
        at_least: float = 1.0,
        temperature: float = 1.0,
        max_new_tokens: int = 1024,
        engine: str | Mapping[str, Any] = "hf",
        batch_size: int = 32,
        device: str = "auto",
        template_args: Mapping[str, Any] | None = None,
        thinking: Thinking = "required",
    ) -> None:
        from lrmctl.engines.base import Sampling
        from lrmctl.engines.factory import judge_engine

        if len(places(text, ("prompt", "hint"))) < 2:
            raise RecipeError("`text` does not show both the prompt and the hint", fix="put in {prompt} and {hint}")
        self._text, self._attempts = text, whole_number("attempts", attempts)
        self._credit = one_of("credit", credit, ("any", "mean"))
        self._pattern = _compiled(pattern)
        self._reward = make_inner_reward(reward, dict(reward_options or {}))
        self._at_least = number("at_least", at_least)
        limit = whole_number("max_new_tokens", max_new_tokens)
        self._sampling = Sampling(number("temperature", temperature, 0.0), max_new_tokens=limit)
        self._engine = judge_engine(
            model, engine, batch_size=batch_size, device=device, template_args=dict(template_args or {})
        )
        self._form = FormatRules(thinking)

    def prepare(self) -> None:
        """Load the models now instead of at the first trace."""
        self._engine.prepare()
        self._reward.prepare()

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part == "thinking":
            return [Score(error="a hint is the answer, not the thinking") for _ in traces]
        good = [i for i, trace in enumerate(traces) if self._offers(trace, part)]
        found = dict(zip(good, self._tried([traces[i] for i in good]), strict=True))
        return [found.get(i, Score(0.0)) for i in range(len(traces))]

    def _offers(self, trace: Trace, part: Part) -> bool:
        """Whether the policy wrote a hint in good form."""
        hint = trace.answer.strip()
        return self._form.holds(trace, part) and (self._pattern is None or self._pattern.fullmatch(hint) is not None)

    def _tried(self, traces: Sequence[Trace]) -> list[Score]:
        """Scores by the attempts with each trace's hint, all sampled in one call."""
        originals = [About.of(trace.prompt).prompt for trace in traces]
        asked = [self._hinted(*one) for one in zip(originals, traces, strict=True)]
        samples = range(self._attempts)
        requests = [self._engine.request(prompt, self._sampling, k, 0) for prompt in asked for k in samples]
        attempts: list[Trace | None] = [None] * len(requests)
        for group in self._engine.generate(requests):
            for i, completion in group:
                at = i // self._attempts
                attempts[i] = replace(
                    self._engine.trace(asked[at], requests[i], completion), prompt=originals[at], sample=i - at
                )
        scores = self._scores([one for one in attempts if one is not None])
        return [self._credited(scores[i * self._attempts : (i + 1) * self._attempts]) for i in range(len(traces))]

    def _hinted(self, original: Prompt, trace: Trace) -> Prompt:
        *earlier, last = original.messages
        text = fill(self._text, {"prompt": original.text, "hint": trace.answer.strip()})
        return replace(original, messages=(*earlier, {**last, "content": text}))

    def _scores(self, attempts: Sequence[Trace]) -> list[Score]:
        sampled = [one for one in attempts if one.finish_reason != "error"]
        scored = iter(score_part(self._reward, sampled, "whole"))
        return [Score(error=one.error) if one.finish_reason == "error" else next(scored) for one in attempts]

    def _credited(self, scores: Sequence[Score]) -> Score:
        passed = [score.value >= self._at_least for score in scores if score.value is not None]
        failed = next((score.error for score in scores if score.failed), "")
        if len(passed) < len(scores) and not (self._credit == "any" and any(passed)):
            return Score(error=f"an attempt has no score: {failed or 'the inner reward does not apply to this prompt'}")
        share = sum(passed) / len(passed)
        return Score(float(any(passed)) if self._credit == "any" else share, logs={"attempts_passed": share})


class Likelihood(Reward):
    """How likely a student finds a demonstration that the policy wrote: its whole response, after the original prompt.

    Formula: the mean of ln p over the response's tokens, end of text included, in nats per token, at least `floor`.
    Bad form is `floor`; so is a response of fewer than `shortest` times the tokens of the demonstration that the prompt
    asks about, because a few easy words would be likely without teaching anything.
    Range: [floor, 0].
    Source: the idea of the reward of DART's mapper (arXiv 2605.26924), "distribution alignment" with an "anti-cheating
    penalty"; only its abstract was read, so the formula and the penalty are ours. Whether a rewritten demonstration
    still does what the original did is for other components to say (`correct`, `judged-safe`).

    Args:
        model: the student: a local folder, a hub id, or `run:NAME`.
        floor: value of bad form, and the least value.
        shortest: of a response, as a share of the original's tokens; 0 allows any.
        batch_size, device: of the student in this process.
        template_args: for the student's chat template.
        thinking: `required`, `optional` or `absent`: the thinking that good form wants.
    """

    range: tuple[float, float] = (-10.0, 0.0)

    def __init__(
        self,
        model: str,
        floor: float = -10.0,
        shortest: float = 0.5,
        batch_size: int = 16,
        device: str = "auto",
        template_args: Mapping[str, Any] | None = None,
        thinking: Thinking = "required",
    ) -> None:
        from lrmctl.engines.factory import judge_engine

        self._floor, self._shortest = number("floor", floor, high=0.0), number("shortest", shortest, 0.0)
        self._args = dict(template_args or {})
        self._engine = judge_engine(model, "hf", batch_size=batch_size, device=device)
        self._form = FormatRules(thinking)
        self.range = (self._floor, 0.0)

    def prepare(self) -> None:
        """Load the student now instead of at the first trace."""
        self._engine.prepare()

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part != "whole":
            return [Score(error=f"a demonstration is the whole response, not the {part}") for _ in traces]
        found = [self._encoded(trace) for trace in traces]
        known = {i: one for i, one in enumerate(found) if isinstance(one, tuple)}
        scores = [one if isinstance(one, Score) else Score(error="not scored") for one in found]
        for i, value in zip(known, self._means(list(known.values())), strict=True):
            scores[i] = Score(max(self._floor, value), logs={"logprob": value})
        return scores

    def _encoded(self, trace: Trace) -> tuple[list[int], list[int]] | Score:
        """Token ids of prompt and response as the student reads them, or the score that needs no model."""
        if not self._form.holds(trace, "whole"):
            return Score(self._floor)
        about = About.of(trace.prompt)
        try:
            prompt, response = self._ids(about.prompt, trace.thinking, trace.answer)
            if about.demonstrated and self._shortest:
                _, original = self._ids(about.prompt, about.thinking, about.answer)
                if len(response) < self._shortest * len(original):
                    return Score(self._floor)
        except LrmctlError as error:
            return Score(error=error.what)
        room = getattr(self._engine, "max_len", math.inf)
        if len(prompt) + len(response) > room:
            return Score(error=f"prompt and response are longer than the student's {room} tokens")
        return prompt, response

    @cached_property
    def _renderer(self) -> Renderer:
        from lrmctl.data.renderer import Renderer

        return Renderer(self._engine.tokenizer, self._args)

    def _ids(self, prompt: Prompt, thinking: str, answer: str) -> tuple[list[int], list[int]]:
        from lrmctl.data.sources import Demonstration

        tokenizer = self._engine.tokenizer
        text, response = self._renderer.demonstration(Demonstration(prompt, thinking, answer))
        first = tokenizer(text, add_special_tokens=False)["input_ids"]
        return first, tokenizer(text + response, add_special_tokens=False)["input_ids"][len(first) :]

    def _means(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[float]:
        means = [0.0] * len(pairs)
        for group in self._engine.token_statistics(pairs) if pairs else ():
            for i, statistics in group:
                means[i] = float(statistics.logprob.mean())
        return means


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return None if pattern is None else re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise RecipeError(f"`pattern` is no regular expression: {error}") from None
