"""Workers as actors of a real, local Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from gated_engine import GatedEngine

from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.engines.factory import make_engine
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.spread import RayCrew, SpreadEngine, ray_actors
from lrmctl.errors import LrmctlError
from lrmctl.recipe.schema.engines import HfOptions

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]
ASKED = [GenerationRequest(f"question {i}", Sampling(max_new_tokens=16), seed=i) for i in range(40)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2] / "support"), *_search_path()]))
        patch.setenv("RAY_raylet_start_wait_time_s", "180")  # 30 by default, too short on a busy machine
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("LRMCTL_RAY_JOB", "1")
        ray.init(num_cpus=3, include_dashboard=False)
        yield
        ray.shutdown()


def _search_path() -> list[str]:
    return [found] if (found := os.environ.get("PYTHONPATH")) else []


def drawn(engine: Engine) -> dict[int, Completion]:
    return {i: completion for some in engine.generate(ASKED) for i, completion in some}


def test_actors_draw_what_one_worker_draws(checkpoint: Path) -> None:
    one, three = (make_engine(checkpoint, HfOptions(workers=n), batch_size=4) for n in (1, 3))
    assert isinstance(three, SpreadEngine)
    assert isinstance(three.crew, RayCrew)
    assert drawn(three) == drawn(one)
    assert (three.identity, three.facts()) == (one.identity, one.facts())
    scores = three.loglikelihood([("question", f" {i}") for i in range(20)])
    assert len(scores) == 20
    three.release()


def test_a_killed_actor_is_named(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_actors, "_PATIENCE", 0.0)
    engine = SpreadEngine(GatedEngine, checkpoint, {"gate": tmp_path / "never"}, RayCrew(2))
    coming = engine.generate(ASKED)
    with pytest.warns(RuntimeWarning, match="no worker has got a CPU of the Ray cluster yet"):
        found = next(coming)
    actors = [each for each in psutil.Process().children(recursive=True) if "ray::Worker" in " ".join(each.cmdline())]
    actors[0].kill()
    with pytest.raises(LrmctlError, match=r"worker . of 2, a Ray actor on CPU died"):
        found += [one for some in coming for one in some]
    assert dict(found).items() <= drawn(HfEngine(checkpoint)).items()


def test_a_cluster_that_is_too_small_is_refused(checkpoint: Path) -> None:
    engine = SpreadEngine(HfEngine, checkpoint, {}, RayCrew(30))
    with pytest.raises(LrmctlError, match="30 workers, one per CPU, and the Ray cluster has 3") as error:
        drawn(engine)
    assert error.value.fix == "say `workers: 3` or fewer"
