from __future__ import annotations

from typing import Any

from lrmctl.cli.views.analysis import notes, rows


def estimate(value: float | None) -> dict[str, Any]:
    return {"value": value, "low": None, "high": None, "n": 3}


PLACE = {"set": "s", "kind": "harmful", "temperature": 0.6, "traces": 12}
REFLECTION = {
    "lexicons": {"strict": {"version": "1"}, "loose": {"version": "2"}},
    "cells": [
        {**PLACE, "outcome": "all", "lexicon": "strict", "per_1k": estimate(2.5), "depth_per_trace": estimate(0.5)},
        {**PLACE, "outcome": "safe", "lexicon": "strict", "per_1k": estimate(9), "depth_per_trace": estimate(9)},
        {**PLACE, "outcome": "all", "lexicon": "loose", "per_1k": estimate(99), "depth_per_trace": estimate(99)},
    ],
}


def test_the_first_lexicon_and_all_outcomes_together_are_shown() -> None:
    columns, shown = rows({"reflection": REFLECTION})
    assert columns == ["set", "kind", "T", "traces", "reflections/1k", "depth/trace"]
    assert shown == [["s", "harmful", "0.6", "12", "2.50", "0.50"]]
    assert list(notes({"reflection": REFLECTION})) == ["reflections: lexicon strict, version 1"]


def test_parts_that_were_asked_for_have_their_columns_and_a_figure_that_is_missing_is_blank() -> None:
    found = {
        "reflection": REFLECTION,
        "entropy": {"method": "exact", "cells": [{**PLACE, "outcome": "all", "mean": estimate(0.25), "kl": None}]},
        "transitions": {
            "judge": "j",
            "judge_version": "3",
            "by": "paragraph",
            "cells": [{**PLACE, "outcome": "all", "onset": estimate(0.125), "recovery": estimate(None)}],
        },
        "recovery": {
            "cells": [{**PLACE, "curve": [{"tokens": 0, "safe": estimate(1)}, {"tokens": 20, "safe": estimate(0.5)}]}]
        },
    }
    columns, shown = rows(found)
    assert columns[4:] == ["reflections/1k", "depth/trace", "onset", "entropy"]
    assert shown[0][4:] == ["2.50", "0.50", "12.5%", "0.250"]
    assert list(notes(found))[1:] == [
        "unsafe thoughts: judge j 3, segments by paragraph",
        "entropy: exact",
        "safe after forced unsafe tokens, s at 0.6: 0: 100%, 20: 50%",
    ]
