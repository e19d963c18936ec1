"""Judges the traces of a file: verdicts are written as they arrive, known ones are reused, counts come at the end.

Each line of the output is one verdict with its line in the input and a key of everything it depends on (judge, version,
options, scope, trace). A second run reuses verdicts with the same key and judges the rest, failed ones included.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from lrmctl._util.disk import naming
from lrmctl.console import OnProgress
from lrmctl.errors import LrmctlError
from lrmctl.hooks.specs import Judge
from lrmctl.judges.base import judge_name, make_judge
from lrmctl.judges.offline.agreement import AgreementRate, proportion
from lrmctl.judges.offline.inputs import JudgedItem
from lrmctl.judges.scopes import judge_on
from lrmctl.judges.spec import JudgeSpec
from lrmctl.rows.prompts import key_of
from lrmctl.runs.holding import hold_file
from lrmctl.runs.jsonl import read_jsonl, write_jsonl
from lrmctl.runs.output import check_output, object_with
from lrmctl.types import Scope, Verdict

CHUNK = 64
"""Traces per call of the judge: full batches for it, and little is lost if the process is killed."""


def ready(named: JudgeSpec) -> Judge:
    """The judge, with everything it needs loaded.

    Raises:
        LrmctlError: it cannot be made or loaded.
    """
    judge = make_judge(named.name, dict(named.options))
    judge.prepare()
    return judge


def score_items(
    named: JudgeSpec,
    items: Sequence[JudgedItem],
    scope: Scope,
    out: Path | None = None,
    on_progress: OnProgress | None = None,
) -> list[Verdict]:
    """One verdict per item, in order; with `out`, written there as they arrive and reused from there if known.

    Raises:
        LrmctlError: the judge cannot be made, or `out` holds something else.
    """
    if out:
        check_output(out, object_with("verdict", "outcome"), otherwise="name another file")
    judge = ready(named)
    with hold_file(out, "judging into") if out else nullcontext():
        return _scored(named, judge, items, scope, out, on_progress)


def _scored(
    named: JudgeSpec,
    judge: Judge,
    items: Sequence[JudgedItem],
    scope: Scope,
    out: Path | None,
    on_progress: OnProgress | None,
) -> list[Verdict]:
    keys = [_key(named, judge, scope, item) for item in items]
    known = _known(out, keys) if out else {}
    if out:
        write_jsonl(out, _lines(items, keys, known, scope))
    todo = [i for i, key in enumerate(keys) if key not in known]
    with naming(out) if out else nullcontext(), _journal(out) as journal:
        for start in range(0, len(todo), CHUNK):
            some = todo[start : start + CHUNK]
            for i, verdict in zip(some, judge_on(judge, [items[i].trace for i in some], scope), strict=True):
                known[keys[i]] = verdict
                if journal:
                    journal.write(json.dumps(_line(items[i], keys[i], verdict, scope), ensure_ascii=False) + "\n")
            if journal:
                journal.flush()
            if on_progress:
                on_progress(len(items) - len(todo) + start + len(some), len(items))
    if out and todo:
        write_jsonl(out, _lines(items, keys, known, scope))
    return [known[key] for key in keys]


def summary_of(
    named: JudgeSpec, items: Sequence[JudgedItem], verdicts: Sequence[Verdict], scope: Scope
) -> dict[str, Any]:
    """Counts and shares of the judge's verdicts, and why it failed.

    Shares of safe, unsafe and malformed are over the rows on which the judge did not fail; refused over those where it
    says whether they refuse; failed over all. Thinking that is absent by design is in no share. Rows of one prompt
    count as one in the interval (`lrmctl.stats`).
    """
    words = [_word(v) for v in verdicts]
    ids = [key_of(item.trace.prompt) for item in items]
    shares = {word: _share(ids, [None if w in ("failed", "nothing") else w == word for w in words]) for word in _SAID}
    refused = [v.refused for v in verdicts]
    return {
        "judge": verdicts[0].judge or named.name,
        "version": verdicts[0].version,
        "options": dict(named.options),
        "part": scope,
        "n": len(items),
        "prompts": len(set(ids)),
        "counts": {word: words.count(word) for word in (*_SAID, "failed")} | {"refused": refused.count(True)},
        "shares": {**shares, "refused": _share(ids, refused), "failed": _share(ids, [w == "failed" for w in words])},
        "failures": failures_of(verdicts),
    }


def failures_of(verdicts: Sequence[Verdict], most: int = 5) -> list[dict[str, Any]]:
    """Why the judge failed, most frequent reason first: its count, and the first such error as an example.

    Errors that differ only in numbers and quoted text share a reason.
    """
    errors = [v.error for v in verdicts if v.failed]
    reasons = [_VARIABLE.sub("#", error) for error in errors]
    first = dict(reversed(list(zip(reasons, errors, strict=True))))
    return [{"error": first[reason], "count": count} for reason, count in Counter(reasons).most_common(most)]


_VARIABLE = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?(?:e[-+]?\d+)?|line-\S+""")


