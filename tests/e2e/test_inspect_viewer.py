"""Exported logs in Inspect's own viewer, as a reader's browser sees them."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from exported import evaluated

from lrmctl.export.inspect import write_inspect
from lrmctl.export.source import ExportedEvaluation

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.skipif(importlib.util.find_spec("inspect_ai") is None, reason="no inspect-ai"),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `inspect view` on exported logs."""
    folder = tmp_path_factory.mktemp("viewer")
    write_inspect(ExportedEvaluation(evaluated(folder / "run"), "run"), folder / "logs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "inspect_ai", "view", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen([*command, "--log-dir", str(folder / "logs")], stdout=log, stderr=log)
        try:
            yield _up(f"http://127.0.0.1:{port}", server, folder / "log.txt")
        finally:
            server.terminate()
            server.wait(20)


def _up(url: str, server: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(300):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return url
    pytest.fail(f"the viewer did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """A tab; `asked` are the addresses that it fetched, `said` the errors that it met."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = opened.new_page(viewport={"width": 1500, "height": 1000})
        tab.set_default_timeout(60_000)
        tab.asked, tab.said = [], []
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.on("pageerror", lambda error: tab.said.append(str(error)))
        yield tab
        opened.close()


HARMFUL = "001_harmful-set-harmful-t0.6.eval"


def test_every_set_is_listed_with_its_main_figure(page: Any, viewer: str) -> None:
    page.goto(viewer)
    for task in ("harmful-set-harmful-t0.6", "benign-set-benign-t0.6", "sums-reasoning-t0.6"):
        page.get_by_text(task, exact=True).first.wait_for()
    page.get_by_text("0.875", exact=True).first.wait_for()


def test_thinking_answer_and_verdicts_of_a_sample_can_be_read(page: Any, viewer: str) -> None:
    page.goto(f"{viewer}/#/logs/{HARMFUL}/samples/sample/h0/1/messages")
    page.get_by_text("answering h0").first.wait_for()
    text = page.inner_text("body")
    assert "REASONING" in text.upper()
    assert "pondering h0" in text
    assert "thinking_safe" in text
    assert "unsafe" in text


def test_the_judges_words_explain_a_score(page: Any, viewer: str) -> None:
    page.goto(f"{viewer}/#/logs/{HARMFUL}/samples/sample/h0/1/scoring")
    page.get_by_text("guard 7, thinking: unsafe").first.wait_for()


def test_markup_in_model_text_is_inert(page: Any, viewer: str) -> None:
    for tab in ("messages", "scoring"):
        page.goto(f"{viewer}/#/logs/{HARMFUL}/samples/sample/h0/1/{tab}")
        page.get_by_text("document.title='owned'").first.wait_for()
        assert page.title() != "owned"
        assert page.locator("img[src*=owned]").count() == 0
    assert [url for url in page.asked if not url.startswith((viewer, "data:", "blob:"))] == []
    assert page.said == []
