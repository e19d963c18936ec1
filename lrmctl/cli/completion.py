"""What shells complete: recipes, runs and names of plugins as the values of arguments and options.

A shell asks on every TAB, so nothing here imports more than listing needs, a plugin that is slow is not waited for, and
an error completes to nothing. Where nothing matches, shells complete files.
"""

from __future__ import annotations

import glob
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import typer

Completer = Callable[[typer.Context, str], list[str]]
"""From the parsed part of the command line and the beginning of a value to all values that may be meant."""
VARIABLE = "_LRMCTL_COMPLETE"
"""Environment variable by which a shell asks; the scripts of `--show-completion` set it."""
PLUGIN_SECONDS = "1"
_KIND = re.compile(r"^kind:\s*(\w+)", re.M)
_EXTENDS = re.compile(r"^extends:\s*([\w./-]+)\s*(?:#.*)?$", re.M)
_BREAKS = frozenset(":=")
_MOST_FILES = 200


def _completer(values: Callable[[typer.Context, str], Iterable[str]]) -> Completer:
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return [value for value in dict.fromkeys(values(ctx, incomplete)) if value.startswith(incomplete)]
        except Exception:  # nobody wants to read an error while typing
            return []

    return complete


def of_registry(group: str, *others: str) -> Completer:
    """Names that plugins register in a group, and other values."""

    def values(_: typer.Context, __: str) -> Iterator[str]:
        from lrmctl.hooks import registry

        yield from others
        yield from (entry.name for entry in registry.names(group))

    return _completer(values)


def of_words(*words: str) -> Completer:
    """These words."""
    return _completer(lambda _, __: words)


def recipes(*kinds: str) -> Completer:
    """Recipes: shipped ones of these kinds (all if none is named), plugins' and files; with `--on` methods too."""

    def values(ctx: typer.Context, incomplete: str) -> Iterator[str]:
        from lrmctl.hooks import registry
        from lrmctl.recipe.find import shipped, shipped_methods

        known: dict[Path, str] = {}
        if "on" in ctx.params:
            methods = {name: (file,) for name, file in shipped_methods().items()}
            yield from (name for name, files in methods.items() if _is_of(files, kinds, known))
        if not ctx.params.get("on"):
            yield from (name for name, files in shipped().items() if _is_of(files, kinds, known))
        yield from (entry.name for entry in registry.names("recipe"))
        yield from _yaml_files(incomplete)

    return _completer(values)


def _is_of(files: tuple[Path, ...], kinds: tuple[str, ...], known: dict[Path, str]) -> bool:
    return not kinds or any(_kind(file, known) in (*kinds, "?") for file in files[:1])


def _kind(file: Path, known: dict[Path, str], depth: int = 4) -> str:
    """A recipe's kind, as its text or that of what it extends says; `?` if neither does."""
    if file not in known:
        text = file.read_text(encoding="utf-8")
        if found := _KIND.search(text):
            known[file] = found[1]
        elif depth and (extends := _EXTENDS.search(text)):
            from lrmctl.recipe.find import find_part

            known[file] = _kind(find_part(extends[1], file)[0], known, depth - 1)
        else:
            known[file] = "?"
    return known[file]


def _yaml_files(incomplete: str) -> Iterator[str]:
    """YAML files in the folder that is being typed, and in the folders that match."""
    folder, slash, name = incomplete.rpartition("/")
    around = Path(folder or slash or ".").expanduser()
    matching = sorted(path for path in around.glob(f"{glob.escape(name)}*") if not path.name.startswith("."))
    for path in matching[:_MOST_FILES]:
        inside = sorted(path.glob("*.y*ml"))[:_MOST_FILES] if path.is_dir() else [path]
        for file in inside:
            if file.suffix in (".yaml", ".yml"):
                yield f"{folder}{slash}{path.name}" + ("" if file is path else f"/{file.name}")


