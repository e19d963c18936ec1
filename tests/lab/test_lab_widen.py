"""Wider heads, the same function."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from lrmctl.errors import LrmctlError, RunExistsError
from lrmctl.lab import base_path
from lrmctl.lab.widen import widen


def test_a_model_with_wider_heads_gives_the_same_logits(tmp_path: Path) -> None:
    tokens = torch.randint(3, 800, (4, 40), generator=torch.Generator().manual_seed(0))
    folders = base_path(), widen(base_path(), tmp_path / "wide", 32)
    logits = [AutoModelForCausalLM.from_pretrained(f, dtype=torch.float32)(tokens).logits for f in folders]
    torch.testing.assert_close(logits[1], logits[0], atol=2e-5, rtol=1e-4)


def test_added_dimensions_stay_zero_under_training(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(widen(base_path(), tmp_path / "wide", 32), dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    tokens = torch.randint(3, 800, (2, 20), generator=torch.Generator().manual_seed(0))
    model(tokens, labels=tokens).loss.backward()
    optimizer.step()
    weight = model.model.layers[0].self_attn.q_proj.weight.detach().unflatten(0, (-1, 32))
    assert weight[:, 0::2].abs().sum() > 0
    assert weight[:, 1::2].abs().sum() == 0


def test_what_cannot_be_widened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LrmctlError, match="multiple of 16"):
        widen(base_path(), tmp_path / "odd", 40)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    with pytest.raises(RunExistsError):
        widen(base_path(), tmp_path / "full", 32)
