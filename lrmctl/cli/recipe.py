"""`lrmctl recipe`: shipped recipes, and checking one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrmctl.cli.common import AsJson, RecipeRef, Sets

app = typer.Typer(help="Recipes: list, show, copy, validate.", no_args_is_help=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the recipes that come with lrmctl."""
    from lrmctl import console
    from lrmctl.recipe.load import load_recipe, shipped

    found = {name: load_recipe(path).recipe for name, path in shipped().items()}
    if as_json:
        rows = [{"name": name, "kind": r.kind, "description": r.description} for name, r in found.items()]
        console.emit_json("recipes", rows)
        return
    console.table("", ("recipe", "kind", "what"), [(name, r.kind, r.description) for name, r in found.items()])


@app.command()
def show(recipe: RecipeRef, sets: Sets = None, as_json: AsJson = False) -> None:
    """Show a recipe with everything resolved: what it extends, overrides and every default."""
    import yaml

    from lrmctl import console
    from lrmctl.recipe.load import load_recipe

    loaded = load_recipe(recipe, sets or ())
    if as_json:
        console.emit_json("recipe", loaded.resolved)
    else:
        text = yaml.safe_dump(loaded.resolved, sort_keys=False, allow_unicode=True, width=100)
        console.out.print(text, markup=False, end="")


@app.command()
def copy(
    recipe: RecipeRef,
    to: Annotated[Path | None, typer.Argument(help="New file; ./<name>.yaml by default.")] = None,
) -> None:
    """Copy a recipe to edit it; never overwrites."""
    from lrmctl import console
    from lrmctl.recipe.load import copy_recipe

    console.out.print(copy_recipe(recipe, to), markup=False)


@app.command()
def validate(
    recipes: Annotated[list[str], typer.Argument(metavar="RECIPE...", help="Files or shipped names.")],
    sets: Sets = None,
) -> None:
    """Check recipes without running: keys, values, plugins and their options, the recipes of a study's arms."""
    from lrmctl import console
    from lrmctl.errors import LrmctlError
    from lrmctl.recipe.check import validate
    from lrmctl.recipe.load import load_recipe

    wrong = 0
    for recipe in recipes:
        try:
            validate(load_recipe(recipe, sets or ()))
            console.out.print(f"{recipe}: ok", markup=False)
        except LrmctlError as error:
            console.print_error(error)
            wrong += 1
    if wrong:
        raise typer.Exit(console.USER_ERROR)


@app.command()
def ci(
    out: Annotated[Path, typer.Option("--out", "-o", help="The new file.")] = Path(".github/workflows/lrmctl.yml"),
) -> None:
    """Write a CI workflow for a repository of recipes and plugins; never overwrites."""
    from lrmctl import console
    from lrmctl.templates import write_ci_workflow

    console.out.print(write_ci_workflow(out), markup=False)
