"""Resolves a recipe reference to its files: a file, a shipped recipe, a method and a model, or a plugin's recipe.

Shipped recipes of real models have no file of their own: `MODEL/METHOD` is `methods/METHOD.yaml` overridden by
`models/MODEL.yaml`. The files' content is not read here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import NotFoundError, PluginError, RecipeError

_LISTS = "`lrmctl recipe list` lists the shipped ones"
_OLD_METHODS = {"sft": "sft-star1"}
"""Methods with a different name in the former folder `base/`."""


def recipes_folder() -> Path:
    """The folder of the shipped recipes."""
    package = Path(__file__).resolve().parent.parent
    folder = package / "_recipes"
    return folder if folder.is_dir() else package.parent / "recipes"  # in a source checkout they are at the top level


def schema_file() -> Path:
    """The JSON Schema of recipes that comes with lrmctl."""
    return recipes_folder() / "schema.json"


def shipped_files() -> dict[str, Path]:
    """Every shipped recipe file: name (`lab/rl`, `methods/rl-guard`, `models/qwen3-8b`) -> file."""
    folder = recipes_folder()
    names = ((file.relative_to(folder).with_suffix("").as_posix(), file) for file in folder.rglob("*.yaml"))
    return dict(sorted(names))


def shipped_models() -> dict[str, Path]:
    """Shipped models: name (`qwen3-8b`) -> file."""
    return _in_folder("models")


def shipped_methods() -> dict[str, Path]:
    """Shipped methods: name (`rl-guard`) -> file."""
    return _in_folder("methods")


def _in_folder(folder: str) -> dict[str, Path]:
    files = shipped_files().items()
    return {name.removeprefix(f"{folder}/"): file for name, file in files if name.startswith(f"{folder}/")}


def shipped() -> dict[str, tuple[Path, ...]]:
    """Shipped recipes: name (`lab/rl`, `qwen3-8b/rl-guard`) -> its files, where later files override earlier ones."""
    whole = {n: (file,) for n, file in shipped_files().items() if not n.startswith(("models/", "methods/"))}
    methods = shipped_methods()
    composed = {
        f"{model}/{method}": (methods[method], file) for model, file in shipped_models().items() for method in methods
    }
    return {**whole, **composed}


def _of_plugin(name: str) -> Path | None:
    """The file of a plugin's recipe; None if no plugin registers the name.

    Raises:
        PluginError: the plugin gives no file, or two plugins register the name.
    """
    from lrmctl.hooks import registry

    try:
        entry = registry.find("recipe", name)
    except NotFoundError:
        return None
    given = registry.make("recipe", entry.name)
    file = Path(given) if isinstance(given, str | Path) else None
    if file is None or not file.is_file():
        raise PluginError(f"the recipe {name!r} of {entry.distribution} is {given!r}, which is no file")
    return file


def find_recipe(ref: str | Path, beside: Path | None = None, on: str | None = None) -> tuple[Path, ...]:
    """The files of a recipe; later files override earlier ones.

    Args:
        ref: a file, else the name of a shipped recipe or of a plugin's; with `on`, also that of a shipped method.
        beside: the recipe file that names `ref`; relative files are resolved against its folder.
        on: a model's file, else the name of a shipped model, which overrides `ref`.

    Raises:
        NotFoundError: no such recipe or model; a method without a model.
        RecipeError: `on` is given, but `ref` already names a model.
        PluginError: a plugin's recipe is not there, or two plugins have one of this name.
    """
    if file := _file(ref, beside):
        return (file,) if on is None else (file, _model(on))
    name = str(ref)
    if on is not None:
        if found := shipped_methods().get(name.removeprefix("methods/")):
            return found, _model(on)
        if len(shipped().get(name, ())) > 1:
            method = name.partition("/")[2]
            raise RecipeError(f"{name!r} names a model already", f"--on {on}", f"write {method} --on {on}")
    found_files = shipped().get(name)
    if found_files is None and (offered := _of_plugin(name)):
        found_files = (offered,)
    if found_files is None:
        raise _no_recipe(name, beside)
    return found_files if on is None else (*found_files, _model(on))


def find_part(ref: str, beside: Path) -> tuple[Path, ...]:
    """The files of a name under `extends:`: a recipe, a shipped method (`methods/METHOD`) or a shipped model.

    Raises:
        NotFoundError: nothing has this name.
    """
    files = shipped_files()
    if ref in files and _file(ref, beside) is None:
        return (files[ref],)
    return find_recipe(ref, beside)


def is_part(ref: str) -> bool:
    """Whether a reference is the full name of a shipped method or model."""
    return ref.startswith(("methods/", "models/")) and ref in shipped_files()


def _file(ref: str | Path, beside: Path | None = None) -> Path | None:
    file = (beside.parent if beside else Path()) / ref
    return Path(os.path.normpath(file)) if exists(file) and file.is_file() else None


def exists(file: Path) -> bool:
    """Whether a path exists; False for a string that cannot be a path."""
    try:
        return file.exists()
    except (OSError, ValueError):  # too long, or contains NUL
        return False


def _model(on: str) -> Path:
    models = shipped_models()
    found = _file(on) or models.get(on.removeprefix("models/"))
    if found is None:
        raise NotFoundError(
            f"there is no model {on!r}, neither a file nor a shipped one",
            "--on",
            f"{did_you_mean(on, models)}; a file of your own holds `model: ORG/NAME` and what else it needs",
        )
    return found


def _no_recipe(name: str, beside: Path | None) -> NotFoundError:
    """The error for an unknown recipe, which explains if the name is a method, a model or an old name."""
    where, methods, models = str(beside or ""), shipped_methods(), shipped_models()
    plain = name.removeprefix("methods/").removeprefix("models/")
    if name in (plain, f"methods/{plain}") and plain in methods:
        return NotFoundError(f"{name!r} is a method and needs a model", where, _compose(plain, None, models, beside))
    if name in (plain, f"models/{plain}") and plain in models:
        return NotFoundError(f"{name!r} is a model and needs a method", where, _compose(None, plain, methods, beside))
    folder, _, old = name.partition("/")
    if folder == "base" and (method := _OLD_METHODS.get(old, old)) in methods:
        own = f"write `methods/{method}` and a `model:` of your own; or " if beside else ""
        what = f"{name!r} is 'methods/{method}' now, which names no model"
        return NotFoundError(what, where, own + _compose(method, None, models, beside))
    from lrmctl.hooks import registry

    what = f"there is no recipe {name!r}, neither a file nor a shipped one"
    if broken := registry.problems():
        what += "; a plugin that may offer it did not load:" + "".join(f"\n  {problem}" for problem in broken)
    known = [*shipped(), *(entry.name for entry in registry.names("recipe"))]
    return NotFoundError(what, where, f"{did_you_mean(name, known)}; {_LISTS}")


def _compose(method: str | None, model: str | None, others: Mapping[str, Path], beside: Path | None) -> str:
    """How to combine a method and a model, on the command line or in a file, and the choices for the missing one."""
    a, b = method or "METHOD", model or "MODEL"
    how = f"`{b}/{a}` or `extends: [methods/{a}, models/{b}]`" if beside else f"`{b}/{a}`, or `{a} --on {b}`"
    return f"write {how}; {'METHOD' if method is None else 'MODEL'} is one of {', '.join(others)}"
