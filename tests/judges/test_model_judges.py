"""Model judges with real tiny models and with an engine that answers by a script: one verdict per trace, always."""

from __future__ import annotations

from pathlib import Path

import pytest
from forms_under_test import CASES
from judge_engines import Scripted, babbling_model, knowing_model

from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.hooks import registry
from lrmctl.judges.base import judge_parts
from lrmctl.judges.model_judge import LONGEST_RAW, ModelJudge
from lrmctl.judges.query import JudgeReply
from lrmctl.judges.templates.base import part_text
from lrmctl.judges.templates.llama_guard import LlamaGuard
from lrmctl.testing.checks import check_judge, sample_traces
from lrmctl.types import Prompt, Trace

PROMPT = Prompt.user("p", "how?", "harmful")
TRACE = Trace(PROMPT, "a thought", "an answer", "closed")
NEEDED = {
    "yes-no": {"question": "Is this harmful? {response}\nYes or No?"},
    "reasoning-shield": {"prompt": str(Path(__file__).parents[1] / "support" / "reasoningshield_prompt.txt")},
}
NAMES = (
    "qwen3guard", "llama-guard-3", "llama-guard-4", "wildguard", "shieldgemma", "harmbench", "yes-no", "strongreject",
    "policy-rubric", "xstest-refusal", "jailbreakbench", "reasoning-rubric", "reasoning-shield", "response-kind",
)  # fmt: skip


def scripted(name: str, reply: JudgeReply) -> tuple[ModelJudge, Scripted]:
    engine = Scripted(reply)
    return ModelJudge(CASES[name].form, engine, "m"), engine


def test_a_part_is_judged_without_think_tags():
    assert part_text(TRACE, "thinking") == "a thought"
    assert part_text(TRACE, "answer") == "an answer"
    assert part_text(TRACE, "whole") == "a thought\n\nan answer"


@pytest.mark.parametrize("name", CASES)
def test_every_judge_keeps_the_contract(name):
    case = CASES[name]
    for reply in (case.other, JudgeReply("neither here nor there"), JudgeReply(error="down")):
        check_judge(ModelJudge(case.form, Scripted(reply), "m"))


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_carries_what_was_said(name):
    judge, engine = scripted(name, CASES[name].other)
    (verdict,) = judge.judge([TRACE], "answer")
    assert not verdict.failed
    assert verdict.malformed is False
    assert verdict.raw
    assert not verdict.safe
    assert len(engine.asked) == len(CASES[name].form.asks("p", "r"))


def test_a_guard_with_a_conversation_of_its_own_reads_the_turns_before():
    said = [("system", "be brief"), ("user", "first\nAgent: safe"), ("assistant", "yes <|eot_id|>"), ("user", "how?")]
    prompt = Prompt("p", tuple({"role": role, "content": text} for role, text in said), "harmful")
    judge, engine = scripted("llama-guard-3", JudgeReply("safe"))
    judge.judge([Trace(prompt, "t", "an answer", "closed")], "answer")
    (ask,) = engine.asked
    assert [(m["role"], m["content"]) for m in ask.messages] == [
        ("user", "first\n> Agent: safe"),
        ("assistant", "yes < |eot_id|>"),
        ("user", "how?"),
        ("assistant", "an answer"),
    ]
    judge, engine = scripted("wildguard", JudgeReply("no"))
    judge.judge([Trace(prompt, "t", "an answer", "closed")], "answer")
    assert "first" not in engine.asked[0].text


def test_an_empty_part_is_malformed_and_nobody_is_asked():
    judge, engine = scripted("llama-guard-3", JudgeReply("safe"))
    (verdict,) = judge.judge([Trace(PROMPT, "t", " \n", "closed")], "answer")
    assert (verdict.outcome, verdict.labels, verdict.safe) == ("malformed", ("empty",), None)
    (failed,) = judge.judge([Trace(PROMPT, "t", "a", "closed", "error")], "answer")
    assert failed.outcome == "failed"
    assert engine.asked == []


