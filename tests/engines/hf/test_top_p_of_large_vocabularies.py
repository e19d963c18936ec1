"""Top-p and top-k from the largest logits alone are those of the whole sorted vocabulary."""

from __future__ import annotations

import pytest
import torch

from lrmctl.engines.hf import token_sampling
from lrmctl.engines.hf.token_sampling import filtered

V = 12_000
CASES = [(V, 0.95), (V, 0.5), (50, 1.0), (50, 0.9), (1, 1.0), (2_000, 0.99), (1024, 1.0), (1023, 0.999)]


def by_sorting(logits: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    return token_sampling._by_sorting(logits, top_k, top_p)


@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0, 12.0])
def test_the_same_tokens_are_kept(spread: float) -> None:
    torch.manual_seed(0)
    logits = spread * torch.randn(len(CASES), V)
    top_k = torch.tensor([[k] for k, _ in CASES])
    top_p = torch.tensor([[p] for _, p in CASES])
    kept, wanted = filtered(logits, top_k, top_p), by_sorting(logits, top_k, top_p)
    for row, (a, b, p) in enumerate(zip(kept, wanted, top_p[:, 0], strict=True)):
        differ = (a.isinf() != b.isinf()).nonzero()[:, 0]
        assert len(differ) <= 1, row  # sums of probabilities round differently: only at the limit itself
        for token in differ:
            before = b.softmax(-1)[logits[row] > logits[row, token]].sum() * (logits[row].softmax(-1)[~b.isinf()].sum())
            assert before == pytest.approx(float(p), abs=1e-4)
    same = kept.isinf() == wanted.isinf()
    assert torch.equal(kept[same], wanted[same])


def test_equal_logits_at_the_limit_are_cut_where_sorting_cuts_them() -> None:
    torch.manual_seed(1)
    logits = torch.randn(6, V).mul(2).round()
    top_k = torch.tensor([[V], [40], [7], [V], [300], [V]])
    top_p = torch.tensor([[0.9], [1.0], [1.0], [0.3], [0.95], [0.999]])
    assert torch.equal(filtered(logits, top_k, top_p), by_sorting(logits, top_k, top_p))


def test_what_the_largest_logits_do_not_settle_is_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    sorted_rows: list[int] = []
    real = token_sampling._by_sorting

    def noted(logits: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        sorted_rows.append(len(logits))
        return real(logits, *rest)

    monkeypatch.setattr(token_sampling, "_by_sorting", noted)
    torch.manual_seed(2)
    logits = torch.cat([12 * torch.randn(3, V), 0.01 * torch.randn(1, V)])
    everything, p = torch.full((4, 1), V), torch.full((4, 1), 0.95)
    filtered(logits, everything, p)
    assert sorted_rows == [1]
