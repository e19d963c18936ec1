from __future__ import annotations

from pathlib import Path

from compared import benign, evaluated, row

from lrmctl.comparison import Delta, compare_all, render

WIDEST = Delta(
    "s", "harmful", 0.6, "thinking_safe", 25_000, 0, 4, 1.0, 0.0, -1.0, -1.0, -1.0, 0.0001, 25_000, 25_000, 25_000,
    "judge", "permutation", 0.0001, 999_999,
)  # fmt: skip


def test_the_widest_row_of_main_metrics_fits_100_columns() -> None:
    cells = zip(render.COLUMNS, render.delta_cells(WIDEST), strict=True)
    assert sum(max(map(len, pair)) + 2 for pair in cells) <= 100
    assert max(map(len, render.FOOTER)) <= 100


def test_what_moved_beside_the_metrics_gets_a_sentence(tmp_path: Path) -> None:
    a = [row("1", True), row("2", True), benign("3", False), benign("4", False)]
    b = [row("1", True), row("2", None), benign("3", False), benign("4", True)]
    (found,) = compare_all([("a", evaluated(tmp_path / "a", a)), ("b", evaluated(tmp_path / "b", b))])
    assert list(render.caution_lines(found.beside)) == [
        "careful, b (benign, T 0.6): over-refusal +50.0 points",
        "careful, s (harmful, T 0.6): judge failed +50.0 points",
    ]


def test_names_cannot_break_a_table(tmp_path: Path) -> None:
    folder = evaluated(tmp_path / "a", [row("1", True)])
    (found,) = compare_all([("a|b\x1b[2J", folder), ("<b>", folder)])
    page = render.markdown(found)
    assert "\x1b" not in page
    assert "## \\<b\\> against a\\|b" in page


def test_a_difference_that_rounds_to_nothing_has_no_sign() -> None:
    assert [render.signed("cut", v) for v in (-0.0001, 0.0, 0.0123, -0.5)] == ["0.0", "0.0", "+1.2", "-50.0"]
    assert render.signed("thinking_tokens", 12.34) == "+12.3"
