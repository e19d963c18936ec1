"""How the reasoning changed: the sections of every analysis, in the order in which a reader meets them."""

from __future__ import annotations

from lrmctl.reporting.panels.base import Section, View
from lrmctl.reporting.panels.decisions import early_section, recovery_section
from lrmctl.reporting.panels.entropy import entropy_section, token_section
from lrmctl.reporting.panels.further import further_section
from lrmctl.reporting.panels.reflection import reflection_section
from lrmctl.reporting.panels.transitions import transition_section


def thinking_sections(view: View) -> list[Section]:
    """Reflection, unsafe thoughts, entropy, what the thought does to the answer, and plugins', at one temperature."""
    return [
        reflection_section(view),
        transition_section(view),
        entropy_section(view),
        token_section(view),
        early_section(view),
        recovery_section(view),
        further_section(view),
    ]
