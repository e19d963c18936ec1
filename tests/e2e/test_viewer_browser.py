"""The trace viewer as a reader's browser shows it: finding, reading and comparing traces, by hand and by keys."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from viewed_runs import append_rollouts, make_run, rollouts, verdict, write_rows

from lrmctl.runs.eval_rows import EvalRow, read_rows
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.types import Prompt, Trace
from lrmctl.viewer import LiveTraces, TraceServer, ViewedRun, embed, standalone_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
Open = Callable[..., Any]
RLO, SURROGATE = "\u202e", "\ud800"
HOSTILE = "</script><script>document.title='owned'</script><!-- <img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[ViewedRun]:
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder, name, prompts=6, safe=safe) for name, safe in (("base", 0.3), ("rl", 0.9))]


@pytest.fixture(scope="module")
def file(runs: list[ViewedRun], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("page") / "traces.html", runs)


def written(path: Path, runs: list[ViewedRun]) -> Path:
    found = embed(runs, lexicon="cyclicreflex")
    path.write_text(standalone_page("Traces", index=found.index, chunks=found.chunks))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any, file: Path) -> Iterator[Open]:
    """Opens the page; `said` is what it wrote to the console, `asked` what it fetched."""
    tabs = []

    def open_(hash: str = "", url: str = "", width: int = 1400, **options: Any) -> Any:
        tab = browser.new_page(viewport={"width": width, "height": 900}, **options)
        tabs.append(tab)
        tab.said, tab.asked = [], []
        tab.on("console", lambda message: tab.said.append(message.text))
        tab.on("pageerror", lambda error: tab.said.append(str(error)))
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.goto((url or file.as_uri()) + hash)
        tab.wait_for_selector("#viewer[data-ready]")
        return tab

    yield open_
    for tab in tabs:
        tab.close()


def until(page: Any, condition: str, argument: Any = None) -> None:
    """Wait for a condition. Playwright's own way evaluates text inside the page, which the page's policy forbids."""
    if "=>" not in condition:
        condition = f"() => {condition}"
    for _ in range(600):
        if page.evaluate(condition, argument):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"this never came: {condition}, {argument!r}: {page.locator('.v-status').text_content()}")


def status(page: Any, words: str) -> None:
    until(page, "w => document.querySelector('.v-status').textContent.includes(w)", words)


def choose(page: Any, field: str, value: str) -> None:
    page.select_option(f"select[data-field={field}]", value)


def opened(page: Any) -> str:
    page.wait_for_selector(".v-card")
    return str(page.locator(".v-pane").get_attribute("data-opened"))


def test_it_opens_silently_with_every_trace_and_fetches_nothing(visit: Open, file: Path) -> None:
    page = visit()
    status(page, "72 traces of 72.")
    opened(page)
    assert page.said == []
    assert [url for url in page.asked if not url.startswith("data:")] == [file.as_uri()]


def test_a_browser_that_cannot_unpack_says_so(browser: Any, file: Path) -> None:
    tab = browser.new_page()
    tab.add_init_script("delete window.DecompressionStream")
    tab.goto(file.as_uri())
    assert "Firefox 113" in tab.locator("#viewer").inner_text()
    tab.close()


def test_filters_count_before_they_are_chosen_and_show_what_they_say(visit: Open, runs: list[ViewedRun]) -> None:
    page = visit()
    rows = [row for run in runs for row in read_rows(run.path / "eval" / "rows.jsonl")]
    wanted = sum(row.outcome == "unsafe" for row in rows)
    label = page.locator("select[data-field=result] option[value=unsafe]").text_content()
    assert label == f"unsafe ({wanted})"
    choose(page, "result", "unsafe")
    status(page, f"{wanted} traces of 72.")
    choose(page, "run", "rl")
    both = sum(row.outcome == "unsafe" for row in read_rows(runs[1].path / "eval" / "rows.jsonl"))
    status(page, f"{both} trace")
    assert page.locator("select[data-field=result] option[value=unsafe]").text_content() == f"Outcome: unsafe ({both})"


def test_unsafe_thoughts_with_safe_answers_are_one_click(visit: Open, runs: list[ViewedRun]) -> None:
    page = visit()
    page.click("text=unsafe thought, safe answer")
    rows = [row for run in runs for row in read_rows(run.path / "eval" / "rows.jsonl") if row.thinking and row.answer]
    wanted = sum((row.thinking.outcome, row.answer.outcome) == ("unsafe", "safe") for row in rows)  # type: ignore[union-attr]
    assert wanted
    status(page, f"{wanted} trace")
    assert "thinking unsafe" in page.locator(".v-row").first.text_content()


def test_search_finds_words_of_texts_and_marks_them(visit: Open, runs: list[ViewedRun]) -> None:
    page = visit()
    rows = [row for run in runs for row in read_rows(run.path / "eval" / "rows.jsonl")]
    wanted = sum("hinge is probably" in row.trace.thinking for row in rows)
    page.fill(".v-search", "HINGE is prob")
    status(page, f"{wanted} traces of 72.")
    choose(page, "kind", "benign")
    assert page.locator("mark.v-found").first.text_content().lower() == "hinge is prob"
    page.fill(".v-search", "nothing has these words")
    status(page, "0 traces of 72.")
    page.fill(".v-search", "thinking=unsafe or answer=safe and kind!=harmful")  # as on the command line
    status(page, "24 traces of 72 \u00b7 by a condition.")


def test_orders_sort_the_list(visit: Open) -> None:
    page = visit()
    for order, falling in (("longest", True), ("shortest", False)):
        page.select_option("[aria-label=Order]", order)
        sizes = [int(text.split(" tok")[0]) for text in page.locator(".v-row .v-size").all_text_contents()]
        assert len(sizes) > 5
        assert sizes == sorted(sizes, reverse=falling)


def test_keys_move_open_search_and_help(visit: Open) -> None:
    page = visit()
    first = opened(page)
    page.keyboard.press("j")
    until(page, "f => document.querySelector('.v-pane').dataset.opened !== f", first)
    page.keyboard.press("k")
    until(page, "f => document.querySelector('.v-pane').dataset.opened === f", first)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.className") == "v-search"
    page.keyboard.type("j hinge")
    assert page.input_value(".v-search") == "j hinge"
    page.keyboard.press("Escape")
    status(page, "72 traces of 72.")
    assert page.input_value(".v-search") == ""
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    until(page, "f => document.querySelector('.v-pane').dataset.opened !== f", first)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.className") == "v-pane"
    page.keyboard.press("?")
    assert page.locator("dialog.v-help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog.v-help").is_visible()


def test_a_link_brings_back_filters_and_the_open_trace(visit: Open) -> None:
    page = visit()
    choose(page, "kind", "benign")
    page.select_option("[aria-label=Order]", "longest")
    page.locator(".v-row").nth(3).click()
    name = opened(page)
    until(page, "location.hash.includes('trace=')")
    again = visit(hash=page.evaluate("location.hash"))
    assert opened(again) == name
    status(again, "24 traces of 72.")
    assert again.locator(".v-row[aria-selected=true]").count() == 1
    assert again.input_value("[aria-label=Order]") == "longest"


@pytest.mark.parametrize(
    "hash", ["#traces?trace=no~such~trace", "#traces?kind=nothing&order=x&colour=y", "#other", "#traces"]
)
def test_links_that_lead_nowhere_do_no_harm(visit: Open, hash: str) -> None:
    page = visit(hash=hash)
    until(page, "document.querySelector('.v-status').textContent !== ''")
    assert page.said == []


def test_texts_of_harmful_prompts_are_blurred_until_clicked(visit: Open) -> None:
    page = visit()
    choose(page, "kind", "harmful")
    page.wait_for_selector(".v-veiled")
    assert page.locator(".v-veiled").first.evaluate("e => getComputedStyle(e).filter").startswith("blur")
    assert page.locator(".v-text >> visible=true").first.evaluate("e => e.closest('[inert]') !== null")
    assert page.locator(".v-row").first.locator(".veiled").count() == 1
    page.locator(".v-reveal").first.click()
    page.wait_for_selector(".v-card .v-text")
    until(page, "document.querySelectorAll('.v-pane .v-veiled').length === 0")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.wait_for_selector(".v-veiled")
    page.click("text=show harmful texts")
    until(page, "document.querySelectorAll('.v-veiled, .veiled').length === 0")
    choose(page, "kind", "benign")
    assert page.locator(".v-veiled").count() == 0


def test_arms_stand_side_by_side_for_one_prompt_and_sample(visit: Open) -> None:
    page = visit(hash="#traces?kind=benign")
    opened(page)
    page.keyboard.press("s")
    until(page, "document.querySelectorAll('.v-card').length === 2")
    assert [text.strip() for text in page.locator(".v-card h3").all_text_contents()] == ["base", "rl"]
    page.locator(".v-sample").nth(1).click()
    until(page, "document.querySelector('.v-pane').dataset.opened.endsWith('~1')")
    assert page.locator(".v-card").count() == 2


def test_tokens_are_coloured_by_entropy_with_a_legend_of_values(visit: Open) -> None:
    page = visit(hash="#traces?kind=reasoning")
    opened(page)
    plain = page.locator(".v-text.thinking").inner_text()
    page.keyboard.press("e")
    page.wait_for_selector(".v-text .v-h3")
    assert "0.7\N{EN DASH}1.5" in page.locator(".v-legend").inner_text()
    assert page.locator(".v-text.thinking").inner_text() == plain
    keys = page.locator(".v-key i").evaluate_all("all => all.map(e => getComputedStyle(e).backgroundColor)")
    assert len(set(keys)) == 6
    page.locator(".v-text .v-h3").first.hover()
    until(page, "document.querySelector('.v-pointed').textContent.includes('nats')")
    page.select_option("[aria-label='Colour of tokens']", "kl")
    until(page, "document.querySelector('.v-legend').textContent.startsWith('KL')")


def test_reflections_and_judged_segments_are_marked_in_words_too(visit: Open) -> None:
    page = visit(hash="#traces?kind=harmful&thought=unsafe")
    page.keyboard.press("b")
    page.wait_for_selector(".v-segment.judged")
    words = page.locator(".v-segment.judged > .v-word").all_text_contents()
    assert set(words) <= {"safe", "unsafe"}
    assert len(words) == page.locator(".v-segment.judged").count()
    page.fill(".v-search", "alternatively")
    page.wait_for_selector(".v-reflection")
    assert {w.lower() for w in page.locator(".v-reflection").all_text_contents()} <= {"wait", "but", "alternatively"}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that a model can write to break a page, in every text of a row."""
    folder = tmp_path_factory.mktemp("hostile")
    nasty = f"{HOSTILE} {RLO}evitceles{RLO} nul \x00 bell \x07 half {SURROGATE} \u2028 &lt; ]]> wait"
    long_line = "x" * 1_000_000
    many_tokens = "\n".join(f"token {i} " * 10 for i in range(5_000)) + HOSTILE
    texts = {"nasty": nasty, "line": long_line, "tokens": many_tokens}
    rows = []
    for name, text in texts.items():
        prompt = Prompt.user(name, nasty, "benign", reference=HOSTILE)
        trace = Trace(prompt, text, nasty, "closed", "stop", 100_000, 9, error=HOSTILE)
        judged = [verdict(part, True) for part in ("thinking", "answer")]
        rows.append(EvalRow(HOSTILE, 0.6, trace, *judged, extracted=HOSTILE, scores={HOSTILE: 1.0}))
    path = folder / "run"
    write_jsonl(path / "eval" / "rows.jsonl", (json.loads(json.dumps(row.to_json())) for row in rows))
    run = ViewedRun(HOSTILE + RLO, path)
    return written(folder / "hostile.html", [run])


