"""`lrmctl recipe`: lists shipped recipes, checks and compares recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import RUNS, AsJson, Force, On, RecipeRef, RunsDir, Sets
from lrmctl.errors import LrmctlError

_ANY = completion.any_of(completion.recipes(), completion.runs(qualified=True))
app = typer.Typer(help="Recipes: list, show, copy, validate.", no_args_is_help=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the recipes that come with lrmctl, methods and models.

    Examples:
        lrmctl recipe list
    """
    from lrmctl import console
    from lrmctl.hooks.distributions import installed
    from lrmctl.recipe.extends import read_part
    from lrmctl.recipe.find import shipped, shipped_methods, shipped_models

    if as_json:
        from lrmctl.recipe.load import load_recipe

        found = {name: load_recipe(name).recipe for name in shipped()}
        rows = [{"name": name, "kind": r.kind, "description": r.description} for name, r in found.items()]
        console.emit_json("recipes", rows)
        return
    whole = {name: read_part(files[0]) for name, files in shipped().items() if len(files) == 1}
    methods = {name: read_part(file) for name, file in shipped_methods().items()}
    models = {name: read_part(file) for name, file in shipped_models().items()}
    console.table("", ("recipe", "kind", "what"), [(n, part["kind"], part["description"]) for n, part in whole.items()])
    rows_of_methods = [(name, part["kind"], part["description"]) for name, part in methods.items()]
    console.table("methods, each for every model", ("METHOD", "kind", "what"), rows_of_methods)
    console.table("models", ("MODEL", "what"), [(name, part["model"]) for name, part in models.items()])
    if installed().candidates:  # none is loaded for this: one that hangs must not delay a list
        console.say("recipes of plugins: `lrmctl plugin list recipe`")
    console.say("`lrmctl train METHOD --on MODEL` trains; MODEL/METHOD names that recipe wherever one is named")


@app.command()
def show(recipe: RecipeRef, on: On = None, sets: Sets = None, as_json: AsJson = False) -> None:
    """Show a recipe with everything resolved: what it extends, overrides and every default.

    Examples:
        lrmctl recipe show lab/rl
        lrmctl recipe show rl-guard --on qwen3-8b --set algorithm.steps=100
    """
    import yaml

    from lrmctl import console
    from lrmctl.recipe.load import load_recipe

    loaded = load_recipe(recipe, sets or (), on=on)
    if as_json:
        console.emit_json("recipe", loaded.resolved)
    else:
        text = yaml.safe_dump(loaded.resolved, sort_keys=False, allow_unicode=console.shows_unicode(), width=100)
        console.out.print(text, markup=False, end="")


@app.command()
def copy(
    recipe: RecipeRef,
    to: Annotated[Path | None, typer.Argument(help="New file; ./<name>.yaml by default.")] = None,
    on: On = None,
) -> None:
    """Copy a recipe to edit it; never overwrites.

    methods/METHOD and models/MODEL can be copied too, to write another method or model.

    Examples:
        lrmctl recipe copy lab/rl
        lrmctl recipe copy rl-guard mine.yaml --on qwen3-8b
    """
    from lrmctl import console
    from lrmctl.recipe.copy import copy_recipe

    console.out.print(copy_recipe(recipe, to, on), markup=False)


