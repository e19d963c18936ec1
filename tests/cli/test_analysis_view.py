from __future__ import annotations

from typing import Any

from lrmctl.cli.views.analysis import notes, rows


def estimate(value: float | None) -> dict[str, Any]:
    return {"value": value, "low": value and value / 2, "high": value and value * 2, "n": 3}


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
    assert list(columns) == ["set", "kind", "T", "traces", "figure", "value", "95 % interval", "prompts"]
    place = ["s", "harmful", "0.6", "12"]
    assert shown == [
        [*place, "reflections per 1,000 tokens", "2.50", "1.25 to 5.00", "3"],
        [*place, "reflection depth a trace", "0.50", "0.25 to 1.00", "3"],
    ]
    assert list(notes({"reflection": REFLECTION})) == ["reflections: lexicon strict, version 1"]


def test_parts_that_were_asked_for_have_their_rows_and_a_figure_that_is_missing_is_left_out() -> None:
    confirmed = {"cells": [{**PLACE, "outcome": "all", "share": estimate(0.5)}]}
    found = {
        "reflection": {**REFLECTION, "confirmed": confirmed},
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
    _, shown = rows(found)
    assert [row[4:] for row in shown][2:] == [
        ["confirmed reflections", "50.0%", "25.0% to 100.0%", "3"],
        ["onset: safe to unsafe", "12.5%", "6.2% to 25.0%", "3"],
        ["entropy, nats", "0.250", "0.125 to 0.500", "3"],
    ]
    assert list(notes(found))[1:] == [
        "unsafe thoughts: judge j 3, segments by paragraph",
        "entropy: exact",
        "safe after forced unsafe tokens, s at 0.6: 0: 100%, 20: 50%",
    ]


def test_one_prompt_has_no_interval() -> None:
    alone = {"value": 2.0, "low": None, "high": None, "n": 1}
    cell = {**PLACE, "outcome": "all", "lexicon": "strict", "per_1k": alone}
    _, shown = rows({"reflection": {"lexicons": {"strict": {"version": "1"}}, "cells": [cell]}})
    assert shown[0][5:] == ["2.00", "-", "1"]
