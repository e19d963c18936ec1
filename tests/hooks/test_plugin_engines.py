"""Engines through the hook: one that answers with a fixed text in an evaluation and as a judge's model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.engines import judge_engine, make_engine
from lrmctl.errors import LrmctlError
from lrmctl.hooks import registry
from lrmctl.recipe.schema.engines import HfOptions, engine_options

PLUGIN = """
    from lrmctl import Trace, hookimpl
    from lrmctl.engines import Completion, Engine, GenerationRequest, Sampling

    class Fixed(Engine):
        name = "fixed"
        fingerprint = identity = ""
        def __init__(self, model, *, rendering, batch_size, reply="No."):
            self.model, self.rendering, self.reply = str(model), rendering, reply
            self.fingerprint = self.identity = f"fixed:{reply}"
        def render(self, prompt):
            return self.rendering.messages(prompt)[-1]["content"]
        def question(self, messages, max_new_tokens, *, text="", prefill="", template_args=None):
            return GenerationRequest(text or messages[-1]["content"], Sampling(0.0), question=True)
        def generate(self, requests):
            for index, _ in enumerate(requests):
                yield [(index, Completion((), self.reply, "stop", tokens=1))]
        def trace(self, prompt, request, completion):
            return Trace(prompt, "", completion.text, "absent", completion.finish_reason, sample=request.sample)

    @hookimpl
    def lrmctl_engines(register):
        register("fixed", Fixed, summary="always the same reply")
        register("odd", lambda model, *, rendering, batch_size: 3, summary="no engine")
"""


@pytest.fixture(autouse=True)
def plugin(install: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    install("acme-fixed", "acme_fixed", PLUGIN)
    monkeypatch.setattr(registry._default, "_third_party", None)


RECIPE = """kind: eval
name: small
model: lab:tiny
evaluation:
  safety: [lab-harmful]
  judge: lab
  limit: 2
  samples: 1
  temperatures: [0.6]
  engine: {use: ENGINE, options: {reply: I cannot help with that.}}
"""


def test_an_evaluation_takes_a_plugins_engine_and_a_name_that_is_no_folder(
    lrmctl: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE.replace("ENGINE", "fixed"))
    assert lrmctl("recipe", "validate", "r.yaml").code == 0
    said = lrmctl("eval", "a-model-elsewhere", "--recipe", "r.yaml", "--name", "m")
    assert said.code == 0, said.err
    folder = tmp_path / "runs" / "m" / "eval"
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    assert {row["trace"]["answer"] for row in rows} == {"I cannot help with that."}
    assert json.loads((folder / "summary.json").read_text())["engine"]["name"] == "fixed"


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ("{use: fxied}", "did you mean 'fixed'"),
        ("{use: fixed, options: {rply: a}}", "did you mean 'reply'"),
        ("{use: fixed, options: {model: a}}", "gets 'model' from lrmctl"),
        ("{use: hff, dtype: auto}", "did you mean 'hf'"),
        ("{use: odd}", "not a lrmctl.engines.Engine"),
    ],
)
def test_an_engine_that_cannot_be_is_one_clear_error(
    lrmctl: Callable[..., Any], tmp_path: Path, engine: str, told: str
) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE.partition("  engine:")[0] + f"  engine: {engine}\n")
    refused = lrmctl("eval", "lab:tiny", "--recipe", "r.yaml", "--name", "m")
    assert refused.code == 2
    assert told in " ".join(refused.err.split())


def test_a_judge_takes_one_too() -> None:
    engine: Any = judge_engine("guard", {"use": "fixed", "options": {"reply": "safe"}})
    assert (engine.model, engine.reply) == ("guard", "safe")
    assert judge_engine("guard", {"use": "fixed", "options": {"reply": "safe"}}) is engine
    with pytest.raises(LrmctlError, match="did you mean 'fixed'"):
        judge_engine("guard", "fxed")


def test_built_in_engines_are_of_the_registry() -> None:
    assert {"hf", "vllm", "openai"} <= {e.name for e in registry.names("engine") if e.builtin}
    made = registry.make("engine", "openai", model="m", rendering=None, batch_size=2, base_url="http://localhost:1/v1")
    assert type(made) is type(make_engine("m", engine_options({"use": "openai", "base_url": "http://localhost:1/v1"})))
    with pytest.raises(LrmctlError, match="has no option 'dtpe'"):
        registry.make("engine", "hf", model="m", rendering=None, batch_size=2, dtpe="float32")
    assert engine_options("hf") == HfOptions()
