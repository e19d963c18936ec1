"""Executes a planned data build in a run folder; the same command again continues, and a finished one is finished.

runs/<name>/  recipe.yaml lock.json status.json rows.jsonl README.md summary.json
              data/{completions.sqlite, opinions.jsonl, rejected.jsonl, samples.jsonl}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl._util.version import __version__
from lrmctl.builders.base import Builder
from lrmctl.builders.card import card, licences
from lrmctl.builders.core import Draw, acceptance
from lrmctl.builders.opinions import Opinions
from lrmctl.builders.plan import PlannedBuild, plan_build, sampling_of
from lrmctl.builders.record import Record, claim
from lrmctl.builders.rows import PassRates, annotated_rows, demonstration_rows, pair_rows
from lrmctl.engines.base import Engine, Rendering
from lrmctl.engines.store import Store
from lrmctl.errors import LrmctlError
from lrmctl.evaluation.generate import noted
from lrmctl.recipe.schema.recipes import DataRecipe
from lrmctl.recipe.schema.thinking import override_of
from lrmctl.runs.damage import read_object
from lrmctl.runs.folder import RunFolder, write_json
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.runs.writing import write_text

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.types import Prompt

OnStage = Callable[[str, int, int], None]
"""Called with the stage (`draw` or `judge`), what is done, and how much there is."""


_ROWS = {"demonstrations": demonstration_rows, "pairs": pair_rows, "annotated": annotated_rows}


class NothingKeptError(LrmctlError):
    """No sample or prompt passed; everything drawn is kept."""


@dataclass(frozen=True)
class BuiltData:
    """A finished build.

    Attributes:
        summary: as in `summary.json`.
        fresh: False if it was finished before.
    """

    folder: Path
    summary: Mapping[str, Any]
    fresh: bool = True


def build(
    loaded: LoadedRecipe,
    *,
    runs_dir: Path,
    name: str | None = None,
    against: LoadedRecipe | None = None,
    on_stage: OnStage | None = None,
) -> BuiltData:
    """Build data from a recipe of kind data.

    Args:
        name: of the run; the recipe's by default.
        against: an evaluation whose prompts are looked for in the rows.

    Raises:
        LrmctlError: a problem with the recipe, data, model, engine or name; or too much failed.
        RunExistsError: the name is taken by something else.
        NothingKeptError: no sample passed.
        RewardError, JudgeError: as the recipe does not tolerate.
    """
    return execute(plan_build(loaded, runs_dir=runs_dir, name=name), against=against, on_stage=on_stage)


def execute(
    planned: PlannedBuild, *, against: LoadedRecipe | None = None, on_stage: OnStage | None = None
) -> BuiltData:
    """Run a planned build; see `build`."""
    recipe, runs_dir = planned.recipe, planned.plan.folder.parent
    opinions = Opinions(recipe.keep)  # a wrong judge fails before a folder is made
    planned.builder.check(opinions)
    notes: list[str] = []
    with noted(notes):
        engine, model = _engine(recipe, runs_dir)
    folder = RunFolder(planned.plan.folder)
    record = Record.of(planned, engine, model, opinions.versions)
    if claim(folder, record):
        return BuiltData(folder.path, read_object(folder.path / "summary.json"), fresh=False)
    folder = RunFolder.create(runs_dir, planned.plan.name, resume=True)
    with folder.hold("building data"):
        record.write(folder)
        folder.set_status("running")
        try:
            _build(planned, folder, record, engine, notes, against, on_stage or (lambda *_: None))
        except LrmctlError as error:
            with suppress(OSError):  # on a full disk this fails too; the build then counts as interrupted
                folder.set_status("failed", error=error.what)
            raise
        folder.set_status("done")
    return BuiltData(folder.path, read_object(folder.path / "summary.json"))


def _engine(recipe: DataRecipe, runs_dir: Path) -> tuple[Engine, Path | str]:
    """The engine, and the model's folder or its name on a server."""
    from lrmctl.engines.factory import make_engine
    from lrmctl.models import is_local_model, resolve_model

    model: Path | str = recipe.model
    server = recipe.engine.use == "openai"
    if not server and (recipe.engine.reads_weights or is_local_model(recipe.model)):
        model = resolve_model(recipe.model, runs_dir, trust_remote_code=recipe.trust_remote_code)
    size = None if recipe.batch_size == "auto" else recipe.batch_size
    rendering = Rendering("", recipe.template_args, override_of(recipe.thinking))
    return make_engine(model, recipe.engine, batch_size=size, rendering=rendering), model


