"""Figures measured by `tests/gpu`: collected while the tests run, written as JSON and as a table in Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes:
        part: what was measured: memory, generation, entropy, training, vLLM.
        what: the case, in a few words.
        value: the number, or why there is none.
        unit: MiB, tokens/s, seconds, or `times` for a ratio.
        note: what the value is compared with, or how it was taken.
    """

    part: str
    what: str
    value: float | str
    unit: str = ""
    note: str = ""


@dataclass
class Figures:
    """All figures of one session, the machine that they are of, and the tests that were skipped."""

    figures: list[Figure] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, part: str, what: str, value: float | str, unit: str = "", note: str = "") -> None:
        self.figures.append(Figure(part, what, value, unit, note))

    def to_json(self) -> dict[str, Any]:
        return {
            "machine": machine(),
            "figures": [asdict(one) for one in self.figures],
            "skipped": [{"test": test, "reason": reason} for test, reason in self.skipped.items()],
        }

    def not_run(self) -> list[str]:
        """The skipped tests, one line for each reason."""
        reasons: dict[str, list[str]] = {}
        for test, reason in self.skipped.items():
            reasons.setdefault(reason, []).append(test.rpartition("::")[2])
        return [f"{len(tests)} not run, {reason}: {', '.join(tests)}" for reason, tests in reasons.items()]

    def markdown(self) -> str:
        about = ", ".join(f"{key} {value}" for key, value in machine().items() if value)
        head = [f"Measured by `make test-gpu` on: {about}.", ""]
        rows = ["| part | what | figure | note |", "|---|---|---|---|"]
        rows += [f"| {f.part} | {f.what} | {f'{_shown(f.value)} {f.unit}'.strip()} | {f.note} |" for f in self.figures]
        lacking = [f"* {line}" for line in self.not_run()]
        return "\n".join([*head, *rows, *([""] if lacking else []), *lacking]) + "\n"

    def write(self, folder: Path) -> None:
        """Write `figures.json` and `figures.md`."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False)
        (folder / "figures.json").write_text(text + "\n", encoding="utf-8")
        (folder / "figures.md").write_text(self.markdown(), encoding="utf-8")


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict[str, str]:
    """The GPU and the versions that matter; empty where something is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"GPU": "", "CUDA": ""}
    try:
        import torch

        found["CUDA"] = str(torch.version.cuda or "")
        if torch.cuda.is_available():
            found["GPU"] = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    except ImportError:
        pass
    for package in ("torch", "transformers", "openrlhf", "deepspeed", "flash-attn", "vllm"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found


def peak_bytes(work: Callable[[], Any], device: int = 0) -> int:
    """Most bytes that torch's allocator held at once during `work`, what was there before included."""
    import gc

    import torch

    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    work()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device))


def seconds(work: Callable[[], Any]) -> float:
    """Time of one call, the GPU's work included."""
    import time

    import torch

    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start
