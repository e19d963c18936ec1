"""Raw completions of every format that models write, taken apart: closed, cut, absent, mentioned, wrapped."""

from __future__ import annotations

import pytest

from lrmctl.thinking import ThinkingFormat, builtin_formats, format_of_text, own_format, split_apart, split_text

TAGS = [form for form in builtin_formats().values() if not form.channels]
STRICT = [form for form in TAGS if not form.prose]


def parts(text: str, opened: bool = False, form: ThinkingFormat | None = None) -> tuple[str, str, str]:
    split = split_text(text, opened=opened, format=form)
    return split.thinking, split.answer, split.state


def named(form: ThinkingFormat) -> str:
    return form.name


@pytest.mark.parametrize("known", [True, False], ids=["format known", "format read from the text"])
@pytest.mark.parametrize("form", TAGS, ids=named)
def test_every_format_is_read_in_all_its_shapes(form: ThinkingFormat, known: bool) -> None:
    given = form if known else None
    whole = f"{form.opening}one two{form.closing}three"
    assert parts(whole, form=given) == ("one two", "three", "closed")
    assert parts(f"{form.open}one two{form.close}three", form=given) == ("one two", "three", "closed")
    assert parts(f"{form.opening}one two", form=given) == ("one two", "", "unclosed")
    assert parts("only an answer", form=given) == ("", "only an answer", "absent")
    if known or not form.prose:
        assert parts(f"one two{form.closing}three", opened=True, form=given) == ("one two", "three", "closed")
    assert parts("one two", opened=True, form=form) == ("one two", "", "unclosed")
    assert split_text(f"{form.opening}{form.closing}three", opened=False, format=given).irregular == ("empty",)
    for end in form.ends:
        assert parts(f"{whole}{end}", form=given) == ("one two", "three", "closed")
    for left, right in form.wrappers:
        assert parts(f"{form.opening}one{form.closing}{left}\nthree\n{right}", form=given)[1] == "three"
        assert parts(f"{form.opening}one{form.closing}{left}\nthree, cu", form=given)[1] == "three, cu"


@pytest.mark.parametrize("form", STRICT, ids=named)
def test_markers_that_are_mentioned_are_text(form: ThinkingFormat) -> None:
    start = f"{form.opening}one{form.closing}"
    for said in (
        f"Write `{form.open}` first.",
        f"Write {form.open} first and {form.close} last.",
        f'It ends with "{form.close}", always.',
        f"```\n{form.open}\nhm\n{form.close}\n```",
        f"~~~text\n{form.close}\n~~~\nDone.",
    ):
        split = split_text(start + said, opened=False, format=form)
        assert (split.thinking, split.answer, split.state, split.irregular) == ("one", said, "closed", ("mentioned",))
        assert parts(f"Sure:\n{said}", form=form) == ("", f"Sure:\n{said}", "absent")
        thought = f"{form.opening}They want\n{said}{form.closing}three"
        assert parts(thought, form=form) == (f"They want\n{said}", "three", "closed")
    cut = f"{form.opening}They ask for `{form.close}` and"
    assert parts(cut, form=form) == (f"They ask for `{form.close}` and", "", "unclosed")


@pytest.mark.parametrize("form", STRICT, ids=named)
def test_what_follows_a_closed_thought_is_the_answer_and_a_second_thought_is_flagged(form: ThinkingFormat) -> None:
    split = split_text(f"{form.opening}a{form.closing}b\n{form.open}\nc{form.close}\nd", opened=False, format=form)
    assert split.thinking == "a"
    assert split.answer == f"b\n{form.open}\nc{form.close}\nd"
    assert (split.state, split.irregular) == ("closed", ("repeated",))
    assert parts(f"{form.opening}a{form.closing}b\n{form.open}\nc", form=form)[2] == "closed"


H = "<|channel|>analysis<|message|>"
F = "<|start|>assistant<|channel|>final<|message|>"
C = "<|start|>assistant<|channel|>commentary<|message|>"
TOOL = "<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>"