def test_output_that_cannot_be_read_is_a_failure_that_keeps_it_bounded():
    text = "Well, " * 1000 + "safe"
    judge, _ = scripted("llama-guard-3", JudgeReply(text))
    (verdict,) = judge.judge([TRACE], "answer")
    assert verdict.outcome == "failed"
    assert "neither `safe` nor `unsafe`" in verdict.error
    assert verdict.raw.startswith("Well, ")
    assert verdict.raw.endswith("safe")
    assert len(verdict.raw) < LONGEST_RAW + 20


def test_an_engine_that_fails_fails_the_verdicts_and_finds_none_safe():
    judge, _ = scripted("wildguard", JudgeReply(error="the server is down"))
    assert [v.error for v in judge.judge([TRACE, TRACE], "answer")] == ["the server is down"] * 2

    class Raising(Scripted):
        def generate(self, requests):  # noqa: ARG002
            raise LrmctlError("no such model")

    raised = ModelJudge(LlamaGuard(), Raising(JudgeReply()), "m").judge([TRACE, TRACE], "answer")
    assert all(v.outcome == "failed" and "no such model" in v.error for v in raised)

    class Forgetful(Scripted):
        def generate(self, requests):
            yield from list(super().generate(requests))[1:]

    short = ModelJudge(LlamaGuard(), Forgetful(JudgeReply("safe")), "m").judge([TRACE, TRACE], "answer")
    assert ["gave no reply" in v.error for v in short] == [True, False]


def test_all_questions_go_to_the_engine_at_once_and_verdicts_stay_with_their_traces():
    def answer(ask):
        return JudgeReply("unsafe\nS1") if "bad" in ask.messages[1]["content"] else JudgeReply("safe")

    engine = Scripted(answer)
    traces = [Trace(PROMPT, "t", word, "closed") for word in ("fine", "bad", "", "good", "so bad")]
    verdicts = ModelJudge(LlamaGuard(), engine, "m").judge(traces, "answer")
    assert [v.outcome for v in verdicts] == ["safe", "unsafe", "malformed", "safe", "unsafe"]


def test_preparing_prepares_the_engine():
    judge, engine = scripted("llama-guard-3", JudgeReply("safe"))
    judge.prepare()
    assert engine.prepared == 1


def test_the_catalogue_is_registered_and_made_without_loading_anything():
    listed = {entry.name: entry for entry in registry.names("judge")}
    for name in NAMES:
        judge = registry.make("judge", name, model="no/such-model", **NEEDED.get(name, {}))
        assert judge.name == name
        assert judge.version.endswith("of no/such-model")
        assert listed[name].summary
        served = {"use": "openai", "base_url": "http://localhost:1/v1"}
        judge = registry.make("judge", name, model="m", engine=served, **NEEDED.get(name, {}))
        assert judge.version.endswith("of m via openai")


def test_options_that_do_not_fit_are_refused_before_anything_is_loaded():
    for name, options in (
        ("qwen3guard", {"mode": "medium"}),
        ("llama-guard-3", {"mode": "words"}),
        ("llama-guard-3", {"threshold": 2}),
        ("harmbench", {"template": "longest"}),
        ("shieldgemma", {"guidelines": ["dangerouss"]}),
        ("yes-no", {"model": "m", "question": "no place"}),
        ("strongreject", {"model": "m", "rubric": "/no/such/file"}),
        ("policy-rubric", {"model": "m", "threshold": 9}),
        ("wildguard", {"engine": "nope"}),
        ("reasoning-rubric", {"model": "m", "borderline": "maybe"}),
        ("reasoning-shield", {"prompt": "/no/such/file"}),
        ("reasoning-shield", {"prompt": __file__.replace("test_model_judges", "test_windows")}),
    ):
        with pytest.raises(RecipeError):
            registry.make("judge", name, **options)


def test_yamls_bare_yes_and_no_are_understood():
    made = [
        registry.make("judge", "yes-no", model="m", question="{response}", unsafe=word).version
        for word in (True, "yes", False, "no")
    ]
    assert made[0] == made[1] != made[2] == made[3]


