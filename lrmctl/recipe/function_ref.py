"""References to functions in files, `fn: ./my_reward.py:score`: parsing them, and checking them statically.

The file is parsed, never executed, so a recipe is validated without running any of its reward code.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import NotFoundError, RecipeError

BATCH = "traces"
"""A first parameter of this name takes a list of traces; with any other name it takes one trace."""
GROUP = "group"
"""A first parameter of this name takes the traces of one prompt: the function compares them."""
_OWN = ("part", BATCH, GROUP, "trace")


@dataclass(frozen=True)
class FunctionRef:
    """A function in a file: `path/to/file.py:name`."""

    file: Path
    name: str

    @classmethod
    def parse(cls, text: str) -> FunctionRef:
        """Raises ValueError if the text is not of the form `file.py:function`."""
        file, _, name = text.rpartition(":")
        if not file.endswith(".py") or not name.isidentifier():
            raise ValueError(f"{text!r} does not name a function in a file; write ./file.py:function")
        return cls(Path(file), name)

    @property
    def label(self) -> str:
        """Its name in the logs: the function's name, or the file's if the function is just called `score`."""
        return self.file.stem if self.name == "score" else self.name

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"


def absolute(text: str, folder: Path) -> str:
    """The reference with an absolute file; other text is returned unchanged, for the schema to reject."""
    try:
        ref = FunctionRef.parse(text)
        return str(FunctionRef((folder / ref.file.expanduser()).resolve(), ref.name))
    except (ValueError, OSError, RuntimeError):
        return text


def functions_of(resolved: Any) -> Iterator[str]:
    """Every `fn:` of a resolved recipe."""
    if isinstance(resolved, Mapping):
        for key, value in resolved.items():
            if key == "components" and isinstance(value, list):
                yield from (c["fn"] for c in value if isinstance(c, Mapping) and c.get("fn"))
            elif key != "options":
                yield from functions_of(value)


def fingerprints(resolved: Any) -> dict[str, str]:
    """sha256 of each file from which a resolved recipe takes a function; missing files are left out."""
    files = {FunctionRef.parse(text).file for text in functions_of(resolved)}
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files) if file.is_file()}


def check_function(text: str, options: Mapping[str, Any], *, part: str = "whole") -> None:
    """Check from the source alone that the function exists and takes the recipe's options.

    For a name not bound by a plain `def` (imported, assigned), only its existence is checked.

    Raises:
        NotFoundError: no such file, or no such function in it.
        RecipeError: not Python; a class or a coroutine; unknown or missing options.
    """
    ref = FunctionRef.parse(text)
    found = _plain(ref, _bound(_tree(ref.file)))
    if found is not None:
        _check_options(found, options, part, f"{ref.file}:{found.lineno}")


def compares_samples(text: str) -> bool:
    """Whether the function takes the samples of one prompt together, as far as its source shows.

    Raises:
        NotFoundError, RecipeError: as `check_function`.
    """
    ref = FunctionRef.parse(text)
    found = _plain(ref, _bound(_tree(ref.file)))
    return found is not None and [a.arg for a in (*found.args.posonlyargs, *found.args.args)][:1] == [GROUP]


def _plain(ref: FunctionRef, names: Mapping[str, ast.stmt]) -> ast.FunctionDef | None:
    """The `def` of a function; None if the name is bound in another way (imported, assigned)."""
    found = names.get(ref.name)
    if isinstance(found, ast.ClassDef | ast.AsyncFunctionDef):
        kind = "a class" if isinstance(found, ast.ClassDef) else "a coroutine"
        raise RecipeError(
            f"{ref.name} is {kind}, not a function", f"{ref.file}:{found.lineno}", "name a plain function"
        )
    if found is None and "*" not in names:
        functions = [name for name, node in names.items() if isinstance(node, ast.FunctionDef)]
        raise NotFoundError(f"there is no function {ref.name!r}", str(ref.file), did_you_mean(ref.name, functions))
    return found if isinstance(found, ast.FunctionDef) else None


@dataclass(frozen=True)
class FunctionSource:
    """What is known of a function from its source.

    Attributes:
        options: name, default and annotation of each parameter after the first, as source text (empty for none).
        range: the bounds that the file assigns to `function.range`, if they are two numbers.
    """

    doc: str
    options: tuple[tuple[str, str, str], ...]
    range: tuple[float, float] | None


def read_function(ref: FunctionRef) -> FunctionSource:
    """Read a function's source; empty for a name that is not bound by a plain `def`.

    Raises:
        NotFoundError: no such file, or no such function in it.
        RecipeError: not Python; a class or a coroutine.
    """
    tree = _tree(ref.file)
    found = _plain(ref, _bound(tree))
    if found is None:
        return FunctionSource("", (), None)
    given = found.args
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    pairs = [*zip(positional[1:], defaults[1:], strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    options = tuple((a.arg, _written(default), _written(a.annotation)) for a, default in pairs)
    return FunctionSource(ast.get_docstring(found) or "", options, _range_of(ref.name, tree))


def _written(node: ast.expr | None) -> str:
    return ast.unparse(node) if node is not None else ""


def _range_of(name: str, tree: ast.Module) -> tuple[float, float] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [f"{name}.range"]:
            try:
                low, high = ast.literal_eval(node.value)
                return float(low), float(high)
            except (ValueError, TypeError):
                return None
    return None


def _tree(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), str(file))
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {file}") from None
    except OSError as error:
        raise NotFoundError(f"cannot be read: {error.strerror}", str(file)) from None
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise RecipeError(f"is not Python: {getattr(error, 'msg', error)}", f"{file}{line}") from None


def _bound(tree: ast.Module) -> dict[str, ast.stmt]:
    """Names bound at module level; includes `*` if the file has a star import."""
    names: dict[str, ast.stmt] = {}
    todo: list[ast.stmt] = list(tree.body)
    while todo:
        node = todo.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[node.name] = node
        elif inner := [part for key in ("body", "orelse", "finalbody") for part in getattr(node, key, ())]:
            todo += [*inner, *(part for handler in getattr(node, "handlers", ()) for part in handler.body)]
        else:
            names |= dict.fromkeys(_assigned(node), node)
    return names


def _assigned(node: ast.stmt) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.alias):
            yield (inner.asname or inner.name).partition(".")[0]
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id


def _check_options(found: ast.FunctionDef, options: Mapping[str, Any], part: str, where: str) -> None:
    given, named = found.args, [a.arg for a in found.args.kwonlyargs]
    positional = [a.arg for a in (*given.posonlyargs, *given.args)]
    if not positional:
        raise RecipeError(f"{found.name} takes no trace", where, f"write def {found.name}(trace): ...")
    keywords = [a.arg for a in given.args if a.arg != positional[0]] + named
    if part != "whole" and "part" not in keywords:
        what = f"{found.name} does not ask which part it is to score, and the recipe says `part: {part}`"
        raise RecipeError(what, where, "give it a parameter `part`, or leave `part:` out")
    for name in options:
        if name in _OWN or (name not in keywords and not given.kwarg):
            hint = did_you_mean(name, [k for k in keywords if k not in _OWN]) or "it takes no options"
            raise RecipeError(f"{found.name} does not take the option {name!r}", where, hint)
    optional = [a.arg for a in given.args[len(given.args) - len(given.defaults) :]] if given.defaults else []
    optional += [a.arg for a, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is not None]
    if lacking := [k for k in keywords if k not in (*optional, *options, "part")]:
        fix = "say it under `options:`, or give it a default"
        raise RecipeError(f"{found.name} needs the option {lacking[0]!r}", where, fix)
