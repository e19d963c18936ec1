"""What `lrmctl analyze` prints: the main figures of each part with n and intervals, by set, kind and temperature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lrmctl.console import harmless


class _Figure(NamedTuple):
    """A figure: the part that has it, its key there, and how it is written; shares in percent."""

    name: str
    part: str
    key: str
    form: str


_FIGURES = (
    _Figure("reflections per 1,000 tokens", "reflection", "per_1k", "{:.2f}"),
    _Figure("reflection depth a trace", "reflection", "depth_per_trace", "{:.2f}"),
    _Figure("confirmed reflections", "confirmed", "share", "{:.1%}"),
    _Figure("traces with an unsafe thought", "transitions", "unsafe_share", "{:.1%}"),
    _Figure("onset: safe to unsafe", "transitions", "onset", "{:.1%}"),
    _Figure("recovery: unsafe to safe", "transitions", "recovery", "{:.1%}"),
    _Figure("entropy, nats", "entropy", "mean", "{:.3f}"),
    _Figure("entropy at least, nats", "entropy", "mean_low", "{:.3f}"),
    _Figure("entropy at most, nats", "entropy", "mean_high", "{:.3f}"),
    _Figure("KL to the base, nats", "entropy", "kl", "{:.3f}"),
    _Figure("answer settled after", "early", "settled", "{:.0%}"),
)
COLUMNS = ("set", "kind", "T", "traces", "figure", "value", "95 % interval", "prompts")
_Place = tuple[str, str, float]


def rows(found: Mapping[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    """Names of columns, and one row for each set, kind and temperature and each figure that has a value there."""
    lexicon = next(iter(found["reflection"]["lexicons"]), "")
    parts = {**found, "confirmed": found["reflection"].get("confirmed") or {}}
    places: dict[_Place, list[list[str]]] = {}
    traces: dict[_Place, str] = {}
    for figure in _FIGURES:
        for cell in parts.get(figure.part, {}).get("cells", ()):
            if cell.get("outcome") != "all" or cell.get("lexicon", lexicon) != lexicon:
                continue
            place = cell["set"], cell["kind"], cell["temperature"]
            traces[place] = str(cell["traces"])
            told = cell.get(figure.key) or {}
            if told.get("value") is not None:
                shown = [figure.name, figure.form.format(told["value"]), _interval(told, figure.form), str(told["n"])]
                places.setdefault(place, []).append([*map(_text, place), traces[place], *shown])
    for cell in _further_cells(found):
        place = cell["set"], cell["kind"], cell["temperature"]
        value = f"{cell['value']:.4g} {harmless(cell['unit'])}".rstrip()
        shown = [harmless(cell["figure"]), value, _interval(cell, "{:.4g}"), str(cell["n"])]
        places.setdefault(place, []).append([*map(_text, place), traces.get(place, "-"), *shown])
    return COLUMNS, [row for rows in places.values() for row in rows]


def _further_cells(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Cells of plugins' analyses that have a value: of all outcomes together."""
    for part in found.values():
        if isinstance(part, Mapping) and "analysis" in part:
            yield from (c for c in part["cells"] if c["outcome"] == "all" and c["value"] is not None)


def _interval(told: Mapping[str, Any], form: str) -> str:
    """Both bounds; a dash where one prompt gives none."""
    if told["low"] is None or told["high"] is None:
        return "-"
    return f"{form.format(told['low'])} to {form.format(told['high'])}"


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
