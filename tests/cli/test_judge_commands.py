"""`lrmctl judge`: on real files, through the real command line."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Prompt, Trace, Verdict

Lrmctl = Callable[..., Any]
PLAIN = [
    {"prompt": "q1", "response": "<think>hm</think>I cannot help.", "kind": "harmful"},
    {"prompt": "q2", "response": "Step 1.", "kind": "harmful"},
    {"prompt": "q3", "thinking": "hm", "answer": "Step 1.", "kind": "benign"},
    {"messages": [{"role": "user", "content": "q4"}], "response": "", "kind": "harmful"},
]


def written(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def data(result: Any) -> Any:
    return json.loads(result.out)["data"]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_list_tells_what_can_be_had_of_each_judge(lrmctl: Lrmctl) -> None:
    listed = {judge["name"]: judge for judge in data(lrmctl("judge", "list", "--json"))}
    assert {"lab", "qwen3guard", "llama-guard-3", "refusal-phrases", "stand-in"} <= set(listed)
    assert {name for name, judge in listed.items() if judge["smoke_only"]} == {"refusal-phrases", "stand-in"}
    assert not {"lab", "refusal-phrases", "stand-in"} & {n for n, judge in listed.items() if judge["needs_model"]}
    assert listed["qwen3guard"]["needs_model"] is listed["qwen3guard"]["says_refusal"] is True
    assert (listed["llama-guard-3"]["says_refusal"], listed["yes-no"]["needs_model"]) == (False, True)
    assert listed["lab"]["says_refusal"] is listed["stand-in"]["says_refusal"] is True
    assert listed["lab"]["origin"] == "lrmctl"
    assert all(name in lrmctl("judge", "list").out for name in listed)


def test_show_has_options_documentation_and_the_exact_question(lrmctl: Lrmctl) -> None:
    shown = lrmctl("judge", "show", "qwen3guard").out
    assert "mode: Literal['strict', 'loose'], default 'strict'" in shown
    assert "counts controversial as unsafe" in shown
    assert "I cannot help with hazard-3." in shown
    found = data(lrmctl("judge", "show", "refusal-phrases", "--option", "lists=jailbreakbench", "--json"))
    assert found["version"] == "3/jailbreakbench"
    assert [option["name"] for option in found["options"]] == ["phrases", "lists"]
    assert found["questions"] == []


def test_show_stands_in_for_a_model_that_was_not_named(lrmctl: Lrmctl) -> None:
    found = data(lrmctl("judge", "show", "yes-no", "--option", "question=Is {response} bad?", "--json"))
    assert "of MODEL" in found["version"]
    assert "I cannot help with hazard-3." in str(found["questions"])
    assert "Is " in str(found["questions"])
    assert found["options"][0] == {"name": "model", "default": None, "required": True, "type": "str"}


def test_show_names_what_is_wrong(lrmctl: Lrmctl) -> None:
    assert "did you mean 'qwen3guard'" in lrmctl("judge", "show", "qwen3gard").err
    wrong = lrmctl("judge", "show", "refusal-phrases", "--option", "list=x")
    assert (wrong.code, "did you mean 'lists'" in wrong.err) == (2, True)


def test_score_of_plain_rows(lrmctl: Lrmctl, tmp_path: Path) -> None:
    written(tmp_path / "rows.jsonl", PLAIN)
    result = lrmctl("judge", "score", "rows.jsonl", "--judge", "refusal-phrases", "--json")
    assert result.code == 0
    found = data(result)
    assert found["counts"] == {"safe": 2, "unsafe": 1, "malformed": 1, "unsaid": 0, "failed": 0, "refused": 1}
    assert (found["judge"], found["version"], found["n"]) == ("refusal-phrases", "3/lrmctl", 4)
    assert found["shares"]["safe"] == pytest.approx([0.5, 0.1500, 0.8500, 4], abs=1e-4)  # Wilson
    assert found["shares"]["refused"][3] == 3
    assert found["out"] == "rows.verdicts-refusal-phrases-answer.jsonl"
    rows = lines(tmp_path / found["out"])
    assert [(row["line"], row["outcome"]) for row in rows] == [
        (1, "safe"),
        (2, "unsafe"),
        (3, "safe"),
        (4, "malformed"),
    ]
    assert Verdict.from_json(rows[0]["verdict"]).raw == "i cannot help"


def test_score_of_an_evaluation_and_of_rollouts(lrmctl: Lrmctl, tmp_path: Path) -> None:
    prompt = Prompt.user("a", "how?", "harmful", meta={"object": "kite"})
    traces = [Trace(prompt, "use hazard-3", "I cannot help.", "closed", sample=i) for i in range(2)]
    written(tmp_path / "rows.jsonl", [EvalRow("lab", 0.6, trace).to_json() for trace in traces])
    found = data(lrmctl("judge", "score", "rows.jsonl", "--judge", "lab", "--part", "both", "--json"))
    assert (found["counts"]["unsafe"], found["n"], found["prompts"]) == (2, 2, 1)
    rollout = {"n": 1, "attempt": 1, "prompt_id": "a", "kind": "harmful", "prompt": "how?", "thinking": "so",
               "answer": "I won't.", "thinking_state": "closed", "finish_reason": "stop", "reward": 1.0}  # fmt: skip
    cut = {**rollout, "answer": "", "thinking_state": "unclosed", "finish_reason": "length"}
    written(tmp_path / "rollouts.jsonl", [rollout, cut])
    found = data(lrmctl("judge", "score", "rollouts.jsonl", "--judge", "refusal-phrases", "--json"))
    assert (found["counts"]["safe"], found["counts"]["malformed"]) == (1, 1)


def test_a_failure_is_counted_apart_and_ends_with_1(lrmctl: Lrmctl, tmp_path: Path) -> None:
    rows = [*PLAIN, {"prompt": "q5", "response": "I cannot.", "finish_reason": "error"}]
    written(tmp_path / "rows.jsonl", rows)
    result = lrmctl("judge", "score", "rows.jsonl", "--judge", "refusal-phrases", "--json")
    assert result.code == 1
    found = data(result)
    assert found["counts"]["failed"] == 1
    assert (found["shares"]["safe"][3], found["shares"]["failed"][3]) == (4, 5)
    assert found["failures"] == [{"error": "the engine failed on this sample", "count": 1}]
    assert "failed on 1, e.g. the engine failed on this sample" in result.err


def test_failures_are_told_by_reason() -> None:
    from lrmctl.judges.offline.score import failures_of

    errors = ["output 'a' is 1.5e-3 long", "output 'it\\'s' is 20 long", "down", ""]
    verdicts = [Verdict("j", "1", "answer", error=error) for error in errors]
    assert failures_of(verdicts) == [{"error": errors[0], "count": 2}, {"error": "down", "count": 1}]


def test_verdicts_of_something_else_are_never_overwritten(lrmctl: Lrmctl, tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl", PLAIN)
    before = file.read_text()
    over = lrmctl("judge", "score", "rows.jsonl", "--judge", "refusal-phrases", "--out", "rows.jsonl")
    assert (over.code, file.read_text()) == (2, before)
    assert lrmctl("judge", "score", "rows.jsonl", "--judge", "refusal-phrases", "--out", "out.jsonl").code == 0
    other = lrmctl("judge", "score", "rows.jsonl", "--judge", "stand-in", "--out", "out.jsonl")
    assert (other.code, "another judge" in other.err) == (2, True)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "is not JSON"),
        ("[1]", "is a list, not an object"),
        ('{"prompt": "q"}', "neither a response nor an answer"),
        ('{"response": "a"}', "the row has no prompt"),
        ('{"prompt": "q", "answer": 3}', "column 'answer': is 3, not a text"),
        ('{"prompt": "q", "answer": "a", "kind": "bad"}', "kind is 'bad', not one of harmful"),
        ('{"messages": [{"role": "user"}], "response": "a"}', "the content of message 1 is null, not a text"),
        ('{"trace": {"prompt": {}}}', "column 'trace': lacks 'messages'"),
        ('{"set": "x", "trace": null}', "the row has no prompt"),
    ],
)
def test_a_bad_row_is_one_error_with_its_line(lrmctl: Lrmctl, tmp_path: Path, line: str, what: str) -> None:
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(PLAIN[0])}\n\n{line}\n")
    result = lrmctl("judge", "score", "rows.jsonl", "--judge", "refusal-phrases")
    assert result.code == 2
    assert "rows.jsonl:3:" in result.err
    assert what in result.err
    assert not list(tmp_path.glob("*verdicts*"))


def test_a_file_without_rows_or_not_there(lrmctl: Lrmctl, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    assert "there are no rows" in lrmctl("judge", "score", "empty.jsonl", "--judge", "lab").err
    assert "there is no file" in lrmctl("judge", "score", "none.jsonl", "--judge", "lab").err
    assert lrmctl("judge", "score", "none.jsonl", "--judge", "lab").code == 2


def test_measure_side_by_side_as_table_markdown_and_json(lrmctl: Lrmctl, tmp_path: Path) -> None:
    rows = [{**row, "refused": label} for row, label in zip(PLAIN, (True, False, True, True), strict=True)]
    written(tmp_path / "rows.jsonl", rows)
    words = ("judge", "measure", "rows.jsonl", "--label", "refused", "--labels-from", "refused")
    judges = ("--judge", "refusal-phrases", "--judge", "refusal-phrases: {lists: jailbreakbench}")
    result = lrmctl(*words, *judges, "--json")
    assert result.code == 0
    first, second = data(result)["judges"]
    assert first["counts"] == second["counts"] == {"tp": 1, "fp": 0, "fn": 1, "tn": 1}
    assert first["rates"]["recall"]["value"] == 0.5
    assert (first["malformed"], first["failed"]) == (1, 0)
    assert "answers" not in first
    shown = lrmctl(*words, *judges).out
    assert "recall (sensitivity)" in shown
    assert "McNemar" in shown
    told = lrmctl(*words, *judges, "--md").out
    assert "| refusal-phrases (lists=jailbreakbench) | 1 | 0 | 1 | 1 |" in told


def test_measure_ends_with_1_if_a_judge_failed(lrmctl: Lrmctl, tmp_path: Path) -> None:
    written(tmp_path / "rows.jsonl", [{**row, "refused": True} for row in PLAIN])
    result = lrmctl(
        "judge", "measure", "rows.jsonl", "--label", "refused", "--labels-from", "refused", "--judge", "lab"
    )
    assert result.code == 1
    assert "lab failed on 4, e.g. prompt line-1 is none of the lab's" in result.err


def test_measure_needs_to_know_where_labels_are(lrmctl: Lrmctl, tmp_path: Path) -> None:
    written(tmp_path / "rows.jsonl", PLAIN)
    result = lrmctl("judge", "measure", "rows.jsonl", "--label", "refused", "--judge", "lab")
    assert (result.code, "--labels-from" in result.err) == (2, True)


@pytest.mark.skipif(not os.environ.get("LRMCTL_DATA_DIR"), reason="LRMCTL_DATA_DIR is not set")
def test_the_gold_labels_are_found_by_name_and_by_path(lrmctl: Lrmctl) -> None:
    words = ("judge", "measure", "--label", "refused", "--judge", "refusal-phrases: {lists: jailbreakbench}", "--json")
    by_name = data(lrmctl(*words, "rbr-gold"))
    path = f"{os.environ['LRMCTL_DATA_DIR']}/rbr_gold/train.jsonl"
    assert data(lrmctl(*words, path, "--labels-from", "rbr-gold")) == by_name
    (judge,) = by_name["judges"]
    rates = {name: round(rate["value"], 2) for name, rate in judge["rates"].items()}
    assert (rates["recall"], rates["false_positive_rate"], rates["precision"]) == (0.57, 0.14, 0.38)


class Server(ThreadingHTTPServer):
    """OpenAI-compatible; answers like Qwen3Guard: refusal by a word of the text, garbage by another while `broken`."""

    broken = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.guard = {"model": "g", "engine": {"use": "openai", "base_url": f"http://127.0.0.1:{self.server_port}/v1"}}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
        self.server.asked.append(asked)
        said = f"Safety: Safe\nCategories: None\nRefusal: {'Yes' if 'cannot' in asked else 'No'}"
        text = "unsafe, or safe?" if self.server.broken and "garbage" in asked else said
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        body = json.dumps({"id": "1", "object": "chat.completion", "created": 0, "model": "g", "choices": [choice]})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_second_run_asks_only_about_what_is_new_or_failed(lrmctl: Lrmctl, tmp_path: Path, server: Server) -> None:
    from lrmctl.judges import shared

    def run(*texts: str) -> tuple[int, list[str]]:
        written(tmp_path / "rows.jsonl", [{"prompt": "q", "response": text} for text in texts])
        server.asked.clear()
        options = ("--options-json", json.dumps(server.guard))
        code = lrmctl("judge", "score", "rows.jsonl", "--judge", "qwen3guard", *options, "--out", "out.jsonl").code
        return code, sorted(server.asked)

    try:
        shared.configure(cache_bytes=0)  # only the file may remember
        assert run("Step 1.", "garbage") == (1, ["Step 1.", "garbage"])
        server.broken = False
        with (tmp_path / "out.jsonl").open("a") as torn:
            torn.write('{"line": 3, "ke')
        assert run("Step 1.", "garbage", "I cannot.") == (0, ["I cannot.", "garbage"])
        assert run("Step 1.", "garbage", "I cannot.") == (0, [])
    finally:
        shared.configure(cache_bytes=64 << 20)
    found = [(row["line"], row["outcome"]) for row in lines(tmp_path / "out.jsonl")]
    assert found == [(1, "safe"), (2, "safe"), (3, "safe")]


def test_a_guard_behind_a_server_is_measured_and_its_garbage_is_no_agreement(
    lrmctl: Lrmctl, tmp_path: Path, server: Server
) -> None:
    texts = {"I cannot help.": True, "Step 1.": False, "I cannot say more than 4.": False, "garbage": True}
    rows = [{"prompt": "q", "response": text, "human": label} for text, label in texts.items()]
    written(tmp_path / "rows.jsonl", rows)
    guard = json.dumps({"qwen3guard": server.guard})
    words = ("measure", "rows.jsonl", "--label", "refused", "--labels-from", "human", "--judge", guard)
    result = lrmctl("judge", *words, "--json")
    (judge,) = data(result)["judges"]
    assert judge["counts"] == {"tp": 1, "fp": 1, "fn": 0, "tn": 1}
    assert (result.code, judge["failed"], judge["rates"]["accuracy"]["n"]) == (1, 1, 3)
    assert "unsafe, or safe?" in judge["failures"][0]["error"]


def test_verdicts_go_into_a_folder_that_is_made(lrmctl: Lrmctl, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "p", "response": "I cannot help with that."}\n')
    out = tmp_path / "new" / "folder" / "out.jsonl"
    said = lrmctl("judge", "score", "rows.jsonl", "--judge", "refusal-phrases", "--out", out)
    assert said.code == 0, said.err
    assert [json.loads(line)["verdict"]["refused"] for line in out.read_text().splitlines()] == [True]
