from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_fixtures import ARMS, INJECTION, make_arm, make_study, read

from lrmctl.comparison import compare
from lrmctl.errors import LrmctlError
from lrmctl.reporting import ArmFolder, build_report
from lrmctl.runs.eval_rows import EvalRow, read_rows
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.viewer.assets import content_hash

pytestmark = pytest.mark.e2e


class Elements(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose model text tries to be markup everywhere."""
    folder = tmp_path_factory.mktemp("study")
    arms = make_study(folder, n=12, extra=INJECTION)
    build_report(arms, folder / "report.html", title=f"A study {INJECTION}", notes=(f"x failed: {INJECTION}",))
    return folder


@pytest.mark.e2e
def test_model_text_reaches_the_page_only_as_text(study: Path) -> None:
    page = (study / "report.html").read_text()
    found = Elements(page).found
    data = [attrs for tag, attrs in found if tag == "script" and attrs.get("type") == "application/octet-stream"]
    assert all(str(attrs["id"]).startswith("lrmctl-") for attrs in data)
    assert [tag for tag, _ in found].count("script") == len(data) + 1  # the viewer's own
    assert "img" not in {tag for tag, _ in found}
    assert page.count("&lt;script&gt;document.title") > len(ARMS)


def test_the_page_asks_for_nothing_from_elsewhere_and_allows_one_script(study: Path) -> None:
    found = Elements((study / "report.html").read_text()).found
    links = [v for _, attrs in found for k, v in attrs.items() if k in ("src", "href", "xlink:href", "action")]
    assert links
    assert all(link is not None and link.startswith(("#", "data:")) for link in links)
    (policy,) = [a["content"] for t, a in found if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in (policy or "")
    script = (study / "report.html").read_text().partition("<script>")[2].partition("</script>")[0]
    assert f"script-src {content_hash(script)};" in (policy or "")
    assert "connect-src 'none'" in (policy or "")


def test_without_traces_the_page_allows_no_script(study: Path, tmp_path: Path) -> None:
    arm = ArmFolder("base", "Base", False, study / "base")
    page = build_report([arm], tmp_path / "r.html", title="t", traces=0).read_text()
    assert "script-src" not in page
    assert "<script" not in page
    assert "Sample traces, side by side" in page


def test_ids_on_the_page_are_unique_although_figures_share_names(study: Path) -> None:
    ids = [a["id"] for _, a in Elements((study / "report.html").read_text()).found if "id" in a]
    assert len(ids) == len(set(ids))


def test_table_json_repeats_the_summaries_exactly(study: Path) -> None:
    table = read(study / "table.json")
    for block in table["temperatures"]:
        for row in block["rows"]:
            entries = read(study / row["name"] / "eval" / "summary.json")["sets"]
            for key, kind in {"joint_safe": "harmful", "complied": "benign", "correct": "reasoning"}.items():
                (entry,) = [e for e in entries if (e["kind"], e["temperature"]) == (kind, block["temperature"])]
                assert row["cells"][key] == entry["metrics"][key]


def test_deltas_in_table_json_are_those_of_compare(study: Path) -> None:
    (mine,) = [d for d in read(study / "table.json")["deltas"] if d["name"] == "rl"]
    assert mine["deltas"] == [d.to_json() for d in compare(study / "base", study / "rl")]


@pytest.mark.e2e
def test_the_same_folders_give_the_same_page(study: Path, tmp_path: Path) -> None:
    arms = [ArmFolder(name, fields[5], fields[6], study / name) for name, fields in list(ARMS.items())[:2]]
    first = build_report(arms, tmp_path / "1.html", title="t").read_bytes()
    assert first == build_report(arms, tmp_path / "2.html", title="t").read_bytes()


def test_what_an_arm_lacks_is_named_and_never_filled_in(tmp_path: Path) -> None:
    base, failed = make_arm(tmp_path, "base", n=4), make_arm(tmp_path, "rl", n=4)
    shutil.rmtree(failed.path / "eval")
    shutil.rmtree(failed.path / "analysis")
    (failed.path / "status.json").write_text(json.dumps({"state": "failed", "error": "the reward <raised>"}))
    page = build_report([base, failed], tmp_path / "r.html", title="t").read_text()
    row = next(r for r in read(tmp_path / "table.json")["temperatures"][0]["rows"] if r["name"] == "rl")
    assert set(row["cells"].values()) == {None}
    assert row["state"] == "failed"
    assert "RL (GRPO) has no evaluated rows" in page
    assert "evaluation, reflection analysis, entropy analysis" in page
    assert "the reward &lt;raised&gt;" in page
    assert "This arm has no sample of this prompt." in page


def test_folders_with_nothing_in_them_still_give_a_page(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    page = build_report([ArmFolder("base", "Base", False, tmp_path / "base")], tmp_path / "r.html", title="t")
    assert "No arm has been evaluated." in page.read_text()


def test_an_arm_judged_otherwise_is_shown_but_not_paired(tmp_path: Path) -> None:
    base, other = make_arm(tmp_path, "base", n=4), make_arm(tmp_path, "rl", n=4)
    rows = [row.to_json() for row in read_rows(other.path / "eval" / "rows.jsonl")]
    for row in rows:
        if row["answer"]:
            row["answer"]["version"] = "2"
    write_jsonl(other.path / "eval" / "rows.jsonl", rows)
    page = build_report([base, other], tmp_path / "r.html", title="t").read_text()
    assert re.search(r"Not paired: cannot pair .*judges differ", page)
    assert read(tmp_path / "table.json")["deltas"][0]["deltas"] == []


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    arm = make_arm(tmp_path, "base", n=2)
    (arm.path / "eval" / "summary.json").write_text("{")
    with pytest.raises(LrmctlError, match=r"summary\.json"):
        build_report([arm], tmp_path / "r.html", title="t")


def test_long_traces_say_how_much_is_not_shown(tmp_path: Path) -> None:
    arm = make_arm(tmp_path, "base", n=2, extra="x" * 9_000)
    page = build_report([arm], tmp_path / "r.html", title="t").read_text()
    assert re.search(r"3,\d\d\d more characters in eval/rows\.jsonl", page)
    assert "x" * 6_001 not in page


def test_every_arm_shows_the_first_sample_of_the_same_prompts(study: Path) -> None:
    page = (study / "report.html").read_text()
    prompts = re.findall(r'<article class="sample" data-prompt="([^"]+)"', page)
    assert len(prompts) == len(set(prompts)) == 7
    shown = {row.trace.prompt.id: row for row in read_rows(study / "rl" / "eval" / "rows.jsonl") if first(row)}
    assert set(prompts) <= set(shown)
    for article in page.split('<article class="sample"')[1:]:
        labels = re.findall(r"<h4>([^<]+)", article.split("</article>")[0])
        assert [label.strip() for label in labels] == [fields[5] for fields in ARMS.values()]


def first(row: EvalRow) -> bool:
    return row.trace.sample == 0 and row.temperature == 0.6


@pytest.mark.e2e
def test_prompts_that_were_trained_on_and_warnings_are_shown(tmp_path: Path) -> None:
    base, arm = make_arm(tmp_path, "base", n=4), make_arm(tmp_path, "rl", n=4)
    summary = read(arm.path / "eval" / "summary.json")
    found = {"set": "lab-harmful/in", "n": 128, "exact": 58, "near": 61, "training": f"run:rl {INJECTION}"}
    unseen = {"set": "lab-harmful/heldout", "n": 256, "exact": 0, "near": 0, "training": "run:rl"}
    summary |= {"overlap": [found, unseen], "warnings": ["3 of 90 completions failed; the first: away"]}
    (arm.path / "eval" / "summary.json").write_text(json.dumps(summary))
    page = build_report([base, arm], tmp_path / "report.html", title="t").read_text()
    table = page.partition("Prompts that were trained on</h3>")[2].partition("</table>")[0]
    assert all(f"<td>{cell}</td>" in table for cell in ("lab-harmful/in", 128, 58, 61))
    assert "lab-harmful/heldout" not in table  # nothing of it was trained on
    assert INJECTION not in page
    assert "RL (GRPO): 3 of 90 completions failed; the first: away" in page
    plain = build_report([base], tmp_path / "plain.html", title="t").read_text()
    assert "Prompts that were trained on" not in plain
