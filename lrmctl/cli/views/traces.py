"""One trace as `lrmctl traces` prints it: for a terminal, as Markdown, or as its stored line. Model text is data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from rich.text import Text

from lrmctl import console
from lrmctl._util.markdown import plain_markdown
from lrmctl.viewer.matching import FoundTrace

_CHARACTERS = 400
"""Of each text in a listing of beginnings."""
_COLOURS = {"safe": "green", "correct": "green", "unsafe": "red", "incorrect": "red", "malformed": "yellow"}
_PARTS = (("thinking", "thought"), ("answer", "said"))


def stored(trace: FoundTrace) -> None:
    """The row as stored, with `run` and `line` before its own keys."""
    head = json.dumps({"run": trace.run, "line": trace.line})[:-1]
    text = trace.stored.decode("utf-8", "backslashreplace").removeprefix("{")
    line = f"{head}, {text}" if text.strip() != "}" else head + text
    print(_escape(line))


def _escape(line: str) -> str:
    """The same JSON with the signs that would steer a terminal as escapes."""
    return line if console.harmless(line) == line else json.dumps(json.loads(line))


def listing(*, full: bool) -> Callable[[FoundTrace], None]:
    """Prints for a reader.

    Args:
        full: whole texts, not their beginnings.
    """

    def show(trace: FoundTrace) -> None:
        console.out.print(Text(f"{trace.line}: {console.harmless(_title(trace))}", style="bold"))
        console.out.print(_verdicts(trace))
        for name, text in texts(trace):
            kept = text if full or len(text) <= _CHARACTERS else text[:_CHARACTERS]
            more = f" ... ({len(text) - len(kept):,} more characters)" if len(kept) < len(text) else ""
            body = "\n    ".join(console.harmless(kept).strip("\n").splitlines())
            console.out.print(Text.assemble((f"  {name}\n", "dim"), f"    {body}", (more, "dim")))
        console.out.print()

    return show


def markdown(trace: FoundTrace) -> None:
    """Prints a section: names escaped, and texts in fences that nothing in them can close."""
    facts = [f"**{name}**: {plain_markdown(value)}" for name, value in _facts(trace)]
    blocks = [f"## {plain_markdown(f'{trace.line}: {_title(trace)}')}", "; ".join(facts)]
    for name, text in texts(trace):
        blocks += [f"{name.capitalize()}:", _fenced(console.harmless(text))]
    print("\n\n".join(block for block in blocks if block) + "\n")


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def texts(trace: FoundTrace) -> Iterator[tuple[str, str]]:
    """Prompt, thinking and answer that are not empty."""
    text = trace.record.text
    prompt = text["prompt"]
    if isinstance(prompt, str):
        yield "prompt", prompt
    else:
        yield from ((str(role), content) for role, content in prompt)
    yield from ((name, text[name]) for name in ("thinking", "answer") if text[name])


def _title(trace: FoundTrace) -> str:
    index = trace.record.index
    place = index["set"] or f"{index['phase']} rollout"
    heat = f"temperature {index['temperature']:g}" if index["temperature"] is not None else ""
    step = f"step {index['step']}" if index["step"] is not None else ""
    return ", ".join(
        filter(None, (trace.run, place, heat, step, f"prompt {index['prompt']}", f"sample {index['sample']:g}"))
    )


def _verdicts(trace: FoundTrace) -> Text:
    line = Text("  ")
    for name, value in _facts(trace):
        line.append(f"{name} ", style="dim")
        line.append(f"{console.harmless(value)}  ", style=_COLOURS.get(value, ""))
    return line


def _facts(trace: FoundTrace) -> Iterator[tuple[str, str]]:
    """Verdicts with their judges, and the figures that the trace has."""
    index: Any = trace.record.index
    for name, column in _PARTS:
        if index[column]:
            yield name, index[column]
    if index["result"] not in (index["said"], ""):
        yield "outcome", index["result"]
    if index["refused"] is not None:
        yield "refused", "yes" if index["refused"] else "no"
    if index["judge"]:
        yield "judge", index["judge"]
    for name in ("state", "finish"):
        if index[name]:
            yield name, index[name]
    for name in ("thinking_tokens", "answer_tokens", "entropy", "reflections", "reward"):
        if index[name] is not None:
            yield name.replace("_", " "), f"{index[name]:.4g}"
