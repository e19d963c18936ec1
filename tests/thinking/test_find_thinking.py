"""Whether a model thinks, and in which format, found from real tokenizers with the templates that models have."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from tokenizers import AddedToken

from lrmctl.errors import RecipeError
from lrmctl.lab.tokenizer import build_tokenizer
from lrmctl.thinking import Thinking, builtin_formats, find_thinking, split_ids

TURNS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
R1 = TURNS + "<think>\n"
QWEN3 = TURNS + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
DEEPSEEK31 = TURNS + "{% if thinking %}<think>{% else %}</think>{% endif %}"
GRANITE33 = "{% if thinking %}Write your thought between <think> and </think>, then <response>.\n{% endif %}" + TURNS
GRANITE32 = "{% if thinking %}Write 'Here is my thought process:' and then 'Here is my response:'.\n{% endif %}" + TURNS
STRIPS = "{% set tag = '</think>' %}" + TURNS
MAGISTRAL = "[SYSTEM_PROMPT]First draft your thinking: [THINK]Your thoughts[/THINK]Your answer[/SYSTEM_PROMPT]" + TURNS
HARMONY = (
    "<|start|>system<|message|>Reasoning: {{ reasoning_effort | default('medium') }}\n# Valid channels: analysis, "
    "commentary, final.<|end|>{% for m in messages %}{% if m.role == 'assistant' %}<|start|>assistant<|channel|>final"
    "<|message|>{{ m.content }}<|end|>{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}"
    "{% endfor %}<|start|>assistant"
)
GEMMA = (
    "{% if enable_thinking %}<|turn>system\n<|think|><turn|>\n{% endif %}{% for m in messages %}<|turn>{{ m.role }}\n"
    "{{ m.content }}<turn|>\n{% endfor %}<|turn>model\n{% if not enable_thinking %}<|channel>thought\n"
    "<channel|>{% endif %}"
)
SEED = TURNS + (
    "{% if thinking_budget is defined and thinking_budget == 0 %}<seed:think><seed:cot_budget_reflect>none"
    "</seed:cot_budget_reflect>\n</seed:think>{% endif %}"
)


@lru_cache
def base() -> Any:
    return build_tokenizer()


def tokenizer_of(template: str, tokens: tuple[str, ...] = (), *, special: bool = False) -> Any:
    from copy import deepcopy

    made = deepcopy(base())
    made.chat_template = template
    if tokens:
        made.add_tokens([AddedToken(t, special=special, normalized=False) for t in tokens], special_tokens=special)
    return made


def found(template: str, **args: Any) -> Thinking:
    return find_thinking(tokenizer_of(template), template_args=args)


@pytest.mark.parametrize(
    ("template", "args", "form", "mode", "on", "switch"),
    [
        (R1, {}, "think", "thinks", True, ""),
        (STRIPS, {}, "think", "thinks", True, ""),
        (QWEN3, {}, "think", "can think", True, "enable_thinking"),
        (QWEN3, {"enable_thinking": True}, "think", "can think", True, "enable_thinking"),
        (QWEN3, {"enable_thinking": False}, "think", "can think", False, "enable_thinking"),
        (DEEPSEEK31, {}, "think", "can think", False, "thinking"),
        (DEEPSEEK31, {"thinking": True}, "think", "can think", True, "thinking"),
        (GRANITE33, {}, "think", "can think", False, "thinking"),
        (GRANITE33, {"thinking": True}, "think", "can think", True, "thinking"),
        (GRANITE32, {}, "granite", "can think", False, "thinking"),
        (GRANITE32, {"thinking": True}, "granite", "can think", True, "thinking"),
        (MAGISTRAL, {}, "magistral", "thinks", True, ""),
        (HARMONY, {}, "harmony", "thinks", True, ""),
        (HARMONY, {"reasoning_effort": "low"}, "harmony", "thinks", True, ""),
        (GEMMA, {}, "gemma", "can think", False, "enable_thinking"),
        (GEMMA, {"enable_thinking": True}, "gemma", "can think", True, "enable_thinking"),
        (SEED, {}, "seed", "can think", True, "thinking_budget"),
        (SEED, {"thinking_budget": 0}, "seed", "can think", False, "thinking_budget"),
        (TURNS + "Here are my reasoning steps:\n", {}, "apriel", "thinks", True, ""),
        (TURNS + "<thought>\n", {}, "thought", "thinks", True, ""),
        (TURNS + "◁think▷", {}, "kimi", "thinks", True, ""),
        (TURNS + "<think>\n\n</think>\n\n", {}, "think", "does not think", False, ""),
    ],
)
def test_mode_switch_and_format_are_found_by_rendering(template, args, form, mode, on, switch) -> None:  # type: ignore[no-untyped-def]
    thinking = found(template, **args)
    assert thinking.format is not None
    assert (thinking.format.name, thinking.mode, thinking.on, thinking.switch) == (form, mode, on, switch)
    assert thinking.warnings == ()
    assert Thinking.from_json(thinking.to_json()) == thinking


def test_where_nothing_is_known_the_completions_decide() -> None:
    thinking = Thinking()
    assert thinking.settled(0, 40).on is False
    assert thinking.settled(0, 40).mode == "does not think"
    assert thinking.settled(30, 40).on is True
    assert thinking.settled(30, 40).state("absent") == "absent"
    assert thinking.settled(0, 40).state("absent") == "off"
    assert found(R1).settled(0, 40).on is True  # a model that should think and does not is malformed


def test_a_format_that_is_not_the_templates_is_refused() -> None:
    with pytest.raises(RecipeError, match="THINK"):
        find_thinking(tokenizer_of(R1), override={"format": "magistral"})
    with pytest.raises(RecipeError, match="opens the thought"):
        find_thinking(tokenizer_of(R1), override="off")
    with pytest.raises(RecipeError):
        find_thinking(tokenizer_of(R1), override={"open": "<a>", "close": "</a>"})
    assert find_thinking(tokenizer_of(R1), override={"format": "think"}).on is True
    assert find_thinking(tokenizer_of(QWEN3), template_args={"enable_thinking": False}, override="off").on is False


def test_a_marker_that_no_format_has_is_told() -> None:
    thinking = found(TURNS + "<ponder>\n")
    assert "<ponder>" in thinking.warnings[0]
    own = find_thinking(tokenizer_of(TURNS + "<ponder>\n"), override={"open": "<ponder>", "close": "</ponder>"})
    assert (own.on, own.mode, own.warnings) == (True, "thinks", ())


def test_a_servers_template_is_unknown_but_for_the_switch_that_is_sent_to_it() -> None:
    assert find_thinking(None) == Thinking()
    assert find_thinking(None, template_args={"enable_thinking": False}).on is False
    assert find_thinking(None, template_args={"enable_thinking": True}).on is None
    assert find_thinking(None, override="off").on is False


@pytest.mark.parametrize("special", [True, False], ids=["special tokens", "added tokens"])
@pytest.mark.parametrize("form", list(builtin_formats().values()), ids=lambda form: form.name)
def test_token_ids_are_split_by_any_format_and_only_words_are_counted(form: Any, special: bool) -> None:
    tokens = tuple(t for t in form.literals if not form.prose and "analysis" not in t and "final" not in t)
    tokenizer = tokenizer_of(R1, tokens, special=special)
    ids = tokenizer.encode(f"{form.opening}one two{form.closing}three", add_special_tokens=False)
    split = split_ids(ids, tokenizer, opened=False, format=form)
    assert (split.thinking, split.answer, split.state) == ("one two", "three", "closed")
    words = [len(tokenizer.encode(text, add_special_tokens=False)) for text in ("one two", "three")]
    assert words[0] <= split.thinking_tokens <= words[0] + 2
    assert words[1] <= split.answer_tokens <= words[1] + 2