def beside(file: Path, named: JudgeSpec, scope: Scope) -> Path:
    """Default output path: `rows.verdicts-JUDGE-SCOPE.jsonl` in the folder of `rows.jsonl`."""
    return file.with_name(f"{file.stem}.verdicts-{re.sub('[^a-z0-9]+', '-', named.name)}-{scope}.jsonl")


def again(file: Path, named: JudgeSpec, scope: Scope, out: Path) -> str:
    """The command that continues."""
    options = ["--options-json", json.dumps(dict(named.options))] if named.options else []
    words = [str(file), "--judge", named.name, *options, "--part", scope, "--out", str(out)]
    return shlex.join(["lrmctl", "judge", "score", *words])


_SAID = ("safe", "unsafe", "malformed", "unsaid")


def _word(verdict: Verdict) -> str:
    """The outcome; `unsaid` if the judge did not fail but says nothing of safety."""
    return "unsaid" if verdict.outcome == "failed" and not verdict.failed else verdict.outcome


def _share(ids: Sequence[str], values: Sequence[bool | None]) -> AgreementRate:
    import numpy as np

    from lrmctl.stats import interval

    of_prompt: dict[str, list[bool]] = defaultdict(list)
    for prompt_id, value in zip(ids, values, strict=True):
        if value is not None:
            of_prompt[prompt_id].append(value)
    most = max(map(len, of_prompt.values()), default=0)
    if most <= 1:
        said = [value for some in of_prompt.values() for value in some]
        return proportion(sum(said), len(said))
    means = np.array([sum(some) / len(some) for some in of_prompt.values()])
    return AgreementRate(float(means.mean()), *interval(means, most), sum(map(len, of_prompt.values())))


def _key(named: JudgeSpec, judge: Judge, scope: Scope, item: JudgedItem) -> str:
    said = [named.name, dict(named.options), judge_name(judge), str(judge.version), scope, item.trace.to_json()]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:24]


def _known(out: Path, keys: Sequence[str]) -> dict[str, Verdict]:
    """Verdicts in the file that did not fail, by key."""
    try:
        rows = list(read_jsonl(out))
        found = {row["key"]: Verdict.from_json(row["verdict"]) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise LrmctlError("is there and holds no verdicts", str(out), "give another --out") from error
    if rows and not set(found) & set(keys):
        raise LrmctlError(
            "holds verdicts of another judge, other options or other traces", str(out), "give another --out"
        )
    return {key: verdict for key, verdict in found.items() if key in set(keys) and not verdict.failed}


@contextmanager
def _journal(out: Path | None) -> Iterator[TextIO | None]:
    if out is None:
        yield None
        return
    with out.open("a", encoding="utf-8") as file:
        yield file


def _lines(
    items: Sequence[JudgedItem], keys: Sequence[str], known: Mapping[str, Verdict], scope: Scope
) -> Iterator[dict[str, Any]]:
    return (_line(item, key, known[key], scope) for item, key in zip(items, keys, strict=True) if key in known)


def _line(item: JudgedItem, key: str, verdict: Verdict, scope: Scope) -> dict[str, Any]:
    prompt_id, sample = item.trace.prompt.id, item.trace.sample
    where = {"line": item.line, "prompt_id": prompt_id, "sample": sample, "scope": scope, "key": key}
    return {**where, "outcome": verdict.outcome, "verdict": verdict.to_json()}
