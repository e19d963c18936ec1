"""YAML reader that records where every value was written.

`read` returns plain data and the file and line of each key path; `merge` and `assign` keep both consistent through
`extends` and `--set`. Knows nothing of the recipe schema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lrmctl.errors import NotFoundError, RecipeError

KeyPath = tuple[str | int, ...]
_MAX_NODES = 100_000
_TOO_LARGE = 2**63  # does not fit into 64 bits
_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core scalars: `no` and `2024-01-01` are text and `1e-6` is a number, unlike in YAML 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


def _scalars() -> None:
    number = list("-+0123456789")
    _Loader.add_implicit_resolver(_TAG + "null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
    _Loader.add_implicit_resolver(_TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    _Loader.add_implicit_resolver(_TAG + "int", re.compile(r"^[-+]?(?:0|[1-9][0-9_]*)$|^0x[0-9a-fA-F]+$"), number)
    real = r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$|^[-+]?[0-9]+[eE][-+]?[0-9]+$"
    special = r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    _Loader.add_implicit_resolver(_TAG + "float", re.compile(real + special), [*number, "."])


_scalars()


@dataclass(frozen=True)
class SourcePosition:
    """Where a value was written: a file and its line, or `--set key=value`."""

    file: Path | None
    line: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else self.text


@dataclass
class Document:
    """Data with the source position of each key path; the empty path is the whole document."""

    data: Any
    marks: dict[KeyPath, SourcePosition] = field(default_factory=dict)

    def where(self, path: KeyPath) -> SourcePosition:
        """Position of the key, or of its nearest enclosing section that is known."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.marks:
                return self.marks[path[:end]]
        return SourcePosition(None)


def read(file: Path) -> Document:
    """Read one YAML file.

    Raises:
        NotFoundError: no such file.
        RecipeError: not readable, not YAML, a key twice, or a value that is not plain data.
    """
    return parse(text_of(file), file)


def text_of(file: Path) -> str:
    """The text of a recipe's file.

    Raises:
        NotFoundError: no such file.
        RecipeError: not readable.
    """
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {file}") from None
    except UnicodeDecodeError:
        raise RecipeError("is not UTF-8 text", where=str(file)) from None
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", where=str(file)) from None


def parse(text: str, file: Path) -> Document:
    """Read YAML text; `file` is what errors name."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        document = Document(None)
        if node is not None:
            document.data = _Builder(file, document.marks).build(node, (), _mark(file, node))
        return document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise RecipeError(error.problem or "is not YAML", where=f"{file}:{mark.line + 1 if mark else 1}") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"is not YAML: {str(error).splitlines()[0]}", where=str(file)) from None
    except RecursionError:
        raise RecipeError("is nested too deeply", where=str(file)) from None


def parse_value(text: str, place: str) -> Any:
    """Parse the value of `--set key=value` as YAML."""
    try:
        return parse(text, Path("value")).data
    except RecipeError as error:
        raise RecipeError(error.what, where=place) from None


def parse_options(texts: Sequence[str], flag: str = "--option") -> dict[str, Any]:
    """Options given on the command line as `key=value`, each value typed as in YAML.

    Raises:
        RecipeError: one is not `key=value`, or its value is no YAML.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise RecipeError("is not an option", f"{flag} {text}", f"write {flag} name=value")
        found[name.strip()] = parse_value(value, f"{flag} {text}")
    return found


def _mark(file: Path, node: yaml.Node) -> SourcePosition:
    return SourcePosition(file, node.start_mark.line + 1)


