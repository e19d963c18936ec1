"""What `--figures` writes: files that open, LaTeX that compiles whatever an arm is called, numbers that come back."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from report_fixtures import make_arm, read

from lrmctl.errors import LrmctlError
from lrmctl.reporting import build_report, check_folder
from lrmctl.reporting.panels import DataTable
from lrmctl.reporting.paper import LISTING, latex

pytestmark = pytest.mark.e2e  # dozens of figures, each in three formats

HOSTILE = r"RL_50% & {x} $y$ #1 ~^\input{/etc/passwd} <b>" + "\n" + r"\\end"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper")
    arms = [make_arm(folder, name, n=4, deep=True, temperatures=(0.6,)) for name in ("base", "rl")]
    arms[1] = arms[1]._replace(label=HOSTILE)
    build_report(arms, folder / "report.html", title="t", figures=folder / "paper")
    return folder


def test_every_figure_of_the_page_is_there_as_svg_pdf_and_png(study: Path) -> None:
    stems = {kind: {p.stem for p in (study / "paper").glob(f"*.{kind}")} for kind in ("svg", "pdf", "png")}
    assert stems["svg"] == stems["pdf"] == stems["png"]
    assert len(stems["svg"]) == (study / "report.html").read_text().count("<svg ")
    for wanted in ("tradeoff-joint_safe-complied-T0_6", "difference-correct-T0_6", "training-1_rl-kl"):
        assert wanted in stems["svg"]


def test_files_open_and_have_a_white_ground_and_text(study: Path) -> None:
    for path in (study / "paper").glob("*.svg"):
        text = "".join(ElementTree.parse(path).getroot().itertext())
        assert re.search(r"[A-Za-z]{3}", text)  # text, not outlines
        assert "var(--" not in path.read_text()
    for path in (study / "paper").glob("*.pdf"):
        pdf = path.read_bytes()
        assert pdf.startswith(b"%PDF-")
        (start,) = re.findall(rb"startxref\s+(\d+)\s+%%EOF\s*\Z", pdf)
        assert pdf[int(start) :].startswith(b"xref")
        assert b"/Type /Font" in pdf
        assert b"/Type3" not in pdf
    for path in list((study / "paper").glob("*.png"))[:5]:
        with Image.open(path) as image:
            image.load()
            assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_latex_of_a_hostile_name_is_escaped(study: Path) -> None:
    text = (study / "paper" / "table-main-T0_6.tex").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("RL")]
    assert row.startswith(
        r"RL\_50\% \& \{x\} \$y\$ \#1 \textasciitilde \textasciicircum \textbackslash input\{/etc/passwd\} "
        r"\textless{}b\textgreater{} \textbackslash \textbackslash end & "
    )
    assert r"\toprule" in text
    assert r"\bottomrule" in text
    assert text.count("\\begin{tabular}") == text.count("\\end{tabular}") == 1


def test_a_title_with_a_line_break_stays_a_comment() -> None:
    text = latex(DataTable("t", "a\n\\input{x}", ["Arm", "Points"], [["b", "\N{MINUS SIGN}1.0"], ["", ""]]))
    assert text.startswith("% a \\input{x}\n%")
    assert "b & $-$1.0" in text


def test_numbers_come_back_from_csv(study: Path) -> None:
    with (study / "paper" / "results.csv").open(newline="") as file:
        rows = {(r["arm"], r["kind"], r["metric"], r["source"]): r for r in csv.DictReader(file)}
    (entry,) = [e for e in read(study / "rl" / "eval" / "summary.json")["sets"] if e["kind"] == "harmful"]
    found = rows["rl", "harmful", "joint_safe", "summary"]
    assert {key: float(found[key]) for key in ("value", "low", "high")} == {
        key: entry["metrics"]["joint_safe"][key] for key in ("value", "low", "high")
    }
    assert found["label"] == HOSTILE
    assert found["unit"] == "share"


def test_what_an_earlier_report_wrote_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    arm = make_arm(tmp_path, "rl", n=3, temperatures=(0.6,))
    folder = tmp_path / "paper"
    build_report([arm], tmp_path / "r.html", title="t", figures=folder)
    before = set(read(folder / LISTING)["files"])
    (folder / "mine.tex").write_text("keep")
    (arm.path / "metrics.jsonl").unlink()
    check_folder(folder)
    build_report([arm], tmp_path / "r.html", title="t", figures=folder)
    after = set(read(folder / LISTING)["files"])
    assert any(name.startswith("training-") for name in before - after)
    assert {path.name for path in folder.iterdir()} == after | {"mine.tex", LISTING}


def test_a_folder_of_somebody_else_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(LrmctlError, match="holds files that this command did not write"):
        check_folder(tmp_path)
    check_folder(tmp_path, force=True)
    check_folder(tmp_path / "new")
    with pytest.raises(LrmctlError, match="no folder"):
        check_folder(tmp_path / "notes.txt")
