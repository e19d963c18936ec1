"""What `lrmctl analyze` prints: the main figures of each part, by set, kind and temperature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class _Column(NamedTuple):
    """A figure: the part that has it, its key there, and how it is written; shares in percent."""

    name: str
    part: str
    key: str
    form: str


_COLUMNS = (
    _Column("reflections/1k", "reflection", "per_1k", "{:.2f}"),
    _Column("depth/trace", "reflection", "depth_per_trace", "{:.2f}"),
    _Column("unsafe thoughts", "transitions", "unsafe_share", "{:.1%}"),
    _Column("onset", "transitions", "onset", "{:.1%}"),
    _Column("recovery", "transitions", "recovery", "{:.1%}"),
    _Column("entropy", "entropy", "mean", "{:.3f}"),
    _Column("entropy from", "entropy", "mean_low", "{:.3f}"),
    _Column("to", "entropy", "mean_high", "{:.3f}"),
    _Column("KL to base", "entropy", "kl", "{:.3f}"),
    _Column("settled at", "early", "settled", "{:.0%}"),
)
_Place = tuple[str, str, float]


def rows(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Names of columns and rows of cells; columns without a figure are left out."""
    lexicon = next(iter(found["reflection"]["lexicons"]), "")
    figures: dict[_Place, dict[str, str]] = {}
    counts: dict[_Place, int] = {}
    for column in _COLUMNS:
        for cell in found.get(column.part, {}).get("cells", ()):
            if cell.get("outcome") != "all" or cell.get("lexicon", lexicon) != lexicon:
                continue
            place = cell["set"], cell["kind"], cell["temperature"]
            counts.setdefault(place, cell["traces"])
            value = (cell.get(column.key) or {}).get("value")
            if value is not None:
                figures.setdefault(place, {})[column.name] = column.form.format(value)
    shown = [column.name for column in _COLUMNS if any(column.name in of for of in figures.values())]
    return (
        ["set", "kind", "T", "traces", *shown],
        [
            [*map(_text, place), str(n), *(figures.get(place, {}).get(c, "") for c in shown)]
            for place, n in counts.items()
        ],
    )


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def notes(found: Mapping[str, Any]) -> Iterator[str]:
    """What the figures were made with."""
    for name, lexicon in list(found["reflection"]["lexicons"].items())[:1]:
        yield f"reflections: lexicon {name}, version {lexicon['version']}"
    if part := found.get("transitions"):
        yield f"unsafe thoughts: judge {part['judge']} {part['judge_version']}, segments by {part['by']}"
    if part := found.get("entropy"):
        yield f"entropy: {part['method']}"
    if part := found.get("recovery"):
        for cell in part["cells"]:
            curve = ", ".join(f"{p['tokens']}: {p['safe']['value']:.0%}" for p in cell["curve"] if _known(p))
            yield f"safe after forced unsafe tokens, {cell['set']} at {cell['temperature']:g}: {curve}"


def _known(point: Mapping[str, Any]) -> bool:
    return point["safe"]["value"] is not None
