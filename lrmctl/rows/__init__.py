"""Reads rows for all purposes: training sources, prompts, completions to judge or score, labels.

`files` reads a file of any format into located rows, `values` validates single values, `messages` and `responses` read
conversations and completions, including other tools' column names, and `prompts` and `traces` combine them. Every error
names file, line and column. Knows no recipe, no judge and no reward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.rows.files import ENDINGS, all_rows, existing, file_sha256, is_rows_file, read_rows
    from lrmctl.rows.located import LocatedRow
    from lrmctl.rows.prompts import (
        CONVERSATIONS,
        KINDS,
        SYSTEM,
        PromptTurn,
        asked_of,
        distinct_ids,
        gold_of,
        key_of,
        kind_of,
        opening_of,
        plain_messages,
        prompt_of,
        rest_of,
    )
    from lrmctl.rows.responses import COLUMNS, RESPONSES, ParsedResponse, response_of
    from lrmctl.rows.traces import read_traces, trace_of
    from lrmctl.rows.values import canonical, count_of, id_of, label_of, missing, number_of, plain_text, quoted_value

__all__ = [
    "COLUMNS",
    "CONVERSATIONS",
    "ENDINGS",
    "KINDS",
    "RESPONSES",
    "SYSTEM",
    "LocatedRow",
    "ParsedResponse",
    "PromptTurn",
    "all_rows",
    "asked_of",
    "canonical",
    "count_of",
    "distinct_ids",
    "existing",
    "file_sha256",
    "gold_of",
    "id_of",
    "is_rows_file",
    "key_of",
    "kind_of",
    "label_of",
    "missing",
    "number_of",
    "opening_of",
    "plain_messages",
    "plain_text",
    "prompt_of",
    "quoted_value",
    "read_rows",
    "read_traces",
    "response_of",
    "rest_of",
    "trace_of",
]

__getattr__ = lazy_names(
    __name__,
    {
        "files": (
            "ENDINGS",
            "all_rows",
            "existing",
            "file_sha256",
            "is_rows_file",
            "read_rows",
        ),
        "located": ("LocatedRow",),
        "prompts": (
            "CONVERSATIONS",
            "KINDS",
            "SYSTEM",
            "PromptTurn",
            "asked_of",
            "distinct_ids",
            "gold_of",
            "key_of",
            "kind_of",
            "opening_of",
            "plain_messages",
            "prompt_of",
            "rest_of",
        ),
        "responses": (
            "COLUMNS",
            "RESPONSES",
            "ParsedResponse",
            "response_of",
        ),
        "traces": (
            "read_traces",
            "trace_of",
        ),
        "values": (
            "canonical",
            "count_of",
            "id_of",
            "missing",
            "number_of",
            "plain_text",
            "quoted_value",
            "label_of",
        ),
    },
)