@app.command()
def validate(
    recipes: Annotated[
        list[str],
        typer.Argument(metavar="RECIPE...", help="Files or shipped names.", autocompletion=completion.recipes()),
    ],
    on: On = None,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Check recipes without running: keys, values, plugins, the trainer's flags, what goes together, a study's arms.

    Needs no GPU, model, data or trainer. Exit code 2 if something is wrong.

    Examples:
        lrmctl recipe validate mine.yaml
        lrmctl recipe validate lab/rl --set algorithm.name=rloo --json
    """
    from lrmctl import console

    checked = {recipe: _check(recipe, on, sets, runs_dir) for recipe in recipes}
    if as_json:
        console.emit_json("recipe-check", [row for row, _ in checked.values()])
    for recipe, (row, error) in {} if as_json else checked.items():
        for note in row["notes"]:
            console.say(f"note: {note['where']}: {note['key']}: {note['what']}")
        if error is not None:
            console.print_error(error)
        else:
            console.out.print(f"{recipe}: ok", markup=False)
    if any(error for _, error in checked.values()):
        raise typer.Exit(console.USER_ERROR)


def _check(
    recipe: str, on: str | None, sets: list[str] | None, runs_dir: Path
) -> tuple[dict[str, Any], LrmctlError | None]:
    """One recipe's result as data, and its error."""
    from lrmctl.preflight.validate import validate
    from lrmctl.recipe.load import load_recipe
    from lrmctl.recipe.problems import ProblemsError

    row: dict[str, Any] = {"recipe": recipe, "ok": True, "problems": [], "notes": []}
    try:
        notes = validate(load_recipe(recipe, sets or (), on=on), runs_dir)
        row["notes"] = [{"where": n.where, "key": n.problem.key, "what": n.problem.what} for n in notes]
        return row, None
    except ProblemsError as error:
        pairs = zip(error.places, error.problems, strict=True)
        row["problems"] = [{"where": w, "key": p.key, "what": p.what, "fix": p.fix} for w, p in pairs]
        return row | {"ok": False}, error
    except LrmctlError as error:
        row["problems"] = [{"where": error.where, "key": "", "what": error.what, "fix": error.fix}]
        return row | {"ok": False}, error


@app.command()
def diff(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A recipe file, a shipped name, or run:NAME.", autocompletion=_ANY)
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The recipe to compare it with.", autocompletion=_ANY)],
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show where two resolved recipes differ, and where each value was written.

    Exit code 1 if they differ.

    Examples:
        lrmctl recipe diff lab/rl lab/rl-harmful-only
        lrmctl recipe diff mine.yaml run:rl
    """
    from lrmctl import console
    from lrmctl.recipe.diff import diff, side

    found = diff(side(a, runs_dir), side(b, runs_dir))
    if as_json:
        console.emit_json("recipe-diff", found)
    elif found:
        rows = [(d.key, *_shown(d.a, d.where_a), *_shown(d.b, d.where_b)) for d in found]
        console.table("", ("key", a, "from", b, "from"), rows)
    else:
        console.say(f"{a} and {b} are the same recipe")
    if found:
        raise typer.Exit(console.FINDINGS)


def _shown(value: Any, where: str) -> tuple[str, str]:
    """A value as YAML on one line, and its source; a dash if it is missing."""
    import json

    return (json.dumps(value, ensure_ascii=False), where) if where else ("-", "")


@app.command()
def schema(
    kind: Annotated[
        Literal["sft", "preference", "rl", "eval", "study", "data"] | None,
        typer.Option(help="Of recipes of this kind; of all recipe files by default."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
    as_markdown: Annotated[bool, typer.Option("--md", help="The keys as tables in Markdown instead.")] = False,
    force: Force = False,
) -> None:
    """Print the JSON Schema of recipes, with which editors complete, explain and check their keys.

    Examples:
        lrmctl recipe schema --out schema.json
        lrmctl recipe schema --kind rl --md
    """
    from lrmctl import console
    from lrmctl.recipe.json_schema import schema_text
    from lrmctl.recipe.reference import TITLE, reference_page
    from lrmctl.runs.output import check_output, object_with

    text = reference_page(kind) if as_markdown else schema_text(kind)
    if out is None:
        typer.echo(text, nl=False)
        return
    ours = (lambda begin: begin.startswith(TITLE.encode())) if as_markdown else object_with("$schema", "title")
    check_output(out, ours, force=force)
    out.write_text(text, encoding="utf-8")
    console.out.print(out, markup=False)


@app.command()
def ci(
    out: Annotated[Path, typer.Option("--out", "-o", help="The new file.")] = Path(".github/workflows/lrmctl.yml"),
) -> None:
    """Write a CI workflow for a repository of recipes and plugins; never overwrites.

    Examples:
        lrmctl recipe ci
    """
    from lrmctl import console
    from lrmctl.scaffold import write_ci_workflow

    console.out.print(write_ci_workflow(out), markup=False)
