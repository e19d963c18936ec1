"""SIGKILL at random points of a real run of the lab's model: what the engine handed over is neither lost nor redrawn.

One process loads the model; each run is a fork of it, killed after a random time, and the next goes on with the same
file. A log, written with one system call per line, says what the engine handed over (`given`) and what it was thanked
for by being asked for more (`taken`): from then on it has to be in the store.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUNS = """
import json, os, random, signal, sqlite3, sys, time
from pathlib import Path

import torch

from lrmctl.engines.base import Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store, sample_traces
from lrmctl.lab import base_path
from lrmctl.types import Prompt

folder, seeds, count = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
path = folder / "completions.sqlite"
prompts = [Prompt.user(str(i), f"What is {i} + {3 * i}?", "reasoning") for i in range(count)]


class Logged(HfEngine):
    def generate(self, requests):
        for batch in super().generate(requests):
            keys = " ".join(requests[i].key(self.identity) for i, _ in batch)
            os.write(log, f"given {keys}\\n".encode())
            yield batch
            os.write(log, f"taken {keys}\\n".encode())


engine = Logged(base_path(), batch_size=32, device="cpu")
engine.model, engine.tokenizer, engine._eos  # loaded once, here


def run():
    with Store(path) as store:
        sample_traces(engine, store, prompts, Sampling(1.0, max_new_tokens=110), 4, 0)


def said(word):
    lines = (folder / "log").read_text().splitlines()
    return [key for line in lines if line.startswith(word) for key in line.split()[1:]]


def stored():
    with Store(path) as store:
        return dict(store._db.execute("select key, ids from completions"))


counted = "killed in_the_middle lost changed twice given_not_taken of_them_stored"
found = dict.fromkeys(counted.split(), 0)
before = {}
for seed in [*seeds, None]:
    taken = set(said("taken"))
    at = len(said("given"))
    child = os.fork()
    if not child:
        run()
        os._exit(0)
    if seed is None:
        found["stored_by_killed_runs"] = len(before)
    else:
        while len(said("given")) <= at and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            time.sleep(0.01)  # while it looks for what is there there is nothing to lose
        time.sleep(random.Random(seed).uniform(0.0, 1.0))
        os.kill(child, signal.SIGKILL)
    found["killed"] += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    found["in_the_middle"] += seed is not None and len(said("given")) > at
    found["twice"] += len(taken & set(said("given")[at:]))
    now = stored()
    found["lost"] += len(set(said("taken")) - set(now))
    found["changed"] += sum(now.get(key) != ids for key, ids in before.items())
    found["given_not_taken"] += len(set(said("given")[at:]) - set(said("taken")))
    found["of_them_stored"] += len((set(said("given")[at:]) - set(said("taken"))) & set(now))
    before = now
found |= {"stored": len(before), "requests": 4 * count, "given": len(said("given"))}
found["integrity"] = sqlite3.connect(path).execute("pragma integrity_check").fetchone()[0]
print(json.dumps(found))
"""


def killed(folder: Path, seeds: list[int], prompts: int) -> dict[str, Any]:
    """What became of a run killed at as many points as there are seeds, and then let finish."""
    arguments = [str(folder), json.dumps(seeds), str(prompts)]
    done = subprocess.run(
        [sys.executable, "-c", RUNS, *arguments], capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(found)
    return found


def check(found: dict[str, Any], points: int) -> None:
    assert found["killed"] == points
    assert found["in_the_middle"] > 0  # the others were killed while they looked for what is there, or loaded
    assert (found["lost"], found["changed"], found["twice"]) == (0, 0, 0)
    assert found["stored"] == found["requests"]
    assert 0 < found["stored_by_killed_runs"] < found["requests"]  # they were killed in the middle
    assert found["given"] <= found["requests"] + found["given_not_taken"]  # twice only what a kill caught on its way
    assert found["integrity"] == "ok"


@pytest.mark.slow
def test_killed_three_times_nothing_is_lost_and_nothing_drawn_twice(tmp_path: Path) -> None:
    check(killed(tmp_path, [1, 2, 3], prompts=300), 3)


@pytest.mark.slow
def test_killed_twenty_times_nothing_is_lost_and_nothing_drawn_twice(tmp_path: Path) -> None:
    check(killed(tmp_path, list(range(100, 120)), prompts=3_000), 20)


WRITERS = """
import sys
from pathlib import Path
from lrmctl.engines.base import Sampling
from lrmctl.engines.base import Completion, GenerationRequest
from lrmctl.engines.store import Store

who = int(sys.argv[2])
with Store(Path(sys.argv[1])) as store:
    for start in range(0, 400, 4):
        requests = [GenerationRequest(f"p{i}", Sampling(), i % 2 * who) for i in range(start, start + 4)]
        store.put("engine", [(r, Completion((1, 2, who), "x" * 500, "stop")) for r in requests])
        assert len(store.get("engine", requests)) == 4
"""


def test_two_processes_write_one_file(tmp_path: Path) -> None:
    """Every second request is the same in both: whoever comes first is kept."""
    import sqlite3

    path = tmp_path / "c.sqlite"
    both = [subprocess.Popen([sys.executable, "-c", WRITERS, str(path), str(who)]) for who in (1, 2)]
    assert [one.wait(timeout=300) for one in both] == [0, 0]
    db = sqlite3.connect(path)
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    assert db.execute("select count(*), count(distinct key) from completions").fetchone() == (600, 600)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