class _Builder:
    """Converts YAML nodes to data and records positions; rejects duplicate keys, custom tags and alias bombs."""

    def __init__(self, file: Path, marks: dict[KeyPath, SourcePosition]) -> None:
        self.file = file
        self.marks = marks
        self.count = 0

    def build(self, node: yaml.Node, path: KeyPath, mark: SourcePosition) -> Any:
        self.count += 1
        if self.count > _MAX_NODES:
            raise RecipeError("expands to too many values; are there aliases of aliases?", where=str(mark))
        self.marks[path] = mark
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.build(item, (*path, i), _mark(self.file, item)) for i, item in enumerate(node.value)]
        return self._scalar(node, mark)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            mark = _mark(self.file, key)
            if not isinstance(key, yaml.ScalarNode):
                raise RecipeError("a key must be a word, not a list or mapping", where=str(mark))
            if key.value in data:
                first = self.marks[(*path, key.value)].line
                raise RecipeError(f"{key.value!r} is already said in line {first}", where=str(mark))
            data[key.value] = self.build(value, (*path, key.value), mark)
        return data

    def _scalar(self, node: yaml.Node, mark: SourcePosition) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if not isinstance(node, yaml.ScalarNode) or kind not in ("null", "bool", "int", "float", "str"):
            raise RecipeError(f"the tag {node.tag!r} is not plain data", where=str(mark))
        try:
            value = yaml.constructor.SafeConstructor().construct_object(node)
        except (ValueError, KeyError) as error:
            raise RecipeError(f"{node.value[:40]!r} is not a {kind}: {error}", where=str(mark)) from None
        if isinstance(value, float) and not math.isfinite(value):
            raise RecipeError(f"{node.value[:40]!r} is not a finite number", where=str(mark))
        if isinstance(value, int) and abs(value) >= _TOO_LARGE:
            raise RecipeError(f"{node.value[:40]!r} is too large a number", where=str(mark))
        return value


def merge(base: Document, over: Document) -> Document:
    """Merge `over` onto `base`: mappings are merged key by key, anything else is replaced."""
    merged = Document(deepcopy(base.data), dict(base.marks))
    for key, value in over.data.items():
        _place(merged, (key,), value, over.marks)
    merged.marks[()] = over.where(())
    return merged


def _place(target: Document, path: KeyPath, value: Any, marks: Mapping[KeyPath, SourcePosition]) -> None:
    holder = _get(target.data, path[:-1])
    old = holder.get(path[-1])
    if isinstance(old, dict) and isinstance(value, dict):
        target.marks[path] = marks[path]
        for key, inner in value.items():
            _place(target, (*path, key), inner, marks)
        return
    _forget(target, path)
    holder[path[-1]] = deepcopy(value)
    target.marks.update({p: m for p, m in marks.items() if p[: len(path)] == path})


def assign(document: Document, dotted: str, value: Any, place: str) -> None:
    """Set `a.b.0.c` to a value, creating mappings as needed; `place` is the position named in errors about it.

    Raises:
        RecipeError: the path is not a valid key, or runs past the end of a list.
    """
    path: list[str | int] = []
    holder = document.data
    *parents, last = dotted.split(".")
    for word in parents:
        key = _step(holder, word, dotted, place)
        if isinstance(holder, dict) and not isinstance(holder.get(str(key)), (dict, list)):
            holder[str(key)] = {}
        path.append(key)
        holder = holder[key]
    key = _step(holder, last, dotted, place)
    path.append(key)
    _forget(document, tuple(path))
    holder[key] = deepcopy(value)
    document.marks[tuple(path)] = SourcePosition(None, text=place)


def leaves(document: Document, dotted: str, value: Any) -> list[tuple[str, Any]]:
    """The keys that an override of `a.b` sets: a mapping over a mapping sets each key separately, so none is lost."""
    there: Any = document.data
    for word in dotted.split("."):
        there = there.get(word) if isinstance(there, dict) else _item(there, word)
    if not (isinstance(there, dict) and isinstance(value, dict) and value) or any("." in str(key) for key in value):
        return [(dotted, value)]
    return [leaf for key, inner in value.items() for leaf in leaves(document, f"{dotted}.{key}", inner)]


def _item(holder: Any, word: str) -> Any:
    inside = isinstance(holder, list) and re.fullmatch(r"[0-9]{1,9}", word) and int(word) < len(holder)
    return holder[int(word)] if inside else None


def _step(holder: Any, word: str, dotted: str, place: str) -> str | int:
    if isinstance(holder, dict) and word:
        return word
    if isinstance(holder, list) and re.fullmatch(r"[0-9]{1,9}", word) and int(word) < len(holder):
        return int(word)
    if isinstance(holder, list):
        raise RecipeError(f"{word!r} in {dotted!r} is not an index of a list of {len(holder)}", where=place)
    raise RecipeError(f"{dotted!r} is not a key", where=place, fix="write --set section.key=value")


def _get(data: Any, path: KeyPath) -> Any:
    for key in path:
        data = data[key]
    return data


def _forget(document: Document, path: KeyPath) -> None:
    for known in [p for p in document.marks if p[: len(path)] == path]:
        del document.marks[known]


def walk(data: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every value with its path, containers before their content."""
    yield path, data
    if isinstance(data, (dict, list)):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from walk(value, (*path, key))


def dotted(path: KeyPath) -> str:
    return ".".join(str(key) for key in path)
