"""One evaluation on several workers: the completions of one, from one GPU each or from a GPU that they share."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpu_figures import Figures, seconds

from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.engines.factory import make_engine
from lrmctl.engines.spread import ProcessCrew, SpreadEngine, choice
from lrmctl.models.shipped import base_path
from lrmctl.recipe.schema.engines import HfOptions

ASKED = [GenerationRequest(f"What is {i} + {i}?", Sampling(max_new_tokens=64), i) for i in range(512)]


def drawn(engine: Engine) -> dict[int, Completion]:
    return {i: completion for some in engine.generate(ASKED) for i, completion in some}


def compare(workers: int | str, figures: Figures) -> SpreadEngine:
    """Draw with one worker and with these; in float32, where rounding hardly ever decides a token."""
    options = [HfOptions.model_validate({"workers": n, "dtype": "float32"}) for n in (1, workers)]
    one, spread = (make_engine(Path(base_path()), each, batch_size=128) for each in options)
    assert isinstance(spread, SpreadEngine)
    expected = drawn(one)
    alone = seconds(lambda: drawn(one))
    one.release()
    found = drawn(spread)
    together = seconds(lambda: drawn(spread))
    name = f"{spread.crew.count} workers on {len(choice.visible_gpus())} GPUs"
    figures.add("workers", f"{name}: time of one worker / their time", alone / together)
    same = sum(found[i].ids == expected[i].ids for i in range(len(ASKED)))
    assert sorted(found) == sorted(expected)
    assert same >= 0.98 * len(ASKED)
    assert spread.identity == one.identity
    assert spread.facts() == one.facts()
    return spread


@pytest.mark.parametrize("workers", ["auto"], ids=["one worker per GPU"])
def test_each_gpu_has_a_worker(workers: str, figures: Figures) -> None:
    import torch

    if (count := torch.cuda.device_count()) < 2:
        pytest.skip("one GPU: a worker on each needs two")
    engine = compare(workers, figures)
    assert isinstance(engine.crew, ProcessCrew)
    assert len(engine.crew.pids) == count
    engine.release()


def test_two_workers_share_a_gpu(figures: Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    first = choice.visible_gpus()[:1]
    monkeypatch.setattr(choice, "visible_gpus", lambda: first)
    engine = compare(2, figures)
    assert isinstance(engine.crew, ProcessCrew)
    assert len(engine.crew.pids) == 2
    engine.release()
