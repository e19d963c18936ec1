"""A plan for display: the plan itself, an audit of the data and the first row. Starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrmctl.training.plan import TrainingPlan

if TYPE_CHECKING:
    from lrmctl.data.audit import Audit, RenderedRows
    from lrmctl.planning.cost import CostEstimate
    from lrmctl.recipe.load import LoadedRecipe


@dataclass(frozen=True)
class DryRun:
    """What `lrmctl train --dry-run` shows.

    Attributes:
        plan: what a run would execute.
        audit: of the data, as far as they are on this machine.
        example: the first rendered row; empty without a tokenizer.
        cost: hours and money; None where nobody asked.
    """

    plan: TrainingPlan
    audit: Audit
    example: Mapping[str, str]
    cost: CostEstimate | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            **self.plan.to_json(),
            "audit": self.audit.to_json(),
            "example": dict(self.example),
            "preview": self.plan.preview,
            **({"cost": self.cost.to_json()} if self.cost else {}),
        }


def dry_run(plan: TrainingPlan, against: LoadedRecipe | None = None) -> DryRun:
    """Audit a plan's data.

    Args:
        against: eval recipe to check the training prompts for overlap with; by default `lab/eval` for lab recipes.

    Raises:
        LrmctlError: a benchmark of `against` cannot be loaded.
    """
    rows = plan.inputs.rows
    return DryRun(plan, _audit(plan, against), dict(rows.rows[0]) if rows and rows.rows else {})


def _audit(plan: TrainingPlan, against: LoadedRecipe | None) -> Audit:
    from lrmctl.data.audit import audit
    from lrmctl.evaluation.prompts import evaluation_prompts

    sets, unseen = evaluation_prompts(plan.resolved.loaded, against)
    unaudited = [*unseen, *(f"not audited: {why}" for why in plan.missing)]
    if plan.inputs.rows is None:
        asked = plan.inputs.prompts or plan.inputs.sampled_from
        return audit(asked, None, sets if asked else {}, unaudited)
    return audit([a.prompt for a in plan.inputs.rows.asked], _rendered(plan), sets, unaudited)


def _rendered(plan: TrainingPlan) -> RenderedRows:
    from lrmctl.data.audit import RenderedRows
    from lrmctl.trace import closes_thinking, opens_thinking

    rows = plan.inputs.rows
    assert rows is not None
    thinking = [] if plan.resolved.recipe.thinking == "off" else list(rows.rows)
    thinking = [row for row in thinking if not closes_thinking(row.get("prompt", ""))]
    first = thinking[0] if thinking else {}
    return RenderedRows(
        sizes=[(a.prompt_tokens, a.tokens) for a in rows.asked],
        kept=[a.kept for a in rows.asked],
        responses=[row["response"] for row in thinking if "response" in row],
        opened=opens_thinking(first.get("prompt", "")),
        merged=rows.merged,
        strips=_strips_thinking(plan.resolved.tokenizer),
    )


def _strips_thinking(tokenizer: Any) -> bool:
    """Whether the chat template removes the thinking from past assistant turns."""
    from lrmctl.models.chat import render_chat

    mark = "a thought to look for"
    turns = [("user", "q"), ("assistant", f"<think>\n{mark}\n</think>\n\na"), ("user", "q")]
    messages = [{"role": role, "content": content} for role, content in turns]
    return mark not in render_chat(tokenizer, messages, generate=False, whole=())
