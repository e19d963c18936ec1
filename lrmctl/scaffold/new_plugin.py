"""Writes the package of a new plugin: a small example of its kind with tests, ready to install and to change."""

from __future__ import annotations

import keyword
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from lrmctl.errors import NotFoundError, RecipeError, RunExistsError

PluginKind = Literal["reward", "judge", "benchmark", "lexicon", "backend", "tracker"]
"""Kinds of plugin that there is an example of."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LONGEST = 60
_SHARED = {"pyproject.toml": "pyproject.toml", "gitignore": ".gitignore", "test.yml": ".github/workflows/test.yml"}
_WHAT: Mapping[PluginKind, str] = {
    "reward": "A reward: the share of a text's sentences that say something for the first time",
    "judge": "A judge: unsafe if a text contains one of a list of phrases",
    "benchmark": "A benchmark: a few harmful prompts, and harmless ones that sound alike",
    "lexicon": "A lexicon: words with which a model says that it is not sure",
    "backend": "A training backend: SFT on one device with plain PyTorch",
    "tracker": "A tracker: the metrics of a run as a CSV table in its folder",
}
_USE: Mapping[PluginKind, str] = {
    "reward": "reward:\n  components:\n    - {use: format}\n    - {use: NAME, part: thinking, weight: 0.2}",
    "judge": "evaluation:\n  judge: NAME",
    "benchmark": "evaluation:\n  safety: [NAME]",
    "lexicon": "analysis:\n  lexicons: [NAME]",
    "backend": "backend: {name: NAME}\noptimizer: {schedule: constant, warmup_ratio: 0}",
    "tracker": "trackers: [NAME]",
}
_TRY: Mapping[PluginKind, str] = {
    "reward": "lrmctl reward test NAME",
    "judge": "lrmctl judge show NAME",
    "benchmark": "lrmctl benchmark show NAME",
}


class NewPlugin(NamedTuple):
    """A package that was written.

    Attributes:
        folder: of the package.
        name: by which recipes will use it.
        commands: what to type next, in order.
    """

    folder: Path
    distribution: str
    name: str
    kind: PluginKind
    commands: tuple[str, ...]


def new_plugin(distribution: str, kind: PluginKind, out: Path | None = None) -> NewPlugin:
    """Write the package of a plugin to a new folder.

    Args:
        distribution: the name by which it is installed. Without the words `lrmctl` and the kind in front, it is also
            the name that recipes use: `lrmctl-reward-novelty` registers the reward `novelty`.
        out: the folder; `./<distribution>` by default.

    Raises:
        RecipeError: not a name for a distribution, or one that stands in the way of another.
        RunExistsError: the folder exists.
        NotFoundError: the folder cannot be created.
    """
    module, name = _checked(distribution, kind)
    folder = Path(distribution) if out is None else out
    if folder.exists() or folder.is_symlink():
        raise RunExistsError(f"{folder} is already there", fix="name another folder with --out, or remove it")
    texts = dict(_rendered(distribution, module, name, kind))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".lrmctl-new-") as scratch:
            whole = Path(scratch) / "package"
            for path, text in texts.items():
                (whole / path).parent.mkdir(parents=True, exist_ok=True)
                (whole / path).write_text(text, encoding="utf-8")
            shutil.move(whole, folder)  # all of it, or nothing
    except OSError as error:
        raise NotFoundError(f"{folder} cannot be written: {error.strerror or error}") from None
    return NewPlugin(folder, distribution, name, kind, tuple(_commands(distribution, name, kind, folder)))


def _checked(distribution: str, kind: PluginKind) -> tuple[str, str]:
    """The module and the registered name of a distribution."""
    if kind not in get_args(PluginKind):
        raise RecipeError(
            f"there is no example of a {kind}", "--kind", f"choose one of {', '.join(get_args(PluginKind))}"
        )
    if not _NAME.fullmatch(distribution) or len(distribution) > _LONGEST:
        fix = f"letters, digits and single - between them, at most {_LONGEST}, e.g. lrmctl-{kind}-novelty"
        raise RecipeError(f"{distribution!r} is not a name for a distribution", "NAME", fix)
    normal = re.sub(r"[-_.]+", "-", distribution).lower()
    module = normal.replace("-", "_")
    fix = f"choose another, e.g. lrmctl-{kind}-{normal}"
    if not module.isidentifier():
        raise RecipeError(f"the module of {distribution!r} would be {module}, which starts with a digit", "NAME", fix)
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module in ("lrmctl", "test", "tests"):
        raise RecipeError(f"the module of {distribution!r} would be {module}, which Python or lrmctl has", "NAME", fix)
    if (found := PathFinder.find_spec(module)) is not None and found.origin is not None:
        what = f"the module of {distribution!r} would be {module}, which is installed already: {found.origin}"
        raise RecipeError(what, "NAME", "choose another, or uninstall that one first")
    words = normal.removeprefix("lrmctl-").removeprefix(f"{kind}-")
    if _is_builtin(kind, words):
        what = f"{words!r} is a {kind} of lrmctl itself, which a plugin cannot replace"
        raise RecipeError(what, "NAME", f"choose another, e.g. {distribution}-mine")
    return module, words


def _is_builtin(kind: PluginKind, name: str) -> bool:
    from lrmctl.hooks.manager import load_builtins

    return any((entry.group, entry.name) == (kind, name) for entry in load_builtins().entries)


def _rendered(distribution: str, module: str, name: str, kind: PluginKind) -> Iterator[tuple[str, str]]:
    """Path in the package -> text."""
    from jinja2 import Environment, StrictUndefined

    from lrmctl._util.version import __version__

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    major, minor, *_ = __version__.split(".")
    try_it = f"    {_TRY[kind].replace('NAME', name)}\n" if kind in _TRY else ""
    facts: dict[str, Any] = {
        "distribution": distribution,
        "module": module,
        "name": name,
        "kind": kind,
        "class_name": _class_name(name, kind),
        "what": _WHAT[kind],
        "use": f"```yaml\n{_USE[kind].replace('NAME', name)}\n```",
        "try_it": try_it,
        "oldest": f"{major}.{minor}",
        "newest": int(major) + 1,
    }
    package = f"src/{module}"
    own = {"module.py": f"{package}/__init__.py", "test.py": f"tests/test_{module}.py"}
    templates = {**_SHARED, "README.md": "README.md", **{f"{kind}/{key}": path for key, path in own.items()}}
    for extra in ("trainer.py", "prompts.jsonl"):
        if (_templates() / kind / f"{extra}.jinja").is_file():
            templates[f"{kind}/{extra}"] = f"{package}/{extra}"
    for template, path in templates.items():
        text = (_templates() / f"{template}.jinja").read_text(encoding="utf-8")
        yield path, environment.from_string(text).render(facts)
    yield f"{package}/py.typed", ""


def _templates() -> Any:
    return files("lrmctl.scaffold") / "plugin"


def _class_name(name: str, kind: PluginKind) -> str:
    """`short-thoughts` -> `ShortThoughts`; with the kind behind it if it would begin with a digit or mean a builtin."""
    camel = "".join(word.capitalize() for word in name.split("-"))
    return camel if camel.isidentifier() and camel not in _TAKEN else f"{kind.capitalize()}{camel}"


_TAKEN = {
    *(
        "Any",
        "Backend",
        "Benchmark",
        "Callable",
        "False",
        "Judge",
        "Lexicon",
        "None",
        "Part",
        "Path",
        "Plan",
        "Problem",
    ),
    *("Progress", "Prompt", "Register", "Reward", "Score", "Sequence", "Trace", "Tracker", "True", "Verdict"),
}
"""Names that the templates use themselves."""


def _commands(distribution: str, name: str, kind: PluginKind, folder: Path) -> Iterator[str]:
    import shlex

    yield f"cd {shlex.quote(str(folder))}"
    yield "pip install -e '.[dev]'"
    yield "pytest"
    yield f"lrmctl plugin test {distribution}"
    if kind in _TRY:
        yield _TRY[kind].replace("NAME", name)
