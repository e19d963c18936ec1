"""What `lrmctl model import` found and wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrmctl import console


def show_imported(manifest: Mapping[str, Any], out: Path) -> None:
    """Print a manifest, one fact a line, and its notes to stderr."""
    for name, fact in _facts(manifest):
        console.out.print(f"{name:<13} {fact}", markup=False)
    for note in manifest["notes"]:
        console.say(f"note: {note}")
    console.say(f"{out} is the folder to give as the model; what was found is in {out / 'manifest.json'}")


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    words, end, checks = manifest["vocabulary"], manifest["end_of_text"], manifest["checks"]
    rows = f", {words['rows']:,} rows of the embedding" if words["rows"] != words["tokens"] else ""
    others = [token for token in end["generation"] if token != end["token"]]
    licence = manifest["licence"]
    return [
        ("source", _source(manifest["source"])),
        ("architecture", manifest["architecture"]),
        ("parameters", f"{manifest['parameters']:,}, written as {manifest['dtype']}"),
        ("vocabulary", f"{words['tokens']:,} tokens{rows}"),
        ("end of text", f"{end['token']} ({end['id']}): {end['why']}{_before(end)}"),
        *([("also ends at", ", ".join(others))] if others else []),
        ("template", manifest["chat_template"]["from"]),
        ("licence", f"{licence['name']} ({licence['found_in']})"),
        ("checked", f"same tokens of {checks['texts_with_the_same_tokens']} texts; {_logits(checks)}"),
        ("fingerprint", manifest["fingerprint"]),
    ]


def _source(source: Mapping[str, Any]) -> str:
    said = f"{source['reference']}, {source['kind']}"
    if "base" in source:
        said += f" on {source['base']['name']}"
    if name := source.get("name"):
        said += f", {name}"
    return f"{said}, revision {source['revision'][:12]}" if "revision" in source else said


def _before(end: Mapping[str, Any]) -> str:
    if end["source_named"] == end["token"]:
        return ""
    return f"; the source's tokenizer names {end['source_named'] or 'none'}"


def _logits(checks: Mapping[str, Any]) -> str:
    difference = checks["largest_difference_of_logits"]
    return "same logits" if difference == 0 else f"logits differ by at most {difference:.2g}"
