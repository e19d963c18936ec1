"""Records a plan in the run folder: the recipe, `plan.json`, and the lock file with all versions and inputs."""

from __future__ import annotations

import hashlib
from typing import Any

import yaml

from lrmctl.data.of_recipe import sources_of
from lrmctl.runs.folder import RunFolder, write_json
from lrmctl.runs.lineage import lineage_of
from lrmctl.training.plan import TrainingPlan


def write_record(plan: TrainingPlan) -> None:
    """Write the recipe, the plan and the lock file."""
    from lrmctl.recipe.lock import write_lock

    folder = RunFolder(plan.run_dir)
    text = yaml.safe_dump(plan.resolved.loaded.resolved, sort_keys=False, allow_unicode=True)
    folder.recipe.write_text(text, encoding="utf-8")
    write_json(folder.plan, plan.to_json())
    write_lock(folder.lock, plan.resolved.loaded, **_facts(plan))


def _facts(plan: TrainingPlan) -> dict[str, Any]:
    from lrmctl.data.sources import provenance
    from lrmctl.models import model_facts

    resolved, estimates, rows = plan.resolved, plan.backend_plan.estimates, plan.inputs.rows
    assert resolved.model is not None
    assert resolved.tokenizer is not None
    model = {"ref": resolved.recipe.model, **model_facts(resolved.model)}
    facts: dict[str, Any] = {
        "model": model,
        "lineage": lineage_of(model, resolved.recipe.seed),
        "template_sha256": hashlib.sha256(str(resolved.tokenizer.chat_template).encode()).hexdigest(),
        "backend": {"name": resolved.recipe.backend.name, "versions": dict(resolved.backend.versions())},
        "plan": plan.provenance(),
        "sources": provenance(sources_of(resolved.recipe)),
        **{key: estimates[key] for key in ("device", "dtype") if key in estimates},
    }
    if rows is not None:
        facts["data"] = {
            "sha256": rows.sha256,
            "rows": len(rows.rows),
            "too_long": rows.too_long,
            "merged": rows.merged,
            "longest": rows.longest,
        }
    return facts
