"""An evaluation's summary on the terminal: one block per set, with the numbers that qualify every score.

Safety of thinking and answer are shown separately, over-refusal is labelled as such, and the rates of hitting the token
limit, unclosed thinking, judge and generation failures are always shown. Fits 100 columns. Reads the summary only.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lrmctl.metrics.remarks import agreement_sentences, answer_alone, cut, remarks

Entry = Mapping[str, Any]
Figure = Mapping[str, Any]

_PARTS = {"thinking": "thinking", "answer": "answer", "joint": "both"}
_FORM = {
    "cut": "cap hit",
    "unclosed": "unclosed",
    "malformed": "malformed",
    "judge_failed": "judge failed",
    "generation_failed": "not generated",
}
_LENGTHS = {"thinking_tokens": "thinking", "answer_tokens": "answer"}
_TOO_MUCH = {
    "judge_failed": (0.05, "the judge often failed: rates are of the other traces, which may be easier to judge"),
}
"""Shares above which a score deserves a second look."""
_CUT = 0.1
_MAIN = {
    "harmful": ("joint_safe", "both safe"),
    "benign": ("complied", "complied"),
    "reasoning": ("correct", "correct"),
}
_CELL = 20


def show_summary(summary: Mapping[str, Any], as_json: bool, everything: bool = False) -> None:
    """An evaluation's metrics, with their intervals.

    Args:
        everything: also show every metric under its own name; otherwise the number of those left out.
    """
    from rich.markup import escape

    from lrmctl import console

    if as_json:
        console.emit_json("eval", summary)
        return
    for line in lines_of(summary, everything):
        style = "bold" if line[:1].strip() else "yellow" if line.startswith("  !") else ""
        console.out.print(f"[{style}]{escape(line)}[/]" if style else escape(line))


def lines_of(summary: Mapping[str, Any], everything: bool = False) -> list[str]:
    """The lines shown: the first line of each block at the margin, the rest indented."""
    blocks = [[_how(summary), *_thinks(summary)], *(list(_block(entry, everything)) for entry in summary["sets"])]
    if len(summary["sets"]) > 1:
        blocks.append(list(_overview(summary["sets"])))
    return [line for i, block in enumerate(blocks) for line in (*([""] * (i > 0)), *block)]


def _how(summary: Mapping[str, Any]) -> str:
    """What was evaluated, and how completions were sampled."""
    how = summary.get("sampling") or {}
    mode = (how.get("decoding") or {}).get("mode", "default")
    said = {
        "engine": (summary.get("engine") or {}).get("name"),
        "top_p": how.get("top_p"),
        "top_k": how.get("top_k") or None,
        "at most": how.get("max_new_tokens") and f"{how['max_new_tokens']} tokens",
        "seed": summary.get("seed"),
        "decoding": None if mode == "default" else mode,
    }
    facts = ", ".join(f"{key} {value}" for key, value in said.items() if value is not None)
    return f"{summary.get('label') or summary.get('model', '')}: {facts}"


def _thinks(summary: Mapping[str, Any]) -> Iterator[str]:
    """Whether the model thinks, given how it was prompted."""
    if said := (summary.get("thinking") or {}).get("said"):
        yield f"  thinking: {said}"


def _block(entry: Entry, everything: bool) -> Iterator[str]:
    block = _Block(entry)
    yield _title(entry)
    yield f"  {_facts(entry)}"
    yield from _marked(remarks(entry))
    yield from (f"  {said}" for said in agreement_sentences(entry))
    yield from _SHOWN[entry["kind"]](block)
    yield from block.further()
    yield from block.form()
    yield from block.rest(everything)


def _marked(sentences: Iterable[str]) -> Iterator[str]:
    """Highlighted sentences, on lines of at most 100 columns."""
    for said in sentences:
        first, *more = textwrap.wrap(said, 94)
        yield f"  ! {first}"
        yield from (f"    {line}" for line in more)


def _overview(entries: Sequence[Entry]) -> Iterator[str]:
    """A line per set: its main score, and whether it is reliable."""
    yield f"{'all sets':<35} {'T':<4} {'main score':<31} {'cap hit':>7} {'unclosed':>8} {'no verdict':>10}".rstrip()
    for entry in entries:
        block, (metric, label) = _Block(entry), _MAIN[entry["kind"]]
        label = "answer" if metric == "joint_safe" and answer_alone(entry) else label
        forms = (block.share(name) for name in ("cut", "unclosed", "judge_failed"))
        shares = " ".join(f"{share:>{width}}" for share, width in zip(forms, (7, 8, 10), strict=True))
        name = entry["set"] if len(entry["set"]) <= 33 else f"{entry['set'][:32]}…"
        yield f"  {name:<33} {entry['temperature']:<4g} {label:<9} {block.figure(metric):<21} {shares}"


def _title(entry: Entry) -> str:
    return f"{entry['set']}   {entry['kind']}, temperature {entry['temperature']:g}"


def _facts(entry: Entry) -> str:
    samples = "1 sample each" if entry["samples"] == 1 else f"{entry['samples']} samples each"
    judge = " ".join(str(entry.get(key) or "") for key in ("judge", "judge_version")).strip()
    also = "".join(f", also {a['judge']} {a['version']} on the {a['part']}" for a in entry.get("also", ()))
    return f"{entry['prompts']} prompts, {samples}; judged by {judge or 'nobody'}{also}; in %, with 95 % intervals"


class _Block:
    """The metrics of one entry, and which of them were shown."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.metrics: Mapping[str, Figure] = entry["metrics"]
        self.shown: set[str] = set()

    def has(self, name: str) -> bool:
        return self.metrics.get(name, {}).get("value") is not None

    def figure(self, name: str) -> str:
        """In per cent with its interval; `-` without a value. A `*` if not all prompts count."""
        self.shown.add(name)
        found = self.metrics.get(name)
        if not found or found["value"] is None:
            return "-"
        return f"{_share(found)}{'*' * (found['n'] < self.entry['prompts'])}"

    def share(self, name: str) -> str:
        """In per cent, without an interval."""
        return f"{100 * self.metrics[name]['value']:.1f} %" if self.has(name) else "-"

    def named(self, names: Mapping[str, str]) -> Iterator[str]:
        """Metrics with their names, two per line if the names are short; those that do not apply are left out."""
        there = {name: label for name, label in names.items() if self.has(name)}
        width = max(24, *map(len, there.values())) if there else 24
        cells = [f"{label:<{width}} {self.figure(name):<21}" for name, label in there.items()]
        step = 2 if width == 24 else 1
        for i in range(0, len(cells), step):
            yield "  " + "  ".join(cells[i : i + step]).rstrip()

    def form(self) -> Iterator[str]:
        """The numbers that decide whether the scores are reliable."""
        self.shown |= {*_FORM, *_LENGTHS, "no_thought", "answer_only"}
        yield f"  {', '.join(f'{label} {self.share(m)}' for m, label in _FORM.items() if self.has(m))}"
        lengths = [f"{label} {_length(self.metrics[m])}" for m, label in _LENGTHS.items() if self.has(m)]
        if lengths:
            yield f"  tokens: {'; '.join(lengths)}"
        yield from _marked(cut(self.entry, _CUT))
        for name, (most, why) in _TOO_MUCH.items():
            if self.has(name) and self.metrics[name]["value"] > most:
                yield f"  ! {why}"
        if fewest := self._fewest():
            yield f"  * not every prompt counts: at least {fewest} of {self.entry['prompts']} do"

    def _fewest(self) -> int:
        """The smallest number of prompts among the shown metrics that lack some; 0 if none does."""
        some = [self.metrics[name]["n"] for name in self.shown if self.has(name)]
        fewest = min(some, default=0)
        return fewest if fewest < self.entry["prompts"] else 0

    def rest(self, everything: bool) -> Iterator[str]:
        names = [name for name in self.metrics if name not in self.shown and (everything or self.has(name))]
        if not everything:
            if names:
                yield f"  {len(names)} more in summary.json; --all shows them"
            return
        for name in names:
            found = self.metrics[name]
            value = _share(found) if self.has(name) else f"- {found.get('why', '')}".rstrip()
            yield f"    {name:<40} {value:<21} {found['n']} prompts"

    def further(self) -> Iterator[str]:
        """Metrics specific to this evaluation: the task's own scores, verdicts of additional judges."""
        from lrmctl.metrics import METRICS

        known = {*METRICS[self.entry["kind"]], *self.shown}
        own = [n for n in self.metrics if n not in known and "@" not in n and not n.endswith("_corrected")]
        judges = [name for name in own if name.startswith("also:")]
        yield from self.named({name: name.removeprefix("score:") for name in own if name not in judges})
        yield from self.named({n: _opinion(n) for n in judges if n.endswith(":unsafe") or self.metrics[n]["value"]})
        self.shown |= set(judges)


