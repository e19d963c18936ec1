"""What only a GPU can show. Every test here has the marker `gpu` and is skipped where torch sees no CUDA device.

    make test-gpu PYTHON=python3 LRMCTL_GPU_RESULTS=folder

Needs torch with CUDA, transformers, pytest and what lrmctl imports (msgspec, pluggy, pydantic). What else is missing
(OpenRLHF, vLLM, a second GPU) skips its tests; the end of the output lists them with the reason. Nothing is downloaded:
models are random or lrmctl's own. The fixtures of `tests/conftest.py`, which needs hypothesis, are not used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gpu_figures import Figures

HERE = Path(__file__).parent
RESULTS = "LRMCTL_GPU_RESULTS"
_FIGURES = Figures()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.gpu)


def why_no_gpu() -> str:
    """Why these tests cannot run here; empty if they can."""
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} sees no CUDA device"
    return ""


@pytest.fixture(scope="session", autouse=True)
def _gpu() -> None:
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    if why := why_no_gpu():
        pytest.skip(why)


@pytest.fixture(autouse=True)
def _freed() -> Iterator[None]:
    """Memory of one test is not counted with the next one's."""
    yield
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@pytest.fixture(scope="session")
def figures() -> Figures:
    """Where tests record what they measure."""
    return _FIGURES


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and "gpu" in report.keywords and isinstance(report.longrepr, tuple):
        _FIGURES.skipped[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not _FIGURES.figures and not _FIGURES.skipped:
        return
    terminalreporter.section("GPU tests: what was not run, and why")
    for line in _FIGURES.not_run() or ["everything was run"]:
        terminalreporter.write_line(line)
    terminalreporter.section("GPU tests: figures")
    if folder := os.environ.get(RESULTS):
        _FIGURES.write(Path(folder))
        terminalreporter.write_line(f"written to {folder}: figures.json, figures.md")
    else:
        terminalreporter.write_line(_FIGURES.markdown())
