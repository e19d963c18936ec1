"""The TARGET argument of commands: a model, or a run by name or folder."""

from __future__ import annotations

import re
from pathlib import Path

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.runs.check import refuse_damaged
from lrmctl.runs.damage import part_of, read_object
from lrmctl.runs.listing import all_runs, is_run
from lrmctl.runs.marks import refuse_around, refuse_foreign
from lrmctl.runs.names import is_run_name, named_run, quoted


def run_folder(target: str, runs_dir: Path, *, even_damaged: bool = False) -> Path:
    """The folder of a run: `run:NAME`, a bare name under the runs folder, or a path.

    Raises:
        NotFoundError: no such run.
    """
    name = named_run(target) if target.startswith("run:") else target
    named = [runs_dir / name] if is_run_name(name) else []
    for folder in (*named, *_as_path(target)):
        if folder.is_dir() and is_run(folder):
            refuse_around(folder, runs_dir)
            if not even_damaged:
                refuse_damaged(folder)
            return folder
    known = [run.relative_to(runs_dir).as_posix() for run in all_runs(runs_dir)]
    raise NotFoundError(
        f"there is no run {quoted(target)} in {runs_dir}", fix=did_you_mean(name[:200], known) or "lrmctl run list"
    )


def _as_path(target: str) -> list[Path]:
    """A target as a folder, unless it is a run's name, empty, or only a relative location (`.`, `..`, `../..`)."""
    path = Path(target)
    if target.startswith("run:") or not path.name or set(path.parts) <= {".", ".."}:
        return []
    return [path]


def eval_folder(target: str, runs_dir: Path) -> Path:
    """The folder of an evaluation: a run's own, or with `RUN@VARIANT` one kept beside it.

    Raises:
        NotFoundError: no such run, or no such evaluation of it.
    """
    from lrmctl.runs.folder import eval_folder

    name, _, variant = target.partition("@") if not Path(target).exists() else (target, "", "")
    run = run_folder(name, runs_dir)
    folder = eval_folder(run, variant)
    if not (folder / "summary.json").is_file():
        others = [p.name.removeprefix("eval-") for p in sorted(run.glob("eval-*")) if (p / "summary.json").is_file()]
        what = f"{name} has no evaluation {variant!r}" if variant else f"{name} has not been evaluated"
        fix = f"there are {', '.join(f'{name}@{other}' for other in others)}" if others else "run `lrmctl eval` first"
        raise NotFoundError(what, str(folder), fix)
    return folder


def target_folder(target: str, runs_dir: Path, name: str | None) -> Path:
    """Where results of this target go: the run's own folder, else `runs_dir/<name or the model's name>`."""
    if target.startswith("run:") or (Path(target).is_dir() and is_run(Path(target))):
        return run_folder(target, runs_dir)
    folder = runs_dir / (name or re.sub(r"[^A-Za-z0-9._]+", "-", target).strip("-._")[:64] or "model")
    refuse_foreign(folder)
    return folder


def target_model(target: str, runs_dir: Path, trust_remote_code: bool = False) -> Path:
    """The checkpoint that a target names.

    Raises:
        NotFoundError: there is none.
    """
    from lrmctl.models import resolve_model

    folder = Path(target)
    if not target.startswith("run:") and folder.is_dir() and is_run(folder):
        target = str(folder / "model")
    return resolve_model(target, runs_dir, trust_remote_code=trust_remote_code)


def recipe_for(target: str, runs_dir: Path) -> str:
    """The default evaluation recipe of a model: the lab's for lab models, none for others.

    Raises:
        RecipeError: another model; only the user can say which evaluation suits it.
        NotFoundError: there is no such model or run.
    """
    from lrmctl.models import is_hub_id

    if target == "lab:tiny" or (not is_hub_id(target) and _of_the_lab(target, runs_dir)):
        return "lab/eval"
    from lrmctl.recipe.find import shipped
    from lrmctl.recipe.load import load_recipe

    known = [name for name in shipped() if name.startswith("eval/")]
    listed = "".join(f"\n    {name:<18} {load_recipe(name).recipe.description}" for name in known)
    raise RecipeError(
        f"which evaluation? {target} is no model of the lab, and only those have one by default",
        where="--recipe",
        fix=f"name a recipe of kind eval or study, a file or a shipped one:{listed}",
    )


def _of_the_lab(target: str, runs_dir: Path) -> bool:
    from lrmctl.lab import is_lab_model

    try:
        return is_lab_model(target_model(target, runs_dir))
    except NotFoundError:
        if not target.startswith("run:") and not Path(target).is_dir():
            return False  # a model's name on a server
        summaries = target_folder(target, runs_dir, None).glob("eval*/summary.json")
        sets = {entry["set"] for path in summaries for entry in read_object(path).get("sets", ())}
        if not sets:
            raise
        return all(name.startswith(("lab-", "lab_")) for name in sets)


def evaluated_model(folder: Path) -> Path | None:
    """The checkpoint that a run's evaluation was made with, if it is still there."""
    summary = folder / "eval" / "summary.json"
    if not summary.exists():
        return None
    with part_of(summary):
        model = Path(read_object(summary)["model"])
    return model if any((model / name).exists() for name in ("config.json", "adapter_config.json")) else None
