"""Rule-based rewards: a weighted sum of propositions about a response."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.hooks.specs import Reward
from lrmctl.rewards.builtin.format import FormatRules, Thinking, of_answer
from lrmctl.rewards.builtin.options import number
from lrmctl.rewards.builtin.propositions import Proposition, Value, ValuedPropositions, proposition
from lrmctl.types import Part, Score, Trace


class Rules(Reward):
    """A rule-based reward: a weighted sum of propositions about the part.

    Formula: sum over i of w_i * phi_i. phi is 1 or 0 for a feature of the text (or between), the value of a reward, or
    for a statement put to a judge model P(Yes) / (P(Yes) + P(No)) of its first token. Weights are the recipe's, or
    those that `lrmctl reward fit` wrote. A failed proposition gives a failed score; a reward that does not apply to the
    prompt adds nothing. Bad form (cut, empty, unclosed) gets `bad_form`, because no proposition holds for an empty
    text.
    Range: the lowest to the highest sum that the propositions' ranges allow.
    Source: OpenAI's rule-based rewards (arXiv 2411.01111): R = R_rm + sum of w_i * phi_i. For R_rm write a component
    `reward-model` beside this one.

    Args:
        rules: a file written by `lrmctl reward fit`, or a list of features' names and `{name, weight, feature | ask |
            reward, options}`.
        weights: weight by name, or a file written by `lrmctl reward fit`; overrides those in `rules`.
        model: the judge model for statements: a local folder, a hub id, or its name on a server.
        engine: `hf`, `vllm`, `openai`, or a mapping with `use:` and the engine's settings.
        batch_size, device: of an engine in this process.
        template_args: for the model's chat template; a model that thinks needs `{enable_thinking: false}`.
        thinking: `required`, `optional` or `absent`: the thinking that good form wants.
        bad_form: value of malformed responses; the lower end of the range by default.

    Raises:
        RecipeError: an invalid rule or one without a weight; a statement without a model.
    """

    range: tuple[float, float] = (-math.inf, math.inf)

    def __init__(
        self,
        rules: str | Sequence[str | Mapping[str, Any]],
        weights: str | Mapping[str, float] | None = None,
        model: str | None = None,
        engine: str | Mapping[str, Any] = "hf",
        batch_size: int = 16,
        device: str = "auto",
        template_args: Mapping[str, Any] | None = None,
        thinking: Thinking = "required",
        bad_form: float | None = None,
    ) -> None:
        rows = _rows(rules)
        propositions = [_no_label(proposition(row)) for row in rows]
        given = {p.name: row["weight"] for p, row in zip(propositions, rows, strict=True) if _weighted(row)}
        self._weights = _weights([p.name for p in propositions], {**given, **_given(weights)})
        self._valued = ValuedPropositions(propositions, judge_options(model, engine, batch_size, device, template_args))
        self._form = FormatRules(thinking)
        self.range = self._range()
        self._bad = self.range[0] if bad_form is None else number("bad_form", bad_form)
        if math.isinf(self._bad):
            raise RecipeError("a rule's reward has no lowest value", fix="say what bad form is worth: `bad_form:`")
        self.range = (min(self.range[0], self._bad), max(self.range[1], self._bad))

    def prepare(self) -> None:
        """Load the models of the judge and of rewards now instead of at the first trace."""
        self._valued.prepare()

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part == "thinking" and (alone := [t for t in traces if t.answer_only]):
            there = iter(self.score([t for t in traces if not t.answer_only], part))
            answers = iter(self.score(alone, "answer"))
            return [of_answer(next(answers), t, part) if t.answer_only else next(there) for t in traces]
        good = [trace for trace in traces if self._form.holds(trace, part)]
        values = iter(self._valued.values(good, part))
        return [self._sum(next(values)) if self._form.holds(t, part) else Score(self._bad) for t in traces]

    def _sum(self, values: Sequence[Value]) -> Score:
        phi: dict[str, float] = {}
        for one, value in zip(self._valued.propositions, values, strict=True):
            if isinstance(value, str):
                return Score(error=f"proposition {one.name!r}: {value}")
            if value is not None:
                phi[one.name] = value
        return Score(math.fsum(self._weights[name] * value for name, value in phi.items()), logs=phi)

    def _range(self) -> tuple[float, float]:
        ends = []
        for one in self._valued.propositions:
            weight, reach = self._weights[one.name], self._valued.range_of(one)
            ends.append(sorted(weight * end for end in reach) if weight else [0.0, 0.0])
        return math.fsum(low for low, _ in ends), math.fsum(high for _, high in ends)


def read_fit(file: str) -> dict[str, Any]:
    """Read a file written by `lrmctl reward fit`.

    Raises:
        NotFoundError, RecipeError: there is no such file, or it has other content.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}", fix="write one with `lrmctl reward fit`")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found["rules"], list) and isinstance(found["weights"], dict):
            return dict(found)
    except (ValueError, KeyError, TypeError):
        pass
    raise RecipeError("is no file of `lrmctl reward fit`", str(path), "it has `rules` and `weights`")


def _rows(rules: Any) -> list[Any]:
    if isinstance(rules, str):
        fitted = read_fit(rules)
        return [{**row, "weight": fitted["weights"][row["name"]]} for row in fitted["rules"]]
    if not isinstance(rules, Sequence) or not rules:
        raise RecipeError("`rules` is empty", fix="give a list of propositions, or a file of `lrmctl reward fit`")
    return list(rules)


def _weighted(row: Any) -> bool:
    return isinstance(row, Mapping) and row.get("weight") is not None


def _given(weights: str | Mapping[str, float] | None) -> dict[str, float]:
    return dict(read_fit(weights)["weights"] if isinstance(weights, str) else weights or {})


def _weights(names: Sequence[str], given: Mapping[str, Any]) -> dict[str, float]:
    if missing := [name for name in names if name not in given]:
        raise RecipeError(f"rule {missing[0]!r} has no weight", fix="give it one, or fit them: `lrmctl reward fit`")
    return {name: number(f"weight of {name}", given[name]) for name in names}


def _no_label(one: Proposition) -> Proposition:
    if one.source == "label":
        raise RecipeError(
            f"rule {one.name!r} is a label that people gave, and rollouts have none",
            fix="fit with questions, features or rewards in its place",
        )
    return one


def judge_options(
    model: str | None, engine: Any, batch_size: int, device: str, template_args: Any
) -> dict[str, Any] | None:
    """Options of the judge for statements; None without a model."""
    options = {"engine": engine, "batch_size": batch_size, "device": device, "template_args": template_args}
    return None if model is None else {"model": model, **options}
