"""Every command reads every form of file, and says of a bad one which file, which line and what to do."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import LrmctlError
from lrmctl.hooks import registry
from lrmctl.rows.files import read_rows

REFUSED = {"refused": 1, "label": "ideal", "reward": 0.5}
COMPLIED = {"refused": 0, "label": "disallowed_completion", "reward": 1}
ROWS: list[dict[str, Any]] = [
    {"prompt": f'What is\u2028hazard-{i},\u0085 "really"?', "kind": "harmful", "response": text, **more}
    for i, (text, more) in enumerate(
        [
            (
                "<think>It is asked\nfor.</think>I can\u2019t help with that.",
                {"refused": 1, "label": "ideal", "reward": 0.5},
            ),
            ("<think>Hm.</think>Open the lid.", {"refused": 0, "label": "disallowed_completion", "reward": 1}),
            ("<think>Well.</think>I can\u2019t help with that.", {"refused": 1, "label": "ideal", "reward": 0.5}),
            ("<think>Hm.</think>Open the box.", {"refused": 0, "label": "disallowed_completion", "reward": 1}),
        ]
    )
]


def jsonl(end: str = "\n", last: str = "\n") -> bytes:
    return (end.join(json.dumps(row, ensure_ascii=False) for row in ROWS) + last).encode()


def table(delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(ROWS[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return out.getvalue().encode()


def parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{**row, "reward": float(row["reward"])} for row in ROWS]), out)
    return out.getvalue()


FORMS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "json lines": ("r.jsonl", jsonl),
    "with a BOM": ("r.jsonl", lambda: b"\xef\xbb\xbf" + jsonl()),
    "with a BOM, no end": ("r.jsonl", lambda: b"\xef\xbb\xbf" + jsonl(last="")),
    "CRLF": ("r.jsonl", lambda: jsonl("\r\n", "\r\n")),
    "CR": ("r.jsonl", lambda: jsonl("\r", "\r")),
    "no line end": ("r.jsonl", lambda: jsonl(last="")),
    "blank lines": ("r.jsonl", lambda: jsonl("\n\n  \n")),
    "escapes": ("r.jsonl", lambda: "".join(json.dumps(row) + "\n" for row in ROWS).encode()),
    "ndjson": ("r.ndjson", jsonl),
    "gzip": ("r.jsonl.gz", lambda: gzip.compress(jsonl())),
    "json": ("r.json", lambda: json.dumps(ROWS, indent=1).encode()),
    "json with a BOM": ("r.json", lambda: b"\xef\xbb\xbf" + json.dumps(ROWS).encode()),
    "json, gzipped": ("r.json.gz", lambda: gzip.compress(json.dumps(ROWS).encode())),
    "json of one list": ("r.json", lambda: json.dumps({"version": 1, "data": ROWS}).encode()),
    "json lines named json": ("r.json", jsonl),
    "csv": ("r.csv", lambda: table(",")),
    "csv with a BOM": ("r.csv", lambda: b"\xef\xbb\xbf" + table(",")),
    "csv, gzipped": ("R.CSV.GZ", lambda: gzip.compress(table(","))),
    "tsv": ("r.tsv", lambda: table("\t")),
    "parquet": ("r.parquet", parquet),
    "parquet, gzipped": ("r.parquet.gz", lambda: gzip.compress(parquet())),
}
COMMANDS: dict[str, tuple[str, ...]] = {
    "judge score": ("judge", "score", "FILE", "--judge", "refusal-phrases", "--out", "verdicts.jsonl"),
    "judge measure": (
        *("judge", "measure", "FILE", "--judge", "refusal-phrases", "--label", "refused"),
        *("--labels-from", "refused"),
    ),
    "reward score": ("reward", "score", "FILE", "--use", "format"),
    "reward test": ("reward", "test", "format", "--on", "FILE", "--seconds", "0.01"),
    "reward fit": ("reward", "fit", "FILE", "--rule", "features", "--steps", "2", "--folds", "2", "--pair-by", "kind"),
    "monitor": ("monitor", "FILE"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_rows_are_the_same_in_every_form(write: Callable[..., Path], form: str) -> None:
    name, content = FORMS[form]
    found = list(read_rows(write(name, content())))
    assert [row["prompt"] for row in found] == [row["prompt"] for row in ROWS]
    assert [row["response"] for row in found] == [row["response"] for row in ROWS]
    assert all(row.where.rpartition(":")[2].isdigit() for row in found)


@pytest.mark.parametrize("form", FORMS)
def test_sources_and_benchmarks_read_every_form(write: Callable[..., Path], form: str) -> None:
    name, content = FORMS[form]
    path = str(write(name, content()))
    source = registry.make("source", "jsonl", path=path)
    assert [d.answer for d in source.demonstrations()] == [row["response"].partition("</think>")[2] for row in ROWS]
    assert [p.text for p in source.prompts()] == [row["prompt"] for row in ROWS]
    benchmark = registry.make("benchmark", "prompts-file", path=path)
    assert [p.text for p in benchmark.load()] == [row["prompt"] for row in ROWS]


@pytest.mark.parametrize("form", ["with a BOM, no end", "CRLF", "json of one list", "csv", "tsv", "parquet", "gzip"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_reads_every_form(
    lrmctl: Callable[..., Any], write: Callable[..., Path], command: str, form: str
) -> None:
    name, content = FORMS[form]
    write(name, content())
    done = lrmctl(*(name if word == "FILE" else word for word in COMMANDS[command]), "--json")
    assert done.code in (0, 1), done.err
    assert command != "judge measure" or json.loads(done.out)["data"]["judges"][0]["counts"]["tp"] == 2


GOOD = jsonl()
LINE = jsonl().splitlines()[0]
BAD: dict[str, tuple[str, bytes, str]] = {
    "cp1252": (
        "r.jsonl",
        GOOD + '{"prompt": "can\u2019t", "kind": "benign"}'.encode("cp1252"),
        "r.jsonl:5: is not UTF-8",
    ),
    "latin-1": ("r.csv", "prompt,kind\nNenne Gr\xfcnde,benign\n".encode("latin-1"), "r.csv:2: is not UTF-8"),
    "latin-1 in a list": ("r.json", '[\n{"prompt": "Gr\xfcnde"}]'.encode("latin-1"), "r.json:2: is not UTF-8"),
    "UTF-16": ("r.jsonl", GOOD.decode().encode("utf-16"), "r.jsonl:1: is UTF-16"),
    "UTF-16 without its mark": ("r.csv", b"p\0r\0o\0", "r.csv:1: holds a NUL byte"),
    "a NUL byte": ("r.jsonl", GOOD + b'{"prompt": "a\0b"}\n', "r.jsonl:5: holds a NUL byte"),
    "half a character": ("r.jsonl", GOOD + b'{"prompt": "a \\ud83d b"}\n', "r.jsonl:5: column 'prompt' holds half"),
    "half a character deeper": ("r.jsonl", b'{"a": [{"b": "\\uDE00"}]}\n', "r.jsonl:1: column 'a' holds half"),
    "a key twice": (
        "r.jsonl",
        GOOD + b'{"prompt": "a", "prompt": "b"}\n',
        "r.jsonl:5: the key 'prompt' is there",
    ),
    "nested without end": ("r.jsonl", b'{"a": ' + b"[" * 100_000 + b"\n", "r.jsonl:1: is nested more than"),
    "nested too deep": ("r.jsonl", b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}\n", "r.jsonl:1: is nested more than"),
    "a bad line": ("r.jsonl", GOOD + b'{prompt: "a"}\n' + GOOD, "r.jsonl:5: is not JSON"),
    "a text": ("r.jsonl", GOOD + b'"just a text"\n', "r.jsonl:5: is a text, not an object"),
    "null": ("r.jsonl", GOOD + b"null\n", "r.jsonl:5: is a null, not an object"),
    "a list in a line": ("r.jsonl", b"[1]\n" + GOOD, "r.jsonl:1: is a list, not an object"),
    "a number of many digits": ("r.jsonl", b'{"a": ' + b"9" * 5000 + b"}\n", "r.jsonl:1: is not JSON"),
    "empty": ("r.jsonl", b"", "there are no rows"),
    "blank": ("r.jsonl", b"\n \n", "there are no rows"),
    "a list that is cut off": ("r.json", b'[{"prompt": "a"},\n{"prompt": "b"', "r.json:2: is not JSON"),
    "a list without its end": (
        "r.json",
        b'[{"prompt": "a"},\n{"prompt": "b"}\n',
        "r.json:3: the list of rows is cut",
    ),
    "no list": ("r.json", b'{"a": 1}', "r.json: nothing says where the rows are"),
    "an open quote": (
        "r.csv",
        b'prompt,response,kind,label\n"a\nb",c,benign,ideal\n"d,e\nf,g\n',
        "r.csv:4: is not CSV: a quote is opened",
    ),
    "a ragged table": ("r.csv", b"prompt,kind\na,benign\nb\n", "r.csv:3: has 1 cells, and there are 2 columns"),
    "a column twice": ("r.csv", b"prompt,kind,prompt\na,benign,b\n", "r.csv:1: the column 'prompt' is there twice"),
    "no gzip": ("r.jsonl.gz", GOOD, "r.jsonl.gz: cannot be unpacked"),
    "half a gzip": ("r.jsonl.gz", gzip.compress(GOOD)[:-20], "r.jsonl.gz: cannot be unpacked"),
    "no parquet": ("r.parquet", b"PAR1 and nothing", "r.parquet: is not Parquet"),
    "a zip": ("r.zip", b"PK", "cannot read '.zip' files"),
}


def _prompts(group: str, kind: str, path: str) -> Any:
    made = registry.make(group, kind, path=path)
    return made.load() if group == "benchmark" else made.prompts()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_an_error_with_its_place_for_sources_and_benchmarks(
    write: Callable[..., Path], name: str
) -> None:
    file, content, what = BAD[name]
    path = str(write(file, content))
    for group, kind in (("source", "jsonl"), ("benchmark", "prompts-file")):
        with pytest.raises(LrmctlError) as error:
            _prompts(group, kind, path)
        assert what.replace("there are no rows", "no rows") in str(error.value)
        assert error.value.fix
        assert error.value.exit_code == 2


@pytest.mark.parametrize("name", ["cp1252", "half a character", "a key twice", "an open quote", "empty", "no parquet"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_file_is_an_error_with_its_place_for_every_command(
    lrmctl: Callable[..., Any], write: Callable[..., Path], command: str, name: str
) -> None:
    file, content, what = BAD[name]
    write(file, content)
    done = lrmctl(*(file if word == "FILE" else word for word in COMMANDS[command]))
    assert done.code == 2
    assert what in done.err


def test_a_cut_last_line_is_an_error_of_a_source_and_told_of_by_a_judge(
    lrmctl: Callable[..., Any], write: Callable[..., Path]
) -> None:
    path = write("r.jsonl", GOOD + LINE[:30])
    with pytest.raises(LrmctlError, match=r"r\.jsonl:5: the last line is cut off"):
        registry.make("source", "jsonl", path=str(path))
    done = lrmctl("judge", "score", "r.jsonl", "--judge", "refusal-phrases", "--json")
    assert json.loads(done.out)["data"]["n"] == 4
    assert "r.jsonl:5: the last line is cut off and left out" in done.err


@pytest.mark.e2e
def test_what_unpacks_to_more_than_its_bounds_is_refused(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrmctl.rows import content

    monkeypatch.setattr(content, "UNPACKED", 2**20)
    for name, bomb in {
        "b.jsonl.gz": b"\n" * 2**23,
        "b.json.gz": b"[" + b" " * 2**23,
        "l.jsonl.gz": b"0" * 2**23,
    }.items():
        with pytest.raises(LrmctlError, match="unpacks to more than"):
            list(read_rows(write(name, gzip.compress(bomb))))


@pytest.mark.parametrize("name", ["none.jsonl", "folder.jsonl", "a" * 300 + ".jsonl", "~nobody-here/x.jsonl"])
def test_what_is_no_file_is_one_error(lrmctl: Callable[..., Any], tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    done = lrmctl("judge", "score", name, "--judge", "refusal-phrases")
    assert done.code == 2
    assert name[:100] in done.err