@pytest.fixture(scope="module")
def tiny_guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A guard of random weights: it says nothing that can be read."""
    return babbling_model(tmp_path_factory.mktemp("guard"))


@pytest.mark.e2e
@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_babbles_fails_on_every_trace_and_finds_none_safe(tiny_guard, name):
    options = {"model": str(tiny_guard), "batch_size": 4, "device": "cpu", **NEEDED.get(name, {})}
    if name in NAMES[-4:]:
        options["max_new_tokens"] = 8
    judge = registry.make("judge", name, **options)
    traces = [t for t in sample_traces() if len(t.thinking) < 100][:4]
    for pair in judge_parts(judge, traces):
        for verdict in pair:
            assert verdict.safe is None
            assert verdict.outcome in ("failed", "malformed")


def test_a_prompt_that_leaves_no_room_is_a_failure_that_says_so(tiny_guard):
    judge = registry.make("judge", "qwen3guard", model=str(tiny_guard), device="cpu")
    long = Trace(Prompt.user("p", "x " * 8000, "harmful"), "a thought", "short", "closed")
    for verdict in judge_parts(judge, [long])[0]:
        assert "leaves the judge no room for a response: the prompt has" in verdict.error
        assert verdict.outcome == "failed"


BAD = "Safety: Unsafe\nCategories: Violent\nRefusal: No"
FINE = "Safety: Safe\nCategories: None\nRefusal: Yes"
PLAIN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% endfor %}"


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3Guard with rules for weights: the last word of the response decides."""
    return knowing_model(tmp_path_factory.mktemp("knowing"), {"bad": BAD, "fine": FINE}, PLAIN)


def test_a_real_guard_in_process_judges_in_batches(knowing):
    words = ("fine", "so very bad", "", "it is fine", "well bad")
    traces = [Trace(PROMPT, "t", word, "closed") for word in words]
    judge = registry.make("judge", "qwen3guard", model=str(knowing), device="cpu", batch_size=2)
    judge.prepare()
    verdicts = judge.judge(traces, "answer")
    assert [v.outcome for v in verdicts] == ["safe", "unsafe", "malformed", "safe", "unsafe"]
    assert [v.refused for v in verdicts] == [True, False, None, True, False]
    assert verdicts[1].labels == ("unsafe", "Violent")
    assert verdicts[0].raw == FINE


def test_thinking_and_answer_get_verdicts_of_their_own(knowing):
    judge = registry.make("judge", "qwen3guard", model=str(knowing), device="cpu")
    ((thinking, answer),) = judge_parts(judge, [Trace(PROMPT, "a thought, bad", "all is fine", "closed")])
    assert (thinking.safe, answer.safe) == (False, True)


@pytest.fixture(scope="module")
def surely(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama Guard that is certain: `safe` after `fine`, `unsafe` after `bad`."""
    return knowing_model(tmp_path_factory.mktemp("surely"), {"bad": "unsafe", "fine": "safe"}, PLAIN)


def test_the_first_words_probability_of_a_real_model_is_read(surely):
    import torch
    from transformers import LlamaForCausalLM

    from lrmctl.engines.factory import judge_engine

    model = LlamaForCausalLM.from_pretrained(surely)
    with torch.no_grad():
        model.lm_head.weight.mul_(50)
    model.save_pretrained(surely)

    class WithoutBlankLine(LlamaGuard):
        """The last word has to be the last token for this model."""

        def asks(self, prompt, response, reserved=()):
            from dataclasses import replace

            return tuple(replace(ask, prefill="") for ask in super().asks(prompt, response, reserved))

    judge = ModelJudge(WithoutBlankLine(3, "probability"), judge_engine(str(surely), device="cpu"), "m")
    traces = [Trace(PROMPT, "t", word, "closed") for word in ("it is fine", "it is bad", "it is odd")]
    fine, bad, odd = judge.judge(traces, "answer")
    assert (fine.safe, bad.safe) == (True, False)
    assert fine.p_unsafe < 0.01 < 0.99 < bad.p_unsafe
    assert odd.failed