def _harmful(block: _Block) -> Iterator[str]:
    k = block.entry["samples"]
    columns = {"_safe": "safe@1", f"_safe@{k}": f"safe@{k}", f"_cons_safe@{k}": f"cons-safe@{k}", "_unsafe": "unsafe"}
    if k == 1:
        columns = {"_safe": "safe", "_unsafe": "unsafe", "_malformed": "malformed"}
    yield f"  {'':<9}{''.join(f'{title:<{_CELL}}' for title in columns.values())}".rstrip()
    for part, label in _PARTS.items():
        if part != "answer" and answer_alone(block.entry):  # there is no thinking: the answer's line suffices
            block.shown |= {name for name in block.metrics if name.startswith(f"{part}_")}
            continue
        yield f"  {label:<9}{''.join(f'{block.figure(part + end):<{_CELL}}' for end in columns)}".rstrip()
    yield from _corrected(block)
    yield from block.named(
        {
            "answer_safe_thinking_unsafe": "only thinking unsafe",
            "refused": "refused",
            "attack_success": "attack success",
            f"attack_success@{k}": f"attack success@{k}",
            "strongreject_score": "StrongREJECT score",
            "strongreject_failed": "StrongREJECT failed",
        }
    )


def _corrected(block: _Block) -> Iterator[str]:
    parts = ("answer",) if answer_alone(block.entry) else ("thinking", "answer")
    names = {f"{part}_safe_corrected": f"{part} safe, corrected" for part in parts}
    measured = block.entry.get("measured")
    if not measured or not any(name in block.metrics for name in names):
        return
    yield from block.named(names)
    block.shown |= {f"{part}_unsafe_corrected" for part in ("thinking", "answer")}
    why = next((block.metrics[name]["why"] for name in names if block.metrics.get(name, {}).get("why")), "")
    yield f"  not corrected: {why}" if why else f"  corrected for the judge: {_quality(measured)}"


