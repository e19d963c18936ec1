"""A pair as a row of a pairs file, which the source `jsonl` reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrmctl.data.pairs.pair import PreferencePair


def pair_row(pair: PreferencePair) -> dict[str, Any]:
    """The row: id, kind, messages, both sides, the shared prefix if there is one, and what is known of the prompt."""
    prompt = pair.prompt
    known: Mapping[str, Any] = {"reference": prompt.reference, "prefix": pair.prefix, "meta": dict(prompt.meta)}
    return {
        "id": prompt.id,
        "kind": prompt.kind,
        "messages": [dict(message) for message in prompt.messages],
        "chosen": pair.chosen._asdict(),
        "rejected": pair.rejected._asdict(),
        **{name: value for name, value in known.items() if value},
    }
