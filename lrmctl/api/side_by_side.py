"""Several runs side by side: paired differences, one report, and the study that makes them all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.api.recipes import AnyRecipeRef, Overrides, chosen_recipe, runs_in
from lrmctl.api.targets import eval_folder, run_folder
from lrmctl.errors import LrmctlError
from lrmctl.runs.check import check_summary
from lrmctl.runs.names import is_run_name, named_run
from lrmctl.runs.study_cells import CellGroup, groups_of, is_study, read_cells

if TYPE_CHECKING:
    from lrmctl.comparison import Comparison
    from lrmctl.reporting import ArmFolder
    from lrmctl.studies.stages import StudyEvent


def compare(
    baseline: str | Path,
    *others: str | Path,
    allow: Collection[str] = (),
    metrics: Collection[str] | None = None,
    runs_dir: str | Path | None = None,
) -> list[Comparison]:
    """Paired differences of evaluated runs from a baseline, prompt by prompt, as in `lrmctl compare`.

    Args:
        baseline, others: `run:NAME`, its name, or its folder; `NAME@VARIANT` for a variant.
        allow: accepted differences between the evaluations (docs/comparing.md).
        metrics: names of the metrics to compare; the main ones by default, at most those of `lrmctl.metrics.METRICS`.

    Returns:
        One comparison per run in `others`; its `deltas` have interval, p value, wins and losses.

    Raises:
        NotFoundError: a run that does not exist or was not evaluated.
        LrmctlError: nothing to compare with; or prompts, sampling or judges differ, so that pairing would mislead.
    """
    from lrmctl.comparison import compare_all

    if not others:
        raise LrmctlError("there is nothing to compare it with", fix=f"lrmctl compare BASELINE {baseline}")
    with runs_in(runs_dir) as runs:
        named = [(str(run), evaluated_folder(str(run), runs)) for run in (baseline, *others)]
        return list(compare_all(named, allow=allow, metrics=metrics))


def report(
    *targets: str | Path,
    out: str | Path | None = None,
    title: str = "",
    traces: int = 10_000,
    figures: str | Path | None = None,
    force: bool = False,
    runs_dir: str | Path | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Path:
    """Write one self-contained HTML page from evaluated runs, with its table as JSON, like `lrmctl report`.

    Args:
        targets: evaluated runs, the base first; or a study; of a study with several bases or seeds also the arms of
            one base and seed (`STUDY/BASE/seed-N`).
        out: the HTML file; beside the first run by default.
        traces: most traces per arm in the page; 0 leaves the viewer out.
        figures: folder for a paper's files: every figure as SVG, PDF and PNG, every table as LaTeX and CSV.
        force: replace `out`, whatever it contains, and write into `figures`, whatever is there.
        on_warning: called with what was left out; Python's warnings by default.

    Returns:
        The page's path.

    Raises:
        NotFoundError: a run that does not exist or was not evaluated.
        LrmctlError: no target, a file of a run that is not valid, `out` is another file, or `figures` holds others.
    """
    from lrmctl.reporting import build_report, check_folder, report_study
    from lrmctl.runs.output import check_output, is_report, object_with

    if not targets:
        raise LrmctlError("a report needs at least one run")
    with runs_in(runs_dir) as runs:
        page = Path(out) if out is not None else _beside(str(targets[0]), runs)
        check_output(page, is_report, force=force)
        check_output(page.with_name("table.json"), object_with("deltas"), force=force)
        folder = None if figures is None else Path(figures)
        if folder is not None:
            check_folder(folder, force=force)
        say = on_warning or _warn
        if (study := _matrix_study(targets, runs, folder)) is not None:
            return report_study(study, out=page, title=title, say=say, traces=traces)
        arms = [arm for target in targets for arm in arms_of(str(target), runs)]
        name = title or "lrmctl report"
        return build_report(arms, page, title=name, figures=folder, say=say, traces=traces)


def study(
    recipe: AnyRecipeRef,
    *,
    overrides: Overrides | None = None,
    name: str | None = None,
    runs_dir: str | Path | None = None,
    rebuild_base: bool = False,
    on_event: Callable[[StudyEvent], None] = lambda _: None,
) -> Path:
    """Run or continue a study, as `lrmctl study` does: train, evaluate and analyse every arm, then report.

    Finished stages are not repeated.

    Args:
        recipe: of kind study; `demo` is one.
        rebuild_base: pretrain the lab's base model again.
        on_event: called at every start, progress and end of a stage.

    Returns:
        The report's path.

    Raises:
        RecipeError: the recipe or one of its arms cannot run.
        RunExistsError: the folder contains a study of another recipe.
        BackendError: at least one arm failed; the report was written without it.
    """
    from lrmctl.preflight.validate import validate
    from lrmctl.studies.run import run_study

    loaded = chosen_recipe(recipe, "study", overrides=overrides)
    with runs_in(runs_dir) as runs:
        validate(loaded)
        return run_study(loaded, runs_dir=runs, name=name, rebuild_base=rebuild_base, on_event=on_event)


def evaluated_folder(run: str, runs_dir: Path) -> Path:
    """The folder of a run's evaluation; a folder that contains an evaluation is used as it is.

    Raises:
        NotFoundError: no such run, or it has not been evaluated.
    """
    folder = Path(run) if (Path(run) / "rows.jsonl").is_file() else eval_folder(run, runs_dir)
    check_summary(folder / "summary.json")
    return folder


def _beside(target: str, runs_dir: Path) -> Path:
    return (_study_or_group(target, runs_dir) or run_folder(target, runs_dir)) / "report.html"


def _study_or_group(target: str, runs_dir: Path) -> Path | None:
    """The folder of a study, or of one base and training seed of it; None for anything else."""
    name = named_run(target) if target.startswith("run:") else target
    folders = ([runs_dir / name] if is_run_name(name) else []) + ([] if name != target else [Path(target)])
    found = (folder for folder in folders if folder.is_dir() and (is_study(folder) or is_study(folder.parent.parent)))
    return next((folder for folder in found if is_study(folder) or _group_of(folder) is not None), None)


def _group_of(folder: Path) -> CellGroup | None:
    """The arms of one base and training seed, by their folder `STUDY/BASE/seed-N`."""
    study = folder.parent.parent
    path = folder.relative_to(study).as_posix()
    return next((group for group in groups_of(read_cells(study)) if group.path == path), None)


def _matrix_study(targets: Sequence[str | Path], runs_dir: Path, figures: Path | None) -> Path | None:
    """The study of several bases or seeds that is the only target; its report has a page of its own.

    Raises:
        LrmctlError: figures are asked for, which only the reports of its groups have.
    """
    from lrmctl.reporting import is_matrix

    study = _study_or_group(str(targets[0]), runs_dir) if len(targets) == 1 else None
    if study is None or not is_study(study) or not is_matrix(cells := read_cells(study)):
        return None
    if figures is not None:
        first = groups_of(cells)[0].path
        what = f"{targets[0]} has several bases or training seeds, each with figures of its own"
        raise LrmctlError(what, "--figures", f"name one of them, e.g. {targets[0]}/{first}")
    return study


def arms_of(target: str, runs_dir: Path) -> Iterator[ArmFolder]:
    """The run that a target names, or every arm of a study, or of one base and training seed of it.

    In a study of several bases or seeds an arm is labelled by its cell, e.g. `Qwen3-4B/seed-0/rl`.

    Raises:
        NotFoundError: there is none.
        DamagedError: a file of it is not what lrmctl wrote.
    """
    from lrmctl.reporting import ArmFolder, group_arms, is_matrix

    folder = _study_or_group(target, runs_dir)
    if folder is None:
        run = run_folder(target, runs_dir)
        yield ArmFolder(run.name, run.name, False, run)
    elif not is_study(folder):
        group = _group_of(folder)
        assert group is not None
        yield from group_arms(group)
    elif is_matrix(cells := read_cells(folder)):
        for cell in cells:
            if cell.evaluated:
                yield ArmFolder(cell.path, cell.path, cell.control, cell.folder)
    else:
        for group in groups_of(cells):
            yield from group_arms(group)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, RuntimeWarning, stacklevel=2)
