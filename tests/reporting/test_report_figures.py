from __future__ import annotations

import re
from xml.etree import ElementTree

from lrmctl.reporting.figures import PlottedEstimate, arm_styles, curves, forest, tradeoff

ARMS = arm_styles([("Base", False), ("a & <b> $x$", True)])


def svg(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def test_labels_are_text_escaped_and_never_mathematics() -> None:
    drawn = forest("f", [(look, PlottedEstimate(1.0, 0.5, 1.5)) for look in ARMS], "t")
    assert "a & <b> $x$ (control)" in "".join(svg(drawn).itertext())


def test_colours_follow_the_page_and_no_font_is_forced() -> None:
    drawn = curves("c", [("loss", "#000001", [(1, 2.0), (2, 1.0)])], "t")
    assert "var(--s0)" in drawn
    assert not re.findall(r"(?:fill|stroke): #\w+", drawn)
    assert "font-family" not in drawn


def test_ids_carry_the_figures_name_and_every_reference_is_met() -> None:
    drawn = tradeoff(
        "one", [(look, PlottedEstimate(90, 80, 95), PlottedEstimate(50, 40, 60)) for look in ARMS], "x", "y"
    )
    ids = set(re.findall(r'id="([^"]+)"', drawn))
    assert all(i.startswith("one-") for i in ids)
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', drawn)) <= ids


def test_an_estimate_without_interval_is_still_drawn() -> None:
    drawn = tradeoff("t", [(ARMS[0], PlottedEstimate(90, None, None), PlottedEstimate(50, None, None))], "x", "y")
    assert "Base 90.0, 50.0" in drawn