def shipped_models() -> Completer:
    """Shipped models of `--on`, and their files."""

    def values(_: typer.Context, incomplete: str) -> Iterator[str]:
        from lrmctl.recipe.find import shipped_models

        yield from shipped_models()
        yield from _yaml_files(incomplete)

    return _completer(values)


def runs(*others: str, qualified: bool = False, variants: bool = False, studies: bool = False) -> Completer:
    """Runs in the runs folder.

    Args:
        others: further values.
        qualified: only as `run:NAME`, where a bare name would mean something else; else so if `run:` is typed.
        variants: after `@`, the evaluations beside a run's own.
        studies: studies by their names too.
    """

    def values(ctx: typer.Context, incomplete: str) -> Iterator[str]:
        from lrmctl.runs.listing import all_runs
        from lrmctl.runs.names import runs_folder
        from lrmctl.runs.study_cells import is_study

        folder = Path(ctx.params.get("runs_dir") or runs_folder())
        prefix = "run:" if qualified or incomplete.startswith("run:") else ""
        yield from others
        if studies:
            yield from (path.name for path in sorted(folder.glob("*")) if is_study(path))
        for run in all_runs(folder):
            name = f"{prefix}{run.relative_to(folder).as_posix()}"
            yield name
            if variants and incomplete.startswith(f"{name}@"):
                yield from (f"{name}@{path.name.removeprefix('eval-')}" for path in sorted(run.glob("eval-*")))

    return _completer(values)


def any_of(*completers: Completer) -> Completer:
    """The values of several."""
    return _completer(lambda ctx, incomplete: [value for one in completers for value in one(ctx, incomplete)])


def groups() -> Completer:
    """Kinds of plugins."""

    def values(_: typer.Context, __: str) -> Iterable[str]:
        from lrmctl.hooks.manager import GROUPS

        return GROUPS

    return _completer(values)


def metrics() -> Completer:
    """Names of metrics."""

    def values(_: typer.Context, __: str) -> Iterable[str]:
        from lrmctl.metrics import METRICS

        return [name for of_kind in METRICS.values() for name in of_kind]

    return _completer(values)


def alarms() -> Completer:
    """Names of the monitor's alarms."""

    def values(_: typer.Context, __: str) -> Iterable[str]:
        from lrmctl.monitors.alarms.catalogue import ALARMS

        return ALARMS

    return _completer(values)


def answer(app: typer.Typer) -> int:
    """Answer a shell that completes, whatever fails; returns the exit code."""
    from lrmctl.hooks.isolation import TIMEOUT_VARIABLE

    os.environ[TIMEOUT_VARIABLE] = PLUGIN_SECONDS
    typed = _join_bash_words() if os.environ[VARIABLE] == "complete_bash" else ""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    code: object = 0
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        try:
            app(prog_name="lrmctl", standalone_mode=False)
        except SystemExit as error:
            code = error.code or 0
        except BaseException:
            return 1
    text = out.buffer.getvalue().decode()
    sys.stdout.write("".join(line.removeprefix(typed) for line in text.splitlines(keepends=True)))
    return code if isinstance(code, int) else 1


def _join_bash_words() -> str:
    """Join `run : NAME` and `--on = NAME`, which bash splits, in the variables that the parser reads.

    Returns the beginning of a completed value that bash has as a word of its own (`run:`) and must not be given again.
    """
    env = os.environ
    at = int(env.get("COMP_CWORD", "0"))
    words = env.get("COMP_WORDS", "").split("\n")[: at + 1]
    joined: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if joined and (_is_break(word) or _is_break(before)):
            joined[-1] += word
        else:
            joined.append(word)
    if len(joined) == len(words):
        return ""
    os.environ.update(COMP_WORDS="\n".join(joined), COMP_CWORD=str(len(joined) - 1))
    value = joined[-1].partition("=")[2] if joined[-1].startswith("-") else joined[-1]
    return value[: value.rfind(":") + 1]


def _is_break(word: str) -> bool:
    return bool(word) and set(word) <= _BREAKS
