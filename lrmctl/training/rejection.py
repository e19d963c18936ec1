"""Rejection sampling: sample from a model and keep what a reward accepts as demonstrations.

The control that RL must beat, and a use of the core of `lrmctl.builders`. Completions are stored as they arrive, so a
killed call resumes; the same seed gives the same samples and hence the same demonstrations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lrmctl.builders.core import Draw, Sample, acceptance
from lrmctl.builders.opinions import Opinions
from lrmctl.builders.tasks import plain_task
from lrmctl.data.sources import Demonstration, load_prompts
from lrmctl.engines.base import Rendering, Sampling
from lrmctl.engines.factory import make_engine
from lrmctl.engines.store import Store
from lrmctl.errors import LrmctlError
from lrmctl.recipe.schema.recipes import Keep, Rejection
from lrmctl.runs.folder import write_json
from lrmctl.runs.jsonl import write_jsonl


def rejection_sample(
    model: Path,
    rejection: Rejection,
    *,
    seed: int,
    out: Path,
    on_progress: Callable[[int, int], None] | None = None,
    rendering: Rendering | None = None,
) -> list[Demonstration]:
    """Demonstrations from the model's own accepted samples, ordered by prompt, then sample.

    Writes `data/rejection.sqlite` (completions), `data/rejection.jsonl` (every sample with its reward) and
    `data/rejection.json` (acceptance by prompt kind) below `out`.

    Args:
        model: HF checkpoint folder; an engine that uses servers asks for the name in its options instead.
        on_progress: called with (completions done, total).
        rendering: template arguments and the model's thinking format.

    Raises:
        LrmctlError: nothing was accepted, too many completions failed, a name in the recipe is unknown, or the store
            failed.
        RewardError: rewards failed beyond what the recipe's `on_failure` tolerates.
    """
    keep, rollout = keep_of(rejection), rejection.rollout
    opinions = Opinions(keep)
    how = Sampling(temperature=rollout.temperature, top_p=rollout.top_p, max_new_tokens=rollout.max_new_tokens)
    tasks = [plain_task(prompt) for prompt in load_prompts(rejection.prompts)]
    engine = make_engine(model, rejection.engine, rendering=rendering or Rendering())
    with Store(out / "data" / "rejection.sqlite") as store:
        draw = Draw(engine, store, tasks, how, rejection.samples_per_prompt, seed, opinions)
        draw.fill(on_progress or (lambda _done, _total: None))
        draw.judge(keep, lambda *_: "")
        samples = list(draw.samples())
    write_jsonl(out / "data" / "rejection.jsonl", (sample.to_json() for sample in samples))
    write_json(
        out / "data" / "rejection.json", {"keep_at_least": rejection.keep_at_least, "kinds": acceptance(samples)}
    )
    kept = [Demonstration(s.trace.prompt, s.trace.thinking, s.trace.answer) for s in samples if s.kept]
    return kept or _nothing(samples, rejection, out)


def keep_of(rejection: Rejection) -> Keep:
    """The conditions of a recipe's rejection sampling: the reward alone decides."""
    return Keep(
        reward=rejection.reward,
        at_least=rejection.keep_at_least,
        max_per_prompt=rejection.max_per_prompt,
        closed_thinking=False,
    )


def _nothing(samples: Sequence[Sample], rejection: Rejection, out: Path) -> list[Demonstration]:
    totals = [s.opinion.reward for s in samples if s.opinion.reward is not None]
    best = f"; the best reward is {max(totals):g}" if totals else ""
    raise LrmctlError(
        f"none of {len(samples)} samples reaches a reward of {rejection.keep_at_least:g}{best}",
        where=str(out / "data" / "rejection.jsonl"),
        fix="lower `keep_at_least`, draw more samples per prompt, or look at the samples",
    )
