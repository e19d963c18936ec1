"""The two looks of a figure: on the page, where colours become CSS variables, and in a paper, where they are fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Theme = Mapping[str, str]
"""Name of a colour -> `#rrggbb`."""
SERIES = tuple(f"s{i}" for i in range(8))
_NAMES = ("ink", "muted", "line", "paper", "good", "bad", "odd", "none")

PAGE: Theme = {
    **{name: f"#0{i}0{i}0{i}" for i, name in enumerate(_NAMES, 1)},
    **{name: f"#0000{i:02x}" for i, name in enumerate(SERIES, 1)},
}
"""Stand-ins that no figure uses otherwise; `render` turns them into `var(--NAME)`."""

PAPER: Theme = {
    "ink": "#000000", "muted": "#333333", "line": "#cfd2d4", "paper": "#ffffff",
    "good": "#0b66a0", "bad": "#b04300", "odd": "#7a5c00", "none": "#626b76",
    "s0": "#59626d", "s1": "#0b66a0", "s2": "#b04300", "s3": "#0a7d5c",
    "s4": "#a2437b", "s5": "#7a5c00", "s6": "#1c76a5", "s7": "#6750a4",
}  # fmt: skip
"""White ground, black text; the colours of the page in light mode, which readers with any colour vision tell apart."""

OUTCOMES: Mapping[str, tuple[str, str]] = {
    "all": ("ink", "o"),
    "safe": ("good", "^"),
    "unsafe": ("bad", "X"),
    "malformed": ("odd", "s"),
    "correct": ("good", "^"),
    "incorrect": ("bad", "X"),
}
"""Colour and marker of each outcome."""
KIND_COLORS = {"harmful": SERIES[2], "benign": SERIES[1], "reasoning": SERIES[3], "all": "none"}
FONT = "DejaVu Sans"
"""Measures text, and sets it in PDF and PNG; the page has its own font."""
FONT_SIZE = 10.0


def style(theme: Theme) -> dict[str, Any]:
    """Matplotlib's settings for a look."""
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "lrmctl",
        "pdf.fonttype": 42,  # text stays text, in a font that journals accept
        "text.parse_math": False,  # a label may contain a dollar sign
        "font.size": FONT_SIZE,
        "font.family": FONT,
        "text.color": theme["ink"],
        "axes.edgecolor": theme["line"],
        "axes.labelcolor": theme["muted"],
        "axes.facecolor": "none",
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme["line"],
        "grid.linewidth": 0.6,
        "xtick.color": theme["line"],
        "ytick.color": theme["line"],
        "xtick.labelcolor": theme["muted"],
        "ytick.labelcolor": theme["muted"],
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
        "lines.solid_capstyle": "round",
    }
