"""The report as a reader's browser sees it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_fixtures import ARMS, INJECTION, make_study, read

from lrmctl.reporting import build_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    build_report(make_study(folder, n=8, extra=INJECTION), folder / "report.html", title="A study")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, study: Path) -> Iterator[Any]:
    """The opened report; `said` and `asked` are what it wrote to the console and fetched."""
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    tab.said, tab.asked = [], []
    tab.on("console", lambda message: tab.said.append(message.text))
    tab.on("pageerror", lambda error: tab.said.append(str(error)))
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto((study / "report.html").as_uri())
    yield tab
    tab.close()


def test_the_page_opens_silently_and_fetches_nothing_else(page: Any, study: Path) -> None:
    assert page.said == []
    assert [url for url in page.asked if not url.startswith("data:")] == [(study / "report.html").as_uri()]


def test_markup_in_model_text_is_inert_and_readable(page: Any) -> None:
    assert page.title() == "A study"
    assert page.locator("script:not([type])").count() == 1  # the viewer's own
    assert page.locator("img").count() == 0
    assert INJECTION in page.locator(".card .thinking").first.text_content()


def test_the_viewer_takes_the_place_of_the_samples_on_the_screen_and_not_in_print(page: Any) -> None:
    page.wait_for_selector("#viewer[data-ready]")
    assert not page.locator(".sample").first.is_visible()
    page.wait_for_selector(".v-card")
    assert page.locator(".v-status").inner_text().endswith("traces of 576.")
    page.emulate_media(media="print")
    assert page.locator(".sample").first.is_visible()
    assert "report.html" in page.locator(".v-printed").inner_text()


def test_without_scripts_the_samples_are_there(browser: Any, study: Path) -> None:
    tab = browser.new_context(java_script_enabled=False).new_page()
    tab.goto((study / "report.html").as_uri())
    assert tab.locator(".sample").first.is_visible()
    assert not tab.locator("#viewer").is_visible()
    tab.close()


def test_the_numbers_on_the_page_are_those_of_the_summaries(page: Any, study: Path) -> None:
    for t in (0.6, 1.0):
        for arm in ARMS:
            entries = {
                e["kind"]: e for e in read(study / arm / "eval" / "summary.json")["sets"] if e["temperature"] == t
            }
            for key, kind in {
                "joint_safe": "harmful",
                "joint_unsafe": "harmful",
                "complied": "benign",
                "correct": "reasoning",
            }.items():
                cell = page.locator(f'table.main[data-temperature="{t:g}"] tr[data-arm="{arm}"] td[data-key="{key}"]')
                wanted = entries[kind]["metrics"][key]
                assert cell.locator(".v").inner_text() == f"{100 * wanted['value']:.1f}"
                assert (
                    cell.locator(".ci").inner_text()
                    == f"{100 * wanted['low']:.1f}\N{EN DASH}{100 * wanted['high']:.1f}"
                )


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_never_scrolls_sideways(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_main_table_fits_a_desktop_window(page: Any) -> None:
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every(s => s.scrollWidth <= s.clientWidth)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(page: Any, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 against the page for body, muted, series and badge colours."""
    page.emulate_media(color_scheme=scheme)
    names = ["ink", "muted", "accent", "good", "bad", "odd", *(f"s{i}" for i in range(8))]
    badges = ["good-soft", "bad-soft", "odd-soft"]
    colors = page.evaluate(
        """names => { const c = document.createElement('canvas').getContext('2d');
        const read = n => { c.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--' + n).trim();
            c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3) };
        return Object.fromEntries([...names, 'paper'].map(n => [n, read(n)])) }""",
        names + badges,
    )
    found = {name: round(contrast(colors[name], colors["paper"]), 2) for name in names}
    found |= {b: round(contrast(colors[b.removesuffix("-soft")], colors[b]), 2) for b in badges}
    assert {name: ratio for name, ratio in found.items() if ratio < 4.5} == {}


def contrast(a: list[int], b: list[int]) -> float:
    """Contrast ratio of two sRGB colours, as WCAG 2.2 defines it."""

    def luminance(color: list[int]) -> float:
        linear = [x / 255 / 12.92 if x / 255 <= 0.04045 else ((x / 255 + 0.055) / 1.055) ** 2.4 for x in color]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)
