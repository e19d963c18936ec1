"""Evaluations of servers whose model nobody knows: what they send apart, other markers, and no thinking at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from lrmctl.cli.views.summary import lines_of
from lrmctl.errors import LrmctlError
from lrmctl.evaluation import evaluate
from lrmctl.recipe.schema.evaluation import EvalSection
from lrmctl.runs.eval_rows import EvalRow, read_rows

Canned = Mapping[str, Mapping[str, Any]]
Ask = Callable[..., tuple[dict[str, Any], dict[str, EvalRow]]]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """`ask({"Q01": message, ...}, **section)`: a real server with canned messages, and the evaluation of it."""
    servers: list[ThreadingHTTPServer] = []

    def run(canned: Canned, **changes: Any) -> tuple[dict[str, Any], dict[str, EvalRow]]:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
                said = dict(canned[asked.split()[0]])
                choice = {"index": 0, "finish_reason": said.pop("finish_reason", "stop")}
                message = {"role": "assistant", "content": None, **said}
                body = json.dumps({"choices": [{**choice, "message": message}], "usage": {"completion_tokens": 40}})
                self.send_response(200)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

        servers.append(server := ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=server.serve_forever, daemon=True).start()
        prompts = tmp_path / f"prompts-{len(servers)}.jsonl"
        rows = [{"id": name, "prompt": f"{name} how much is two and two?", "kind": "harmful"} for name in canned]
        prompts.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        use = {"use": "prompts-file", "options": {"path": str(prompts), "prompt": "prompt", "kind": "kind", "id": "id"}}
        section = {"judge": "refusal-phrases", "safety": [use], "samples": 1, "max_new_tokens": 64}
        engine = {"use": "openai", "base_url": f"http://127.0.0.1:{server.server_address[1]}/v1"}
        out = tmp_path / f"out-{len(servers)}"
        summary = evaluate(
            "canned", EvalSection.model_validate({**section, "over_refusal": False, "engine": engine, **changes}), out
        )
        found = read_rows(out / "eval" / "rows.jsonl")
        return summary, {row.trace.prompt.id.rpartition("/")[2].upper(): row for row in found}

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def parts(row: EvalRow) -> tuple[str, str, str]:
    return row.trace.thinking, row.trace.answer, row.trace.thinking_state


def test_what_is_sent_apart_stays_apart_word_for_word(ask: Ask) -> None:
    text = {"type": "text", "text": "Four."}
    _, rows = ask(
        {
            "Q01": {"reasoning_content": "They want it.", "content": "Start with `<think>` and go on."},
            "Q02": {"reasoning_content": "They want it.", "content": "End with </think>, then save."},
            "Q03": {"reasoning_content": "The tag is </think> I know.", "content": "Four."},
            "Q04": {"reasoning": "Easy.", "content": "Four."},
            "Q05": {"thinking": "Easy.", "content": "Four."},
            "Q06": {"reasoning_details": [{"type": "reasoning.text", "text": "Easy."}], "content": "Four."},
            "Q07": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Easy."}]}, text]},
            "Q08": {"content": [{"type": "thinking", "thinking": "Easy.", "signature": "x"}, text]},
            "Q09": {"content": [{"type": "reasoning", "text": "Easy."}, text]},
            "Q10": {"reasoning_content": "Easy, but", "content": "", "finish_reason": "length"},
            "Q11": {"reasoning_content": "Easy.", "content": "<think>again</think>Four."},
            "Q12": {"reasoning_content": "", "reasoning": "Easy.", "content": "Four."},
        }
    )
    assert parts(rows["Q01"]) == ("They want it.", "Start with `<think>` and go on.", "closed")
    assert parts(rows["Q02"]) == ("They want it.", "End with </think>, then save.", "closed")
    assert parts(rows["Q03"]) == ("The tag is </think> I know.", "Four.", "closed")
    assert parts(rows["Q10"]) == ("Easy, but", "", "unclosed")
    assert parts(rows["Q11"]) == ("Easy.", "<think>again</think>Four.", "closed")
    assert rows["Q11"].trace.irregular == ("repeated",)
    for name in ("Q04", "Q05", "Q06", "Q07", "Q08", "Q09", "Q12"):
        assert parts(rows[name]) == ("Easy.", "Four.", "closed"), name
    assert not any(rows[f"Q0{i}"].trace.faults for i in range(1, 10))


def test_other_markers_are_read_without_a_word_in_the_recipe(ask: Ask) -> None:
    summary, rows = ask(
        {
            "Q01": {"content": "[THINK]I cannot recall, maybe 5.[/THINK]Four."},
            "Q02": {"content": "[THINK]Sum is 4? Once more, since", "finish_reason": "length"},
            "Q03": {"content": "analysisMaybe 4. Then again", "finish_reason": "length"},
            "Q04": {"content": "analysisMaybe 5.assistantfinalFour."},
            "Q05": {"content": "<seed:think>Recount.</seed:think>Four."},
            "Q06": {"content": "◁think▷Recount.◁/think▷Four."},
        }
    )
    assert parts(rows["Q01"]) == ("I cannot recall, maybe 5.", "Four.", "closed")
    assert parts(rows["Q02"])[1:] == ("", "unclosed")
    assert parts(rows["Q03"])[1:] == ("", "unclosed")
    assert parts(rows["Q04"]) == ("Maybe 5.", "Four.", "closed")
    assert parts(rows["Q05"]) == parts(rows["Q06"]) == ("Recount.", "Four.", "closed")
    assert (summary["thinking"]["mode"], summary["thinking"]["on"]) == ("thinks", True)


def test_a_server_that_never_thinks_is_off_and_one_that_skips_is_absent(ask: Ask) -> None:
    plain = {f"Q{i:02}": {"content": f"It is {i}."} for i in range(1, 7)}
    summary, rows = ask(plain)
    assert {row.trace.thinking_state for row in rows.values()} == {"off"}
    assert summary["thinking"]["mode"] == "does not think"
    assert "none of 6 completions opened a thought" in "\n".join(lines_of(summary))
    summary, rows = ask({**plain, "Q01": {"content": "It is 1.", "reasoning_content": "Easy."}})
    assert {row.trace.thinking_state for row in rows.values()} == {"closed", "absent"}
    summary, rows = ask(plain, template_args={"enable_thinking": False})
    assert {row.trace.thinking_state for row in rows.values()} == {"off"}
    summary, rows = ask(plain, thinking="magistral")
    assert {row.trace.thinking_state for row in rows.values()} == {"absent"}
    assert any("should think" in warning for warning in summary["warnings"])


def test_a_recipe_names_format_markers_or_off(ask: Ask) -> None:
    canned = {"Q01": {"content": "<<hm>>Four."}, "Q02": {"content": "<<hm>>Five."}}
    _, rows = ask(canned, thinking={"open": "<<", "close": ">>"})
    assert parts(rows["Q01"]) == ("hm", "Four.", "closed")
    _, rows = ask(canned, thinking=False)  # YAML's own reading of `off`
    assert parts(rows["Q01"]) == ("", "<<hm>>Four.", "off")
    for wrong in ("magistrl", {"open": "<<"}, {"format": "think", "open": "<"}, {"open": "a", "close": "a"}, 3):
        with pytest.raises((LrmctlError, ValueError)):
            ask(canned, thinking=wrong)
