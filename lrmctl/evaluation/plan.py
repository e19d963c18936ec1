"""What an evaluation will generate and judge, before anything starts. Loads no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lrmctl.evaluation.pace import MeasuredEvaluation
from lrmctl.evaluation.prompts import section_prompts
from lrmctl.planning.cost import CHARACTERS, CostEstimate, JudgeTokens, hours_at_rate, server_tokens, total
from lrmctl.planning.prices import Prices

if TYPE_CHECKING:
    from lrmctl.recipe.schema.evaluation import EvalSection, SafetySet

NO_HOURS = (
    "evaluate a few prompts (--variant pilot --set evaluation.limit=20) and ask again, or state how many tokens one GPU"
    " generates in a second: --price eval_tokens_per_second=N"
)


@dataclass(frozen=True)
class EvaluationPlan:
    """The size of an evaluation; None where sets are not on this machine.

    Attributes:
        prompts: that are used, by set.
        completions: in all.
        tokens_at_most: generated: the token limit of every completion.
        judge_calls: at most.
        server_judges: calls and tokens of judges on servers, at most.
        gpus: that the engine uses; 0 if a server generates.
        notes: sets that are not here, one sentence each.
    """

    prompts: Mapping[str, int]
    completions: int | None
    tokens_at_most: int | None
    judge_calls: int | None
    server_judges: JudgeTokens | None
    gpus: int
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def cost(self, prices: Prices, earlier: MeasuredEvaluation | None = None) -> CostEstimate:
        """Hours by the rate that is stated, else as an earlier evaluation took, and money.

        Args:
            earlier: see `evaluation.pace`.
        """
        rate = prices.eval_tokens_per_second
        if rate is None and earlier and self.completions is not None:
            known, said = earlier.hours(self.completions), earlier.told(self.completions)
            return CostEstimate(known, self.gpus, said, self.server_judges, prices)
        hours = hours_at_rate(self.tokens_at_most, rate, self.gpus)
        said = "some sets are not on this machine" if rate is not None or earlier else NO_HOURS
        if hours is not None:
            said = f"every completion at its token limit, {rate:g} tokens per second per GPU as stated"
        return CostEstimate(hours, self.gpus, said, self.server_judges, prices, at_most=hours is not None)


def plan_evaluation(section: EvalSection, gpus: int) -> EvaluationPlan:
    """Count what an evaluation generates and judges, as far as its sets are on this machine.

    Args:
        gpus: that its engine uses.
    """
    sets, notes = section_prompts(section)
    each = sum(1 if temperature == 0 else section.samples for temperature in section.temperatures)
    used = {name: prompts[: section.limit or None] for name, prompts in sets.items()}
    safety = {name: prompts for name, prompts in used.items() if any(p.kind != "reasoning" for p in prompts)}
    judged = section.judged()
    parts = max((judged_parts(one) for one in judged), default=0)
    completions = each * sum(map(len, used.values()))
    asked = each * sum(map(len, safety.values()))
    longest = max((len(p.text) for prompts in safety.values() for p in prompts), default=0)
    text = round(longest / CHARACTERS) + section.max_new_tokens
    servers = max((_of_servers(one, asked, text) for one in judged), key=lambda t: t.read, default=JudgeTokens())
    counts = {name: len(prompts) for name, prompts in used.items()}
    gpus = gpus if section.engine.use != "openai" else 0
    if notes:
        return EvaluationPlan(counts, None, None, None, None, gpus, tuple(notes))
    return EvaluationPlan(counts, completions, completions * section.max_new_tokens, asked * parts, servers, gpus)


def judged_parts(chosen: SafetySet) -> int:
    """Judge calls per completion of a benchmark, at most: two parts by its judge, and those of further judges."""
    return 2 + sum(2 if also.part in ("both", "whole") else 1 for also in chosen.also or ())


def _of_servers(chosen: SafetySet, completions: int, text: int) -> JudgeTokens:
    """Tokens of the judges of a benchmark that are on servers, as if all completions were this benchmark's."""
    also = [
        server_tokens(one.judge, one.judge_options, completions * (2 if one.part in ("both", "whole") else 1), text)
        for one in chosen.also or ()
    ]
    return total([server_tokens(str(chosen.judge), chosen.judge_options, completions * 2, text), *also])
