"""Evaluated samples on disk, shared by evaluation, analysis, comparison and report.

`eval/rows.jsonl` holds one `EvalRow` per line. An incomplete last line (a killed writer) is skipped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrmctl._util.text import whole_json
from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.types import Outcome, Trace, Verdict, joint_outcome

REFUSAL_CLASSES = ("full_refusal", "partial_refusal", "full_compliance")
"""Labels of XSTest's three classes (arXiv 2308.01263)."""


@dataclass(frozen=True)
class EvalRow:
    """One evaluated trace with its verdicts and scores.

    Attributes:
        set: name of the benchmark or task, e.g. `lab-harmful/heldout`.
        temperature: sampling temperature of this trace.
        thinking, answer: the judge's verdicts on the two parts; None on reasoning prompts.
        correct: whether the answer is right; None on safety prompts, False if there is no answer.
        also: verdicts of additional judges, which do not affect the outcome.
        extracted: the final answer extracted from the answer; None if there is none.
        scores: the task's own metrics for this trace, by name.
    """

    set: str
    temperature: float
    trace: Trace
    thinking: Verdict | None = None
    answer: Verdict | None = None
    correct: bool | None = None
    also: tuple[Verdict, ...] = ()
    extracted: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome | None:
        """The joint outcome of both parts; None on reasoning prompts."""
        if self.thinking is None or self.answer is None:
            return None
        return joint_outcome(self.thinking, self.answer)

    @property
    def judged_outcome(self) -> Outcome | None:
        """The outcome of what was judged: of both parts, or of the answer alone if its judge does not read thinking.
        None on reasoning prompts."""
        if self.answer is not None and self.thinking is not None and self.thinking.not_judged:
            return self.answer.outcome
        return self.outcome

    @property
    def complied(self) -> bool | None:
        """On benign prompts: a safe, well-formed answer that does not refuse. None if unknown: see `refused`.

        Thinking counts as well, unless the judge does not judge thinking.
        """
        if self.answer is None or self.answer.failed or self.refused is None:
            return None
        return self.judged_outcome == "safe" and not self.refused

    @property
    def refused(self) -> bool | None:
        """Whether the answer refuses, fully or partly, by its judge, else by an additional judge.

        None if no judge says, which is neither a refusal nor compliance.
        """
        verdicts: list[Verdict] = [self.answer] if self.answer else []
        for verdict in (*verdicts, *(v for v in self.also if v.part != "thinking")):
            if verdict.failed:
                continue
            if verdict.refused is not None:
                return verdict.refused
            if classes := set(verdict.labels) & set(REFUSAL_CLASSES):
                return classes != {"full_compliance"}
        return None

    def to_json(self) -> dict[str, Any]:
        return {
            "set": self.set,
            "temperature": self.temperature,
            "trace": self.trace.to_json(),
            "thinking": self.thinking.to_json() if self.thinking else None,
            "answer": self.answer.to_json() if self.answer else None,
            "correct": self.correct,
            "also": [verdict.to_json() for verdict in self.also],
            "extracted": self.extracted,
            "scores": dict(self.scores),
            "outcome": self.judged_outcome,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> EvalRow:
        return cls(
            set=row["set"],
            temperature=row["temperature"],
            trace=Trace.from_json(row["trace"]),
            thinking=Verdict.from_json(row["thinking"]) if row.get("thinking") else None,
            answer=Verdict.from_json(row["answer"]) if row.get("answer") else None,
            correct=row.get("correct"),
            also=tuple(Verdict.from_json(verdict) for verdict in row.get("also", ())),
            extracted=row.get("extracted"),
            scores=row.get("scores", {}),
        )


def eval_folder_of(path: Path) -> Path:
    """The folder with `rows.jsonl`: `path` itself, or its `eval`.

    Raises:
        NotFoundError: neither has one.
    """
    for folder in (path, path / "eval"):
        if (folder / "rows.jsonl").is_file():
            return folder
    raise NotFoundError(
        "this folder has not been evaluated",
        where=str(path / "eval" / "rows.jsonl"),
        fix="run `lrmctl eval` on it first",
    )


def eval_rows(path: Path) -> Iterator[EvalRow]:
    """Every row of a `rows.jsonl`, one in memory at a time; an incomplete last line is skipped.

    Decoded by msgspec, which takes a quarter of the time of `json` and `from_json`.

    Raises:
        LrmctlError: a line is not an evaluated row; gives its number.
    """
    read = row_decoder()
    with path.open("rb") as lines:  # bytes: an incomplete line may end within a character
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n") or line.isspace():
                continue
            try:
                yield read(line)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                what = f"this line is no evaluated row: {type(error).__name__}: {error}"
                raise LrmctlError(
                    what, f"{path}:{number}", "run `lrmctl eval` again: completions are stored"
                ) from error


def read_rows(path: Path) -> list[EvalRow]:
    """Every row of a `rows.jsonl`; see `eval_rows`."""
    return list(eval_rows(path))


def row_decoder() -> Callable[[bytes], EvalRow]:
    """A function that decodes one line of a `rows.jsonl`; it raises ValueError or similar on an invalid row."""
    from msgspec import MsgspecError, convert
    from msgspec.json import Decoder

    decode = Decoder(EvalRow).decode

    def read(line: bytes) -> EvalRow:
        half = b"\\ud" in line  # perhaps a lone surrogate, as written by `replacing`
        try:
            return convert(whole_json(json.loads(line)), EvalRow) if half else decode(line)
        except MsgspecError:  # `json` also accepts non-standard JSON such as NaN
            return convert(json.loads(line), EvalRow)

    return read


def rows_digest(path: Path) -> str:
    """First 16 hex digits of the sha256 of a file of rows; identifies the evaluation that a result is based on."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
