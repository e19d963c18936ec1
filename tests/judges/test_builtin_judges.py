"""The judges that ask a model: facts in models.toml, one function each for what is asked."""

from __future__ import annotations

import inspect

import pytest

from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.hooks import registry
from lrmctl.judges import builtin, factory
from lrmctl.judges.model_judge import ModelJudge


def test_every_entry_has_its_function_and_every_function_its_entry():
    assert set(factory.model_judges()) == set(builtin.TEMPLATES)


@pytest.mark.parametrize("name", sorted(builtin.TEMPLATES))
def test_a_judge_takes_the_options_of_its_template_between_those_that_all_have(name):
    parameters = inspect.signature(registry.find("judge", name).factory).parameters
    own = list(inspect.signature(builtin.TEMPLATES[name]).parameters)
    assert list(parameters) == ["model", *own, "engine", "batch_size", "device"]
    facts = factory.model_judges()[name]
    assert parameters["batch_size"].default == facts.batch_size
    assert parameters["model"].default == (facts.model or inspect.Parameter.empty)


def test_a_judge_is_made_from_its_own_and_the_common_options():
    judge = registry.make("judge", "qwen3guard", mode="loose", model="org/guard", engine="vllm")
    assert isinstance(judge, ModelJudge)
    assert "loose" in judge.version
    assert "org/guard via vllm" in judge.version


def test_a_judge_without_a_model_of_its_own_asks_for_one():
    with pytest.raises(RecipeError, match="needs the option 'model'"):
        registry.make("judge", "strongreject")


def test_a_wrong_entry_is_one_error_with_file_entry_and_field(monkeypatch):
    class Stricter(factory.ModelJudgeFacts, frozen=True, forbid_unknown_fields=True, kw_only=True):
        licence: str

    monkeypatch.setattr(factory, "ModelJudgeFacts", Stricter)
    with pytest.raises(LrmctlError, match="missing required field licence") as raised:
        factory.model_judges()
    assert raised.value.where == "lrmctl/judges/models.toml: [qwen3guard]"