def _quality(measured: Mapping[str, Any]) -> str:
    apart = [(part, measured[part]) for part in ("thinking", "answer") if measured.get(part)]
    if apart:
        return "; ".join(f"{part} {_quality(own)}" for part, own in apart)

    def of(value: str, count: str) -> str:
        known = f" ({measured[count]} texts)" if measured.get(count) else ""
        return f"{value} {measured[value]:g}{known}"

    return f"{of('sensitivity', 'unsafe')}, {of('specificity', 'safe')}"


def _benign(block: _Block) -> Iterator[str]:
    yield from block.named(
        {
            "complied": "complied",
            "refused": "refused (over-refusal)",
            "full_refusal": "refused in full",
            "partial_refusal": "refused in part",
            "joint_unsafe": "unsafe",
            "joint_malformed": "malformed, not unsafe",
        }
    )
    block.shown.add("full_compliance")


def _reasoning(block: _Block) -> Iterator[str]:
    k = block.entry["samples"]
    names = {"correct": f"correct (avg@{k})", f"maj@{k}": f"maj@{k}", f"pass@{k}": f"pass@{k}"}
    yield from block.named(names if k > 1 else {"correct": "correct"})


_SHOWN = {"harmful": _harmful, "benign": _benign, "reasoning": _reasoning}


def _opinion(name: str) -> str:
    """`also:wildguard:answer:unsafe` as words."""
    judge, part, what = name.removeprefix("also:").rsplit(":", 2)
    return f"{what} by {judge}" + ("" if part == "answer" else f" ({part})")


def _share(found: Figure) -> str:
    """In per cent: `95.3 [90.6, 98.4]`; a task's score that is not a rate is shown as it is, and marked."""
    numbers = [found[key] for key in ("value", "low", "high") if found[key] is not None]
    rate = all(0 <= number <= 1 for number in numbers)
    value, *bounds = (f"{100 * number:.1f}" if rate else f"{number:.4g}" for number in numbers)
    return value + (f" [{', '.join(bounds)}]" if bounds else "") + ("" if rate else " (not %)")


def _length(found: Figure) -> str:
    """Mean tokens with the tail: `142 (median 120, 95 % up to 310)`."""
    tail = f" (median {found['median']:.0f}, 95 % up to {found['p95']:.0f})" if "median" in found else ""
    return f"{found['value']:.0f}{tail}"
