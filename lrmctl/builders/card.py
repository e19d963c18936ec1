"""The data card of a build: what the rows are, where they come from, under which licences, what was dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lrmctl._util.markdown import plain_markdown

_UNKNOWN = "not stated"
_WHAT = {
    "select": "Samples of the model that judges or a reward accept (rejection sampling).",
    "distill": "Samples drawn with a text in the prompt that the rows leave out (context distillation).",
    "refuse": "The model's own traces; on harmful prompts they were drawn after an instruction to refuse that the rows"
    " leave out (as in ThinkSafe, arXiv 2601.23143).",
    "correct": "Corrections of unsafe completions, under the prompt that the completion was given for.",
    "critique": "Critiques of a reply against a specification, each with a verdict that a judge or label shares.",
    "backtrack": "Thinking that begins with given, possibly unsafe text, turns back and goes on. The beginnings are"
    " part of the rows: training on them trains the unsafe text too.",
    "intervene": "Preference pairs with a shared beginning: an unsafe thought as it went on (rejected), or as it goes"
    " on from a trigger in place of its first cue of compliance (chosen), after arXiv 2509.24393.",
    "pass-rate": "Prompts for RL, each with the share of samples of the model that pass.",
    "rewrite": "Demonstrations that a model wrote again while it saw the originals, which are not in the rows.",
    "annotate": "Prompts, each with what a model wrote about it in a column of its own.",
}


def licences(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """The licences of the sources, each once; a build's own sources are counted one by one."""
    found: dict[str, None] = {}
    for one in sources:
        inner = one.get("licences") or (licences(one["of"]) if isinstance(one.get("of"), list) else None)
        found |= dict.fromkeys(inner if isinstance(inner, list) else [str(one.get("license") or _UNKNOWN)])
    return list(found)


def card(summary: Mapping[str, Any]) -> str:
    """Markdown with YAML front matter; names from outside cannot break either.

    Args:
        summary: as written to `summary.json`.
    """
    head = {
        "pretty_name": summary["name"],
        "license": "other",
        "license_name": "licences-of-the-sources",
        "license_details": "; ".join(summary["licences"]),
        "tags": ["reasoning", "safety", "lrmctl"],
        "configs": [{"config_name": "default", "data_files": "rows.jsonl"}],
    }
    model = summary["model"]
    drawn = {"model": model["ref"], "fingerprint": model["fingerprint"], "seed": summary["seed"], **summary["sampling"]}
    judges = [
        f"{one['name']} ({one['version']}) says {one['says']} of {one['part']}, {'/'.join(one['kinds'])} prompts"
        for one in summary["judges"]
    ]
    parts = [
        f"# {plain_markdown(summary['name'])}",
        plain_markdown(summary["description"]),
        _WHAT[summary["builder"]],
        "**Rows may hold harmful prompts and replies.** Look at them before you publish them.",
        "## Rows",
        _table(("kind and source", "rows"), summary["audit"]["counts"].items()),
        "## What became of the samples",
        _table(("samples", "number"), summary["samples"].items()),
        *_dropped_prompts(summary),
        "## Sources",
        _sources(summary["sources"]),
        "## How",
        _list({**drawn, "judges": "; ".join(judges) or "none", "reward": summary["reward"] or "none"}),
        f"Written by lrmctl {summary['lrmctl']}; `lock.json` has the recipe and all versions.",
    ]
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n"
        + "\n\n".join(filter(None, parts))
        + "\n"
    )


def _dropped_prompts(summary: Mapping[str, Any]) -> list[str]:
    told = {**summary["left_out"], **summary["prompts"]}
    return ["## What became of the prompts", _table(("prompts", "number"), told.items())] if told else []


def _table(columns: Sequence[str], rows: Any) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(plain_markdown(cell) for cell in row)} |" for row in rows)])


def _sources(sources: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in sources:
        place = one.get("url") or one.get("run") or one.get("file") or one.get("hub") or "lrmctl"
        rows.append((one["use"], "; ".join(licences([one])), place, one.get("sha256") or "", one.get("rows") or ""))
    return _table(("source", "licence", "place", "sha256", "rows"), rows)


def _list(told: Mapping[str, Any]) -> str:
    return "\n".join(f"- {key}: {plain_markdown(value)}" for key, value in told.items())
