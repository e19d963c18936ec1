"""Evaluation during training: writes OpenRLHF's results to `evaluations.jsonl` and keeps the best checkpoint.

OpenRLHF averages the reward service's value for each evaluation row. Rows that the recipe's metric is defined on are
averaged under the name `best`, the others under their prompt kind (`reward_<kind>` here).
"""

from __future__ import annotations

import ast
import json
import math
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from lrmctl.backends.openrlhf.flags.rl import BEST
from lrmctl.runs.jsonl import read_jsonl, write_jsonl

_LINES = (
    re.compile(r"global_step (\d+), eval_metrics: (\{.*\})"),  # synchronous
    re.compile(r"Eval at step (\d+): (\{.*\})"),  # asynchronous
)
_BEST_HF = re.compile(r"best_global_step(\d+)_hf")


def evaluation(line: str, metric: str) -> dict[str, float] | None:
    """The row in a line of output: `step`, the metric by its name, mean rewards of other kinds, lengths."""
    found = next((match for pattern in _LINES if (match := pattern.search(line))), None)
    if found is None:
        return None
    try:
        numbers = ast.literal_eval(re.sub(r"(?<![\w'])nan(?![\w'])", "None", found.group(2)))
    except (ValueError, SyntaxError):
        return None
    row = {"step": float(found.group(1))}
    for key, value in numbers.items():
        if isinstance(value, (int, float)) and math.isfinite(value):
            row |= _named(key, float(value), metric)
    return {**row, "step": int(row["step"])}


def _named(key: str, value: float, metric: str) -> dict[str, float]:
    if key == f"eval_{BEST}_pass1":
        return {metric or "reward": value}
    if key.endswith("_pass1"):
        return {f"reward_{key.removeprefix('eval_').removesuffix('_pass1')}": value}
    if key in ("eval_response_length_mean", "eval_truncated_rate"):
        return {"response_length" if "length" in key else "truncated": value}
    return {}


class Evaluations:
    """Writes the evaluations of a run to a file.

    Args:
        start: step that the run continues from; later rows are dropped, since they are made again.
    """

    def __init__(self, path: Path, metric: str, start: int = 0) -> None:
        self._path, self._metric = path, metric
        if path.exists():
            write_jsonl(path, [row for row in read_jsonl(path) if row["step"] <= start])

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            if row := evaluation(line, self._metric):
                with self._path.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(row) + "\n")


def best_model(checkpoints: Path) -> tuple[Path, int] | None:
    """The best checkpoint so far according to OpenRLHF, in Hugging Face format, and its step."""
    found = [(f, int(m.group(1))) for f in checkpoints.glob("best_*_hf") if (m := _BEST_HF.fullmatch(f.name))]
    return max(found, key=lambda pair: pair[0].stat().st_mtime) if found else None


def keep_best(checkpoints: Path, last: Path) -> int | None:
    """Put the best checkpoint in the place of the last model, which moves to `<name>.last`; the best one's step.

    Hugging Face copies of all other checkpoints are removed.
    """
    best = best_model(checkpoints)
    if best is not None:
        last.rename(last.with_name("model.last"))
        best[0].rename(last)
    for copy in checkpoints.glob("*global_step*_hf"):
        shutil.rmtree(copy)
    return best[1] if best else None
