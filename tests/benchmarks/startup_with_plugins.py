"""Start-up with no plugin and with twenty, one of which sleeps at import, against importing typer and rich alone.

    python tests/benchmarks/startup_with_plugins.py

Prints medians as ratios. `plugin list` loads every plugin, so with the sleeping one it takes the time limit.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
REWARD = """
from lrmctl import Score, hookimpl
class Always:
    def score(self, traces, part): return [Score(1.0) for _ in traces]
@hookimpl
def lrmctl_rewards(register): register("{name}", Always, summary="always 1")
"""


def write(folder: Path, name: str, source: str) -> None:
    """A distribution of one module, as installed."""
    module = name.replace("-", "_")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lrmctl]\n{module} = {module}\n")
    (folder / f"{module}.py").write_text(source)


def median(command: Sequence[str], env: Mapping[str, str], times: int = 7) -> float:
    """Seconds of a whole process."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    lrmctl = str(Path(sys.executable).parent / "lrmctl")
    env = {key: value for key, value in os.environ.items() if not key.startswith("LRMCTL_")}
    with tempfile.TemporaryDirectory() as folder:
        for i in range(19):
            write(Path(folder), f"acme-{i}", REWARD.format(name=f"acme-{i}"))
        write(Path(folder), "acme-slow", "import time\ntime.sleep(60)\n")
        bound = median([sys.executable, "-c", "import typer, rich.console"], env)
        for title, path in (("0 plugins", str(ROOT)), ("20 plugins", f"{ROOT}:{folder}")):
            for words in (["--help"], ["recipe", "list"], ["plugin", "list"]):
                slow = path != str(ROOT) and words[0] == "plugin"
                taken = median([lrmctl, *words], {**env, "PYTHONPATH": path}, 1 if slow else 7)
                print(f"{title}: lrmctl {' '.join(words)}: {taken:.2f} s, {taken / bound:.2f} of typer and rich")


if __name__ == "__main__":
    main()
