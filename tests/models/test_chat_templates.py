"""Whatever form of content a template takes, what was said is in what the model reads, or it is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrmctl.engines.checkpoint import render_question
from lrmctl.errors import LrmctlError
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer
from lrmctl.models.chat import ALL_ROLES, is_in, render_chat

PARTS = "{% for part in m['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] | trim }}{% endfor %}"
TEMPLATES = {
    "text": "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}",
    "parts selected": "{% for m in messages %}<{{ m['role'] }}>" + PARTS + "\n{% endfor %}",
    "parts in a loop": (
        "{% for m in messages %}<{{ m['role'] }}>{% for p in m['content'] %}{% if p['type'] == 'text' %}{{ p['text'] }}"
        "{% endif %}{% endfor %}{% endfor %}"
    ),
    "first part": "{% for m in messages %}<{{ m.role }}>{{ m.content[0].text }}{% endfor %}",
    "text of the system, parts of the rest": (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}{% else %}"
        + PARTS
        + "{% endif %}{% endfor %}"
    ),
    "either": (
        "{% for m in messages %}{% if m['content'] is string %}{{ m['content'] }}{% else %}"
        + PARTS
        + "{% endif %}{% endfor %}"
    ),
    "written as JSON": "{% for m in messages %}{{ m['content'] | tojson }}{% endfor %}",
    "trimmed": "{% for m in messages %}{{ m['content'] | trim }}|{% endfor %}",
}
MESSAGES = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "  the text of hazard-3\nin two lines "},
    {"role": "assistant", "content": 'a reply with "quotes"'},
    {"role": "user", "content": "e"},  # found in any template by chance
)


@pytest.fixture
def tokenizer() -> Any:
    return load_tokenizer(base_path())


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_message_is_in_what_is_rendered_in_its_plain_form(name: str, tokenizer: Any) -> None:
    tokenizer.chat_template = TEMPLATES[name]
    text = render_chat(tokenizer, MESSAGES, whole=ALL_ROLES)
    assert all(is_in(message["content"], text) for message in MESSAGES)
    assert "'type'" not in text
    if name != "either":
        one = render_chat(tokenizer, [{"role": "user", "content": "e"}])
        assert one.replace("<user>", "").strip(' \n|"') == "e"


LEAVING_OUT = {
    "the last message": "{% for m in messages[:-1] %}{{ m['content'] }}{% endfor %}",
    "the user": "{% for m in messages if m['role'] != 'user' %}{{ m['content'] }}{% endfor %}",
    "what comes after a word": "{% for m in messages %}{{ m['content'].split('of')[0] }}{% endfor %}",
    "all": "a fixed text",
    "long texts": "{% for m in messages %}{{ m['content'][:5] }}{% endfor %}",
}


@pytest.mark.parametrize("name", LEAVING_OUT)
def test_a_template_that_leaves_out_what_is_asked_is_an_error(name: str, tokenizer: Any) -> None:
    tokenizer.chat_template = LEAVING_OUT[name]
    with pytest.raises(LrmctlError, match="leaves out the user's message"):
        render_chat(tokenizer, [{"role": "user", "content": "the text of hazard-3"}])


def test_a_past_turn_may_lose_its_thinking_and_a_judged_text_may_lose_nothing(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'].split('END')[-1] }}{% endfor %}"
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "thought END answer"}]
    assert render_chat(tokenizer, turns) == "q answer"
    with pytest.raises(LrmctlError, match="leaves out the assistant's message"):
        render_question(tokenizer, turns, None)


def test_a_judge_reads_both_texts_through_a_template_of_parts(tokenizer: Any) -> None:
    tokenizer.chat_template = TEMPLATES["parts selected"]
    messages = ({"role": "user", "content": "the prompt"}, {"role": "assistant", "content": "the response"})
    text = render_question(tokenizer, messages, None)
    assert "the prompt" in text
    assert "the response" in text


WITHOUT_BOUNDS = {
    "loops in loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}"
    "{% endfor %}{% endfor %}",
    "a large range": "{% for a in range(999999999) %}{% endfor %}",
    "a macro that calls itself": "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "a long text at once": "{{ 'x' * 300000000 }}",
    "an endless text at once": "{{ 'x' * 99999999999999 }}",
    "a long list": "{{ ([1] * 300000000) | length }}",
    "a text in many pieces": "{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
    "a large power": "{{ 9 ** (9 ** 9) }}",
    "padding": "{{ 'x' | center(999999999) }}",
    "padding by a method": "{{ 'x'.ljust(999999999) }}",
    "padding by a format": "{{ '%0999999999d' % 1 }}",
    "doubling": "{% set ns = namespace(t='xxxxxxxxxx') %}{% for a in range(22) %}{% set ns.t = ns.t ~ ns.t %}"
    "{% endfor %}{{ ns.t }}",
}


@pytest.mark.e2e
@pytest.mark.parametrize("name", WITHOUT_BOUNDS)
def test_a_template_without_bounds_is_one_clear_error(name: str, copy: Path, lrmctl: Any, tmp_path: Path) -> None:
    (copy / "chat_template.jinja").write_text(WITHOUT_BOUNDS[name] + TEMPLATES["text"])
    (tmp_path / "sft.yaml").write_text(
        f"kind: sft\nname: small\nmodel: {copy}\ndata: {{max_len: 256, sources: [{{use: lab-teacher}}]}}\n"
    )
    for words in (("eval", copy, "--recipe", "eval.yaml"), ("train", "sft.yaml", "--dry-run")):
        done = lrmctl(*words)
        assert done.code == 2, done.err
        assert "chat template" in done.err
        assert "bug in lrmctl" not in done.err


def test_counting_steps_leaves_the_tracer_of_a_debugger_in_place(tokenizer: Any) -> None:
    import sys

    def trace(*_: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        render_chat(tokenizer, [{"role": "user", "content": "q"}])
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)


def test_a_judge_whose_template_drops_the_response_is_refused_before_anything_is_drawn(
    copy: Path, lrmctl: Any, tmp_path: Path
) -> None:
    (copy / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    recipe = (tmp_path / "eval.yaml").read_text()
    (tmp_path / "eval.yaml").write_text(
        recipe.replace("judge: refusal-phrases", f"judge: qwen3guard\n  judge_options: {{model: {copy}}}")
    )
    done = lrmctl("eval", base_path(), "--recipe", "eval.yaml")
    assert done.code == 2, done.err
    assert "leaves out the assistant's message" in " ".join(done.err.split())
    assert not list((tmp_path / "runs").rglob("completions.sqlite"))
