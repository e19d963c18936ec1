from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

from lrmctl.reporting.figures import (
    ArmStyle,
    Canvas,
    Drawing,
    Mark,
    PlottedEstimate,
    Strip,
    arm_styles,
    curve_strips,
    forest,
    histogram_strips,
    interval_rows,
    tradeoff,
    training_curves,
)
from lrmctl.reporting.figures.drawing import text_width, wrapped
from lrmctl.reporting.figures.theme import PAGE

ARMS = arm_styles([("Base", False), ("a & <b> $x$", True)])
CANVAS = Canvas()
NAMES = [
    "Base", "SFT, harmful only", "SFT, mixed", "Rejection sampling", "RL, harmful only", "RL (GRPO)",
    "An arm whose name is much too long for any figure", "Eight",
]  # fmt: skip


def svg(drawing: Drawing) -> ElementTree.Element:
    return ElementTree.fromstring(CANVAS.svg(drawing).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def points(*places: tuple[float, float]) -> list[tuple[ArmStyle, PlottedEstimate, PlottedEstimate]]:
    looks = arm_styles([(name, i % 2 == 1) for i, name in enumerate(NAMES)])
    return [
        (look, PlottedEstimate(x, x - 4, x), PlottedEstimate(y, y - 5, y))
        for look, (x, y) in zip(looks, places, strict=False)
    ]


def test_labels_are_text_escaped_and_never_mathematics() -> None:
    drawn = svg(forest("f", [(look, PlottedEstimate(1.0, 0.5, 1.5)) for look in ARMS], "t"))
    assert "a & <b> $x$ (control)" in "".join(drawn.itertext()).replace("\n", " ")


def test_colours_follow_the_page_and_no_font_is_forced() -> None:
    drawn = CANVAS.svg(training_curves("c", [("loss", "s0", [(1, 2.0), (2, 1.0)])], "t"))
    assert "var(--s0)" in drawn
    assert not re.findall(r"(?:fill|stroke): #\w+", drawn)
    assert "font-family" not in drawn


def test_ids_carry_the_figures_name_and_every_reference_is_met() -> None:
    drawn = CANVAS.svg(tradeoff("one", points((90, 50), (80, 60)), "x", "y"))
    ids = set(re.findall(r'id="([^"]+)"', drawn))
    assert all(i.startswith("one-") for i in ids)
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', drawn)) <= ids


def test_an_estimate_without_interval_is_still_drawn() -> None:
    drawn = tradeoff("t", [(ARMS[0], PlottedEstimate(90), PlottedEstimate(50))], "x", "y")
    assert "Base 90.0, 50.0" in CANVAS.svg(drawn)


def test_one_canvas_draws_the_same_figure_twice_with_nothing_left_over() -> None:
    once = CANVAS.svg(forest("f", [(ARMS[0], PlottedEstimate(1.0))], "t"))
    CANVAS.svg(tradeoff("t", points((90, 50)), "x", "y"))
    assert CANVAS.svg(forest("f", [(ARMS[0], PlottedEstimate(1.0))], "t")) == once


@pytest.mark.parametrize(
    "places",
    [
        [(95, 99)] * 8,
        [(100, 100)] * 6,
        [(0, 0)] * 8,
        [(99.5, 99), (99.6, 99.1), (20, 99.2), (60, 98.9), (99.4, 98.8), (5, 99.3)],
    ],
    ids=["eight coincide", "at the corner", "at zero", "close in height"],
)
def test_labels_of_close_points_cover_neither_each_other_nor_the_axes(places: list[tuple[float, float]]) -> None:
    drawing = tradeoff("t", points(*places), "x", "y")
    with CANVAS.drawn(drawing, PAGE) as figure:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        renderer = FigureCanvasAgg(figure).get_renderer()
        (axes,) = figure.axes
        labels = [text for text in axes.texts if text.get_text()]
        boxes = [text.get_window_extent(renderer) for text in labels]
        inside, whole = axes.get_window_extent(renderer), figure.get_window_extent(renderer)
    assert len(boxes) == len(places)
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert not [box for box in boxes if box.overlaps(inside)]
    assert all(box.x1 <= whole.x1 and box.y0 >= whole.y0 - 2 for box in boxes)


def test_leaders_to_labels_do_not_cross() -> None:
    drawing = tradeoff("t", points((99, 99), (20, 98), (60, 97), (5, 96), (98, 95), (40, 30)), "x", "y")
    with CANVAS.drawn(drawing, PAGE) as figure:
        (axes,) = figure.axes
        lines = [
            (axes.transData.transform(text.xy), axes.transAxes.transform(text.xyann))
            for text in axes.texts
            if hasattr(text, "xyann")
        ]
    assert len(lines) == 6
    assert not [pair for pair in combinations(lines, 2) if crosses(*pair[0], *pair[1])]


def crosses(a, b, c, d) -> bool:  # type: ignore[no-untyped-def]
    def side(p, q, r) -> bool:  # type: ignore[no-untyped-def]
        return bool((q[0] - p[0]) * (r[1] - p[1]) > (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) != side(a, b, d) and side(c, d, a) != side(c, d, b)


def test_intervals_and_marks_of_all_series_are_drawn_and_missing_ones_left_out() -> None:
    marks = {"a": Mark("at words", "bad", "D"), "b": Mark("elsewhere", "none", "o", True)}
    found = [
        (ARMS[0], {"a": PlottedEstimate(1, 0.5, 1.5), "b": PlottedEstimate(2, 1, 3)}),
        (ARMS[1], {"b": PlottedEstimate(2, 1, 3)}),
    ]
    drawn = interval_rows("r", found, marks, "nats", "Entropy")
    assert drawn.description == "Entropy. Base: at words 1, elsewhere 2; a & <b> $x$ (control): elsewhere 2"
    text = "".join(svg(drawn).itertext())
    assert "at words" in text
    assert "elsewhere" in text


def test_a_series_alone_needs_no_legend() -> None:
    marks = {"a": Mark("only", "ink", "o"), "b": Mark("never there", "bad", "X")}
    text = "".join(svg(interval_rows("r", [(ARMS[0], {"a": PlottedEstimate(1)})], marks, "x", "d")).itertext())
    assert "only" not in text
    assert "never there" not in text


def test_strips_say_their_values_scale_and_note() -> None:
    values = [PlottedEstimate(10, 5, 15), None, PlottedEstimate(90, 80, 95)]
    drawn = curve_strips("s", [Strip(look, (0, 50, 100), values, "n = 24") for look in ARMS], "x", " %", "d", top=100)
    assert "Base: 10, none, 90" in drawn.description
    text = "".join(svg(drawn).itertext())
    assert text.count("100 %") == len(ARMS)
    assert text.count("n = 24") == len(ARMS)


def test_a_histogram_of_nothing_is_flat() -> None:
    drawn = histogram_strips("h", [Strip(ARMS[0], (0, 0.5), [PlottedEstimate(0), PlottedEstimate(0)])], "x", "", "d")
    assert "Base: 0, 0" in drawn.description
    assert svg(drawn) is not None


def test_long_labels_take_two_lines_and_are_measured() -> None:
    label = wrapped(NAMES[6])
    assert label.count("\n") == 1
    assert label.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert 0 < text_width("i") < text_width("Wide") < text_width("Wide", bold=True)
    assert wrapped("") == ""
