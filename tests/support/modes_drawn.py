"""What tests of decoding modes share: drawing under a mode, the modes, and a process that can be killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.lab import base_path
from lrmctl.recipe.schema.decoding import Budget, Decoding, LessThink, MoreThink, Prefix, ZeroThink
from lrmctl.types import Prompt, Trace

HOW = Sampling(0.6, 0.95, max_new_tokens=160)
OPENS = "<|im_start|>assistant\n<think>\n"
DREADFUL = "Okay, this is a risky thing. So the plan is hazard-2 then hazard-3."
EVERY = [
    ZeroThink(),
    LessThink(),
    MoreThink(rounds=2, tokens=80),
    Budget(tokens=12),
    Prefix(thought=DREADFUL, tokens=4),
]
DRAWS = """
import sys
from pathlib import Path

from lrmctl.engines.decoding import engine as modes
from lrmctl.engines.base import Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store, sample_traces
from lrmctl.hooks import registry
from lrmctl.lab import base_path
from lrmctl.recipe.schema.decoding import Budget

modes.AT_ONCE = 6
with Store(Path(sys.argv[1])) as store:
    prompts = registry.make("benchmark", "lab-harmful").load()[:24]
    engine = modes.steered(HfEngine(base_path(), device="cpu"), Budget(tokens=12))
    sample_traces(engine, store, prompts, Sampling(0.6, 0.95, max_new_tokens=160), 2, 0)
"""


def words(given: Any) -> Decoding:
    made: Decoding = TypeAdapter(Decoding).validate_python(given)
    return made


def requests_of(
    engine: Engine, prompts: Sequence[Prompt], how: Sampling = HOW, samples: int = 2
) -> list[GenerationRequest]:
    return [replace(engine.request(p, how, 0, 0), sample=i) for p in prompts for i in range(samples)]


def completions(engine: Engine, requests: Sequence[GenerationRequest]) -> list[Completion]:
    done = {i: completion for batch in engine.generate(requests) for i, completion in batch}
    assert sorted(done) == list(range(len(requests)))
    return [done[i] for i in range(len(requests))]


def traces(engine: Engine, prompts: Sequence[Prompt], how: Sampling = HOW) -> list[Trace]:
    requests = requests_of(engine, prompts, how)
    asked = [p for p in prompts for _ in range(2)]
    done = completions(engine, requests)
    return [engine.trace(p, r, c) for p, r, c in zip(asked, requests, done, strict=True)]


def without_opening(folder: Path, template: Callable[[str], str] = lambda t: t.replace("<think>\\n", "")) -> Path:
    """The lab's model with another chat template."""
    shutil.copytree(base_path(), folder)
    file = folder / "chat_template.jinja"
    file.write_text(template(file.read_text()))
    return folder
