"""The built documentation fetches nothing from elsewhere, and its search works in pages opened from the disk."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=[\"']((?:https?:)?//[^\"']+)", re.IGNORECASE
)
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="mkdocs-material is not installed"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_no_page_or_style_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.glob("*.html"))
    assert len(pages) > 30
    fetched = {url for page in pages for url in FETCHED.findall(page.read_text(encoding="utf-8"))}
    fetched |= {
        url
        for style in site.rglob("*.css")
        for url in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^)\"';]+)", style.read_text(encoding="utf-8"))
    }
    assert fetched == set()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_search_finds_a_word_in_a_page_from_the_disk(site: Path) -> None:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"file://{site}/index.html")
        page.fill("input[name=query]", "LRMCTL_PLUGIN_TIMEOUT")
        page.wait_for_selector(".md-search-result__link", timeout=60_000)
        found = [link.get_attribute("href") for link in page.query_selector_all(".md-search-result__link")]
        browser.close()
    assert {"environment.html", "plugins.html"} <= {
        str(link).rpartition("/")[2].partition("?")[0].partition("#")[0] for link in found
    }
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []
