"""The trace viewer at size: how long a page takes to make and to open, to filter, search and scroll; how large it is.

    python tests/benchmarks/viewer.py [--arms 6] [--traces 3000] [--words 300] [--runs 3] [--keep FOLDER]
    python tests/benchmarks/viewer.py --arms 1 --traces 50000 --words 120 --no-tokens

Pages are opened in headless chromium. `open` is the time from asking for the file to a list that can be read; `filter`
and `search` end when the list shows the answer; `frames` are the times between frames while the list is scrolled.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lrmctl.analysis.tokens import STATISTICS, TokenStore, TraceTokens, name_of
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.types import Kind, Prompt, Trace, Verdict
from lrmctl.viewer import ViewedRun, embed, standalone_page

KINDS: Sequence[Kind] = ("harmful", "benign", "reasoning")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SCROLL = """async () => {
  const list = document.querySelector('.v-list'), times = [];
  let last = await new Promise(requestAnimationFrame);
  for (let step = 0; step < 120; step++) {
    list.scrollTop += step < 60 ? 400 : 40000;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}"""
FILTER = """async ([field, value]) => {
  const began = performance.now();
  const box = document.querySelector(`select[data-field=${field}]`);
  box.value = value;
  box.dispatchEvent(new Event('change'));
  await new Promise(requestAnimationFrame);
  return [performance.now() - began, document.querySelector('.v-status').textContent];
}"""
SEARCH = """async (words) => {
  const began = performance.now(), box = document.querySelector('.v-search');
  box.value = words;
  box.dispatchEvent(new Event('input'));
  await new Promise((done) => setTimeout(done, 210));
  while (!document.querySelector('.v-status').textContent.match(/^[\\d,]+ traces? of/)
    || document.querySelector('.v-status').textContent.includes('searching')) await new Promise(requestAnimationFrame);
  return [performance.now() - began, document.querySelector('.v-status').textContent];
}"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.keep or scratch)
        rng = np.random.default_rng(0)
        runs = [_write(folder / f"arm{i}", i, options, rng) for i in range(options.arms)]
        rows = sum((run.path / "eval" / "rows.jsonl").stat().st_size for run in runs)
        began = time.perf_counter()
        traces = embed(runs, lexicon="cyclicreflex", limit=10**9)
        page = standalone_page("Traces", index=traces.index, chunks=traces.chunks)
        took = time.perf_counter() - began
        file = folder / "page.html"
        file.write_text(page)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{options.arms} x {options.traces} traces, {options.words} words of thinking each")
        print(f"rows {rows / 2**20:.1f} MiB; page {file.stat().st_size / 2**20:.1f} MiB", end=", ")
        print(f"index {len(traces.index) / 2**20:.2f} MiB of it; made in {took:.2f} s, {memory:.0f} MiB at most")
        _browse(file, options.runs)


def _browse(file: Path, runs: int) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found: dict[str, list[float]] = {}
        for _ in range(runs):
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            _one_visit(browser, file, found)
            browser.close()
    for name, times in found.items():
        spread = f"{min(times):8.0f} to {max(times):6.0f}"
        print(f"{name:34} median {statistics.median(times):8.1f} ms, {spread} ms, n = {len(times)}")


def _one_visit(browser: Any, file: Path, found: dict[str, list[float]]) -> None:
    def note(name: str, *times: float) -> None:
        found.setdefault(name, []).extend(times)

    page = browser.new_page(viewport={"width": 1400, "height": 900})
    began = time.perf_counter()
    page.goto(file.as_uri(), wait_until="commit")
    page.wait_for_selector("#viewer[data-ready] .v-row", timeout=120_000)
    note("open: list is there", (time.perf_counter() - began) * 1e3)
    page.wait_for_selector(".v-card", timeout=120_000)
    note("open: first trace is there", (time.perf_counter() - began) * 1e3)
    page.wait_for_load_state("load")
    note("open: page is read to its end", (time.perf_counter() - began) * 1e3)
    note("frames while scrolling", *page.evaluate(SCROLL))
    for field, value in (("kind", "harmful"), ("result", "unsafe"), ("kind", ""), ("result", "")):
        took, _ = page.evaluate(FILTER, [field, value])
        note("filter", took)
    took, said = page.evaluate(SEARCH, "rareword7")
    note("search, texts not unpacked yet", took)
    took, _ = page.evaluate(SEARCH, "word17 word")
    note("search again", took)
    assert " of " in said
    page.close()


def _write(path: Path, seed: int, options: argparse.Namespace, rng: np.random.Generator) -> ViewedRun:
    rows = list(_rows(seed, options))
    write_jsonl(path / "eval" / "rows.jsonl", (row.to_json() for row in rows))
    if options.tokens:
        with TokenStore(path / "analysis" / "tokens", {}) as store:
            for number, row in enumerate(rows):
                n = max(1, len(row.trace.thinking) // 5)
                start = np.arange(n, dtype=np.int32) * 5
                figures = [rng.exponential(0.4, n).astype(np.float32) for _ in STATISTICS]
                store.add(TraceTokens(*name_of(row), str(number), start, start, *figures))
    return ViewedRun(f"arm {seed}", path)


def _rows(seed: int, options: argparse.Namespace) -> Iterator[EvalRow]:
    rng = random.Random(seed)
    words = [f"word{i}" for i in range(2_000)] + ["wait,", "but", "alternatively"] * 8
    for number in range(options.traces):
        kind = KINDS[number % 3]
        prompt = Prompt.user(f"p{number // 4}", f"Question {number // 4} about a thing", kind)
        thinking = " ".join(rng.choices(words, k=options.words)) + (" rareword7" if rng.random() < 0.01 else "")
        answer = " ".join(rng.choices(words, k=options.words // 6))
        trace = Trace(prompt, thinking, answer, "closed", "stop", options.words * 2, options.words // 3, number % 4)
        if kind == "reasoning":
            yield EvalRow("math", 0.6, trace, correct=rng.random() < 0.7)
        else:
            verdicts = [Verdict("guard", "1", part, safe=rng.random() < 0.7) for part in ("thinking", "answer")]  # type: ignore[arg-type]
            yield EvalRow("safety", 0.6, trace, *verdicts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"arms": 6, "traces": 3_000, "words": 300, "runs": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--no-tokens", dest="tokens", action="store_false")
    parser.add_argument("--keep", default="", help="write the runs and the page here, and leave them")
    return parser.parse_args()


if __name__ == "__main__":
    main()