def _build(
    planned: PlannedBuild,
    folder: RunFolder,
    record: Record,
    engine: Engine,
    notes: list[str],
    against: LoadedRecipe | None,
    tell: OnStage,
) -> None:
    recipe, builder = planned.recipe, planned.builder
    opinions = Opinions(recipe.keep, folder.data / "opinions.jsonl")
    with Store(folder.data / "completions.sqlite") as store, noted(notes):
        draw = Draw(
            builder.engine(engine, planned.tasks, folder.path),
            store,
            planned.tasks,
            sampling_of(recipe),
            recipe.sampling.samples,
            recipe.seed,
            opinions,
            recipe.max_failed,
        )
        draw.fill(lambda done, total: tell("draw", done, total))
        builder.before_judging(planned.tasks, folder.path)
        draw.judge(recipe.keep, builder.fault, lambda done: tell("judge", done, draw.completions))
        write_jsonl(folder.data / "samples.jsonl", (sample.to_json() for sample in draw.samples()))
        prompts = _write_rows(folder, draw, builder)
        kinds = acceptance(draw.samples())
    summary = {
        **record.summary(),
        "name": planned.plan.name,
        "engine": engine.facts(),
        "lrmctl": __version__,
        "samples": draw.counts(),
        "kinds": kinds,
        "prompts": prompts,
        "left_out": dict(builder.left_out),
        "warnings": [*notes, *draw.notes],
        "licences": licences(record.sources),
        **_audited(planned, folder, against),
    }
    if not summary["rows"]:
        raise _nothing(summary, folder)
    record.write(folder, data={"rows": summary["rows"], "sha256": summary["sha256"]})
    write_json(folder.path / "summary.json", summary)
    write_text(folder.path / "README.md", card(summary))


def _write_rows(folder: RunFolder, draw: Draw, builder: Builder) -> dict[str, int]:
    """Write `rows.jsonl`; returns the prompts by what became of them, if rows are prompts."""
    if rows := _ROWS.get(builder.writes):
        write_jsonl(folder.path / "rows.jsonl", rows(draw.samples(), builder))
        return {}
    rates = PassRates(builder.options.above, builder.options.below)
    write_jsonl(folder.path / "rows.jsonl", rates.rows(draw.samples()))
    return dict(rates.counts)


def _audited(planned: PlannedBuild, folder: RunFolder, against: LoadedRecipe | None) -> dict[str, Any]:
    """Number of rows, sha256 of their file, and the audit of their prompts."""
    from lrmctl.data.audit import audit
    from lrmctl.evaluation.prompts import evaluation_prompts
    from lrmctl.rows.files import file_sha256

    prompts = list(_prompts(folder))
    sets, unseen = evaluation_prompts(planned.loaded, against)
    found = audit(prompts, None, sets if prompts else {}, unseen).to_json()
    return {"rows": len(prompts), "sha256": file_sha256(folder.path / "rows.jsonl"), "audit": found}


def _prompts(folder: RunFolder) -> Iterator[Prompt]:
    from lrmctl.runs.jsonl import read_jsonl
    from lrmctl.types import Prompt

    for row in read_jsonl(folder.path / "rows.jsonl"):
        yield Prompt(row["id"], tuple(row["messages"]), row["kind"], row.get("source", ""), row.get("reference"))


def _nothing(summary: Mapping[str, Any], folder: RunFolder) -> NothingKeptError:
    became = summary["prompts"] or summary["samples"]
    told = ", ".join(f"{why}: {n}" for why, n in became.items())
    fix = "look at the samples; then loosen `keep:` or `build:`, or draw more samples, under another --name"
    if any(why == "thinking absent" for why in became):
        fix += "; a model that does not think needs `thinking: off`"
    return NothingKeptError(f"nothing is kept ({told})", str(folder.data / "samples.jsonl"), fix)
