"""Weights in SFT's loss, in OpenRLHF's own classes with the hooks put on: masks, token counts, the loss."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from lrmctl.backends.openrlhf import import_hooks
from lrmctl.backends.openrlhf.weights import VARIABLE
from lrmctl.backends.weight_runs import encoded, of_logprob
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer

ROW = {"prompt": "What is 2+3?\n<think>\n", "response": "2+3=5.\n</think>\n\nThe answer is 5.<|im_end|>"}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(base_path())


@pytest.fixture
def patches(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hooks' functions, without the import hook itself; packages of OpenRLHF without what they import at once."""
    import openrlhf

    for name in ("models", "utils"):
        bare = ModuleType(f"openrlhf.{name}")
        bare.__path__ = [str(Path(openrlhf.__path__[0]) / name)]
        monkeypatch.setitem(sys.modules, f"openrlhf.{name}", bare)
    monkeypatch.setenv(VARIABLE, json.dumps({"normalise": "tokens"}))
    from lrmctl.backends.openrlhf.weights import hooks

    return hooks


def data_set(patches: Any, tokenizer: Any, rows: list[dict[str, Any]]) -> Any:
    """OpenRLHF's data set with the hook, of rows in memory."""
    from datasets import Dataset

    module = fresh("openrlhf.datasets.sft_dataset")
    patches.weighted_masks(module)
    data = SimpleNamespace(input_key="prompt", output_key="response", apply_chat_template=False)
    strategy = SimpleNamespace(args=SimpleNamespace(data=data))
    return module.SFTDataset(Dataset.from_list(rows), tokenizer, 128, strategy, "{}", num_processors=None)


def fresh(name: str) -> ModuleType:
    """A module of OpenRLHF loaded anew, so that what is patched stays in this test."""
    import importlib.util

    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tokens_of(tokenizer: Any, row: dict[str, Any]) -> int:
    prompt, whole = (len(tokenizer(text)["input_ids"]) for text in (row["prompt"], row["prompt"] + row["response"]))
    return whole - prompt


def test_without_columns_masks_are_openrlhfs_own(patches: Any, tokenizer: Any) -> None:
    _, _, mask = data_set(patches, tokenizer, [ROW])[0]
    assert set(mask.flatten().tolist()) == {0.0, 1.0}
    assert mask.sum() == tokens_of(tokenizer, ROW)


def test_masks_hold_the_weights_of_the_response(patches: Any, tokenizer: Any) -> None:
    values = [i / 10 for i in range(1, tokens_of(tokenizer, ROW) + 1)]
    plain = data_set(patches, tokenizer, [ROW])[0][2]
    mask = data_set(patches, tokenizer, [{**ROW, **encoded(values)}])[0][2]
    assert mask[plain != 0].tolist() == pytest.approx(values)
    assert mask[plain == 0].abs().sum() == 0


def test_weights_that_do_not_fit_the_tokens_are_an_error(patches: Any, tokenizer: Any) -> None:
    rows = data_set(patches, tokenizer, [{**ROW, **encoded([1.0, 2.0])}])
    with pytest.raises(RuntimeError, match="row 0 has 2 weights, and its response"):
        rows[0]


def loss_of(patches: Any, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], masks: list[Any]) -> Any:
    """The loss of one optimizer step over micro-batches, as OpenRLHF's trainer computes it, and its gradient."""
    monkeypatch.setenv(VARIABLE, json.dumps(settings))
    module = ModuleType("trainer")
    from openrlhf.models.loss import SFTLoss
    from openrlhf.utils.loss_utils import iter_grad_accum_global_norm

    module.SFTLoss, module.iter_grad_accum_global_norm = SFTLoss, iter_grad_accum_global_norm  # type: ignore[attr-defined]
    if settings.get("plain") is None:
        patches.weighted_loss(module)
    torch.manual_seed(0)
    logps = [(-torch.rand(mask.shape)).requires_grad_() for mask in masks]
    strategy = SimpleNamespace(ring_attn_group=None)
    batches = list(zip(logps, masks, strict=True))
    total = torch.zeros(())
    for (logp, mask), info in module.iter_grad_accum_global_norm(batches, strategy, len(batches), lambda one: one[1]):  # type: ignore[attr-defined]
        total = total + module.SFTLoss()(logp, mask, **info)  # type: ignore[attr-defined]
    (total / len(batches)).backward()
    return float(total.detach()) / len(batches), [logp.grad for logp in logps], [logp.detach() for logp in logps]


def test_weight_one_is_openrlhfs_own_loss(patches: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = [torch.tensor([[0.0, 1, 1], [0, 1, 0]]), torch.tensor([[1.0, 1, 1], [0, 0, 1]])]
    plain = loss_of(patches, monkeypatch, {"plain": True}, masks)
    for normalise in ("tokens", "weights"):
        same = loss_of(patches, monkeypatch, {"normalise": normalise}, masks)
        assert same[0] == plain[0]
        assert all(torch.equal(a, b) for a, b in zip(same[1], plain[1], strict=True))


def test_the_loss_is_weighted_over_the_number_of_tokens_or_the_sum(
    patches: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = [torch.tensor([[0.0, 0.5, 2.0], [0, 1, 0]]), torch.tensor([[1.0, 3, 1], [0, 0, 0]])]
    for normalise, divisor in (("tokens", 6), ("weights", 8.5)):
        loss, gradients, logps = loss_of(patches, monkeypatch, {"normalise": normalise}, masks)
        nll = sum(float((-logp * mask).sum()) for logp, mask in zip(logps, masks, strict=True))
        assert loss == pytest.approx(nll / divisor, rel=1e-5)
        assert gradients[0][0].tolist() == pytest.approx([0, -0.5 / divisor, -2 / divisor], rel=1e-5)


def test_importance_weights_come_from_the_models_own_log_probabilities(
    patches: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrmctl.backends.openrlhf.weights.importance import ImportanceSettings, importance_weights

    behaviour = torch.tensor([[0.0, -0.5, -0.3, -0.9]])
    mask = torch.tensor([[0.0, *(of_logprob(float(one)) for one in behaviour[0, 1:])]])
    for level in ("token", "block", "sequence"):
        importance = {"level": level, "block": 2}
        loss, gradients, logps = loss_of(patches, monkeypatch, {"importance": importance}, [mask])
        weights = importance_weights(logps[0], behaviour, mask != 0, ImportanceSettings(level=level, block=2))  # type: ignore[arg-type]
        assert loss == pytest.approx(float((-logps[0] * weights).sum()) / 3, rel=1e-5)
        assert torch.allclose(gradients[0], -weights / 3), "no gradient through the weights"


def test_rows_of_evaluation_have_the_plain_loss(patches: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = [torch.tensor([[0.0, 1, 1]])]
    settings = {"importance": {"level": "token"}}
    assert loss_of(patches, monkeypatch, settings, masks)[0] == loss_of(patches, monkeypatch, {"plain": 1}, masks)[0]


def test_several_hooks_of_one_module_run_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "hooked_for_test.py").write_text("seen = []\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(import_hooks, "_PATCHES", {})
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for name in ("a", "b"):
        import_hooks.after("hooked_for_test")(lambda module, name=name: module.seen.append(name))
    import_hooks.install_hooks()
    import hooked_for_test  # type: ignore[import-not-found]

    assert hooked_for_test.seen == ["a", "b"]
