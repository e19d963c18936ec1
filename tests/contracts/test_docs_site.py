"""The documentation's site: every page is in its navigation, and what fails or can be set is described."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def test_every_page_is_in_the_navigation_once() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    listed = [page for section in nav for page in _pages(section)]
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == {page.name for page in (ROOT / "docs").glob("*.md")}


def _pages(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    inner = entry.values() if isinstance(entry, dict) else entry
    return [page for one in inner for page in _pages(one)]


def test_troubleshooting_has_every_message_of_a_failed_training() -> None:
    from lrmctl.backends.triage import FAILURE_PATTERNS

    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    assert [sign.what for sign in FAILURE_PATTERNS if f"| {sign.what} |" not in page] == []


def test_every_variable_of_lrmctl_is_described() -> None:
    page = (ROOT / "docs" / "environment.md").read_text()
    read = {
        name
        for file in (ROOT / "lrmctl").rglob("*.py")
        for name in re.findall(r"LRMCTL_[A-Z_]*[A-Z]", file.read_text())
        if not name.startswith("LRMCTL_OPENRLHF_")
    }
    assert sorted(name for name in read if name not in page) == []


def test_files_of_a_run_folder_are_described() -> None:
    from lrmctl.runs.folder import RunFolder

    page = (ROOT / "docs" / "run-folder.md").read_text()
    run = RunFolder(ROOT / "runs" / "x")
    files = (run.model, run.metrics, run.rollouts, run.logs, run.data, run.checkpoints, run.eval, run.analysis,
             run.recipe, run.lock, run.plan, run.status_file)  # fmt: skip
    assert [file.name for file in files if f"`{file.name}" not in page] == []


def test_the_site_needs_nothing_from_elsewhere_when_it_is_read() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    site = yaml.safe_load(text)
    assert "offline" in site["plugins"]
    assert site["theme"]["font"] is False
    files = [*site["extra"]["polyfills"], *site.get("extra_css", []), *site.get("extra_javascript", [])]
    assert [file for file in files if not (ROOT / "docs" / file).is_file()] == []
    pages = {page.name: page.read_text() for page in (ROOT / "docs").glob("*.md")}
    assert [name for name, page in pages.items() if re.search(r"!\[[^\]]*\]\(https?://|<(?:img|script)\b", page)] == []