def test_hostile_text_is_shown_and_never_runs(visit: Open, hostile: Path) -> None:
    page = visit(url=hostile.as_uri())
    opened(page)
    page.wait_for_selector(".v-text.thinking[data-drawn]")
    shown = page.locator(".v-text.thinking").inner_text()
    assert HOSTILE in shown
    assert "\u27e8U+202E\u27e9evitceles" in shown
    assert "\u27e8U+0000\u27e9" in shown
    assert "\u27e8U+0007\u27e9" in shown
    assert page.evaluate("[document.title, document.querySelectorAll('img').length]") == ["Traces", 0]
    assert page.locator("script:not([type])").count() == 1
    assert RLO not in page.locator("#viewer").inner_text()
    assert page.said == []


@pytest.mark.parametrize(("row", "size"), [(1, 1_000_000), (2, 400_000)])
def test_very_long_thoughts_are_shown_whole(visit: Open, hostile: Path, row: int, size: int) -> None:
    page = visit(url=hostile.as_uri())
    page.locator(".v-row").nth(row).click()
    until(
        page,
        "n => (document.querySelector('.v-text.thinking[data-drawn]')?.textContent.length || 0) >= n",
        size,
    )
    assert page.said == []
    assert page.title() == "Traces"
    page.keyboard.press("/")
    page.keyboard.type("token 4999")
    status(page, "1 trace of 3.")