@pytest.mark.parametrize(
    ("text", "opened", "wanted"),
    [
        (f"{H}hm, so<|end|>{F}Four.<|return|>", False, ("hm, so", "Four.", "closed")),
        (f"{H}hm, so<|end|>{F}Four.", False, ("hm, so", "Four.", "closed")),
        (f"hm, so<|end|>{F}Four.", True, ("hm, so", "Four.", "closed")),
        (f"<|start|>assistant{H}hm<|end|>{F}Four.<|end|>", False, ("hm", "Four.", "closed")),
        (f"{H}hm, so", False, ("hm, so", "", "unclosed")),
        (f"{H}hm, so<|end|><|start|>assistant<|channel|>fin", False, ("hm, so", "", "closed")),
        ("hm, so", True, ("hm, so", "", "unclosed")),
        ("<|channel|>final<|message|>Four.", False, ("", "Four.", "absent")),
        ("Four.", False, ("", "Four.", "absent")),
        (f"{H}a<|end|><|start|>assistant{H}b<|end|>{F}c", False, ("a\n\nb", "c", "closed")),
        (f"{H}a<|end|>{C}I look it up.<|end|>{F}c", False, ("a", "I look it up.c", "closed")),
        (f'{H}a<|end|>{TOOL}{{"x": 1}}<|call|>', False, ('a\n\n{"x": 1}', "", "unclosed")),
        (f"{H}a<|end|>{F}The header is `{H}` there.", False, ("a", f"The header is `{H}` there.", "closed")),
        (f"{H}I write `{F}` now<|end|>{F}c", False, (f"I write `{F}` now", "c", "closed")),
        ("analysisWe add. So 4.assistantfinalIt is 4.", False, ("We add. So 4.", "It is 4.", "closed")),
        ("analysisWe add. So", False, ("We add. So", "", "unclosed")),
        (
            "analysisA.assistantcommentaryI look.assistantanalysisB.assistantfinalC.",
            False,
            ("A.\n\nB.", "I look.C.", "closed"),
        ),
        ("finalIt is 4.", False, ("", "It is 4.", "absent")),
        ("analysisuser adds.assistantfinal4", False, ("user adds.", "4", "closed")),
        ("analysis: yes", False, ("", "analysis: yes", "absent")),
        ("analysis of the text follows", False, ("", "analysis of the text follows", "absent")),
    ],
)
def test_harmony_channels_with_their_special_tokens_kept_or_dropped(
    text: str, opened: bool, wanted: tuple[str, str, str]
) -> None:
    assert parts(text, opened, builtin_formats()["harmony"]) == wanted
    if text.startswith((H, "analysisW", "analysisA")):
        assert format_of_text(text).name == "harmony"
        assert parts(text) == wanted


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>a</think><answer>b</answer> and more", "<answer>b</answer> and more"),
        ("<think>a</think>So: <answer>b</answer>", "So: <answer>b</answer>"),
        ("<think>a</think><answer>b</answer> or <answer>c</answer>", "<answer>b</answer> or <answer>c</answer>"),
        ("<think>a</think><answer>\nThe tag `<answer>` is it.\n</answer>", "The tag `<answer>` is it."),
        (
            "<think>a</think><answer>It is <|begin_of_box|>4<|end_of_box|>.</answer>",
            "It is <|begin_of_box|>4<|end_of_box|>.",
        ),
        ("<think>a</think><answer><|begin_of_box|>4<|end_of_box|></answer>", "4"),
        ("<think>a</think><answer></answer>", ""),
    ],
)
def test_a_wrapper_is_taken_off_only_where_it_wraps_the_whole_answer(text: str, answer: str) -> None:
    assert split_text(text, opened=False).answer == answer


def test_budget_tags_of_seed_are_taken_off_and_their_words_stay() -> None:
    note = "<seed:cot_budget_reflect>I used 9 tokens.</seed:cot_budget_reflect>"
    assert parts(f"<seed:think>\nFirst. {note} Then.</seed:think>Four.") == (
        "First. I used 9 tokens. Then.",
        "Four.",
        "closed",
    )


def test_other_spellings_of_the_prose_of_granite() -> None:
    text = "Here's my thought process:\nhm\n\nHere's my response:\nFour."
    assert parts(text) == ("hm", "Four.", "closed")
    assert parts("I think so. Here is my response: four.")[2] == "absent"
    bold = "**Here is my thought process:**\nhm\n\n**Here is my response:**\nFour."
    assert parts(bold) == parts(bold, form=builtin_formats()["granite"]) == ("hm", "Four.", "closed")


def test_markers_of_a_recipes_own() -> None:
    form = own_format("<<", ">>")
    assert parts("<<hm>>four", form=form) == ("hm", "four", "closed")
    assert parts("<think>hm</think>four", form=form) == ("", "<think>hm</think>four", "absent")


def test_a_block_that_the_thought_left_open_does_not_hide_its_end() -> None:
    assert parts("<think>\n```python\nx = 1\n</think>\nThe code is\n```python\nx = 1\n```") == (
        "```python\nx = 1",
        "The code is\n```python\nx = 1\n```",
        "closed",
    )


@pytest.mark.parametrize(
    ("reasoning", "content", "wanted"),
    [
        (
            "They want the tag.",
            "Start with `<think>`.",
            ("They want the tag.", "Start with `<think>`.", "closed", ("mentioned",)),
        ),
        ("Write </think> there", "Four.", ("Write </think> there", "Four.", "closed", ("mentioned",))),
        ("Easy.", "<think>again</think>Four.", ("Easy.", "<think>again</think>Four.", "closed", ("repeated",))),
        ("Easy.", "<answer>Four.</answer>", ("Easy.", "Four.", "closed", ())),
        ("Easy, but", "", ("Easy, but", "", "unclosed", ())),
        ("Easy, but", "\u200b", ("Easy, but", "", "unclosed", ())),
        ("<think>Easy.</think>", "Four.", ("Easy.", "Four.", "closed", ())),
    ],
)
def test_what_came_apart_stays_apart_word_for_word(reasoning, content, wanted) -> None:  # type: ignore[no-untyped-def]
    split = split_apart(reasoning, content)
    assert (split.thinking, split.answer, split.state, split.irregular) == wanted