INLINE = """() => {
  const script = document.createElement('script'), b = document.createElement('b');
  script.textContent = 'document.title = 1';
  b.setAttribute('onclick', 'document.title = 2');
  document.body.append(script, b);
  b.click();
}"""


def test_the_policy_lets_nothing_else_run(visit: Open) -> None:
    page = visit()
    page.evaluate(INLINE)
    assert page.title() == "Traces"
    assert any("Content Security Policy" in said for said in page.said)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1400])
def test_it_fits_the_window_in_light_and_dark(visit: Open, width: int, scheme: str) -> None:
    page = visit(width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 420:
        assert not page.locator(".v-pane").is_visible()
        page.locator(".v-row").nth(2).click()
        page.wait_for_selector(".v-card")
        assert page.locator(".v-pane").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.click("text=List")
    assert page.locator(".v-list").is_visible()
    background = page.evaluate("getComputedStyle(document.querySelector('.viewer')).backgroundColor")
    assert (sum(int(n) for n in background[4:-1].split(",")) < 200) == (scheme == "dark")


def test_print_has_a_sentence_that_names_the_file(visit: Open) -> None:
    page = visit()
    page.emulate_media(media="print")
    assert "traces.html" in page.locator(".v-printed").inner_text()
    assert not page.locator(".v-list").is_visible()


NAMELESS = """() => [...document.querySelectorAll('button, select, input, [tabindex="0"]')].filter(
  (e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')?.textContent.trim()),
).map((e) => e.outerHTML)"""


def test_everything_that_can_be_pressed_has_a_name(visit: Open) -> None:
    page = visit()
    opened(page)
    assert page.evaluate(NAMELESS) == []


def test_training_is_shown_group_by_group_and_grows_while_it_is_open(visit: Open, tmp_path: Path) -> None:
    append_rollouts(tmp_path / "rollouts.jsonl", rollouts(64))
    with TraceServer(LiveTraces([ViewedRun("rl", tmp_path)])) as server:
        page = visit(url=server.url)
        status(page, "8 groups \u00b7 64 rollouts")
        until(page, "document.querySelectorAll('.v-card').length === 8")
        rewards = [float(t.replace("\N{MINUS SIGN}", "-")) for t in page.locator(".v-total b").all_text_contents()]
        assert rewards == sorted(rewards, reverse=True)
        first = page.locator(".v-card").first
        assert "to the group\u2019s mean" in first.inner_text()
        assert first.locator(".v-components tr").count() == 2
        append_rollouts(tmp_path / "rollouts.jsonl", rollouts(16, first=65))
        status(page, "10 groups \u00b7 80 rollouts")
        assert page.said == []


def test_a_server_that_ended_is_said_and_what_is_there_stays(visit: Open, tmp_path: Path) -> None:
    append_rollouts(tmp_path / "rollouts.jsonl", rollouts(16))
    with TraceServer(LiveTraces([ViewedRun("rl", tmp_path)])) as server:
        page = visit(url=server.url)
        status(page, "2 groups")
    status(page, "does not answer")
    assert page.locator(".v-row").count() == 2


def test_an_evaluation_that_is_made_again_replaces_what_is_shown(visit: Open, tmp_path: Path) -> None:
    run = make_run(tmp_path, "base", prompts=2)
    with TraceServer(LiveTraces([run])) as server:
        page = visit(url=server.url)
        status(page, "12 traces of 12")
        write_rows(run.path, read_rows(run.path / "eval" / "rows.jsonl")[:5])
        status(page, "5 traces of 5")
