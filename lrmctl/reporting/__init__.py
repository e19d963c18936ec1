"""One self-contained HTML of what several arms did: tables, figures, training curves, sample traces, provenance.

Reads run folders and draws; computes no metric of its own and hides nothing that is missing. All model text is data:
it reaches the page only through the template engine's escaping.
"""

from __future__ import annotations

from lrmctl.reporting.build import build_report
from lrmctl.reporting.load import ArmFolder
from lrmctl.reporting.paper import check_folder
from lrmctl.reporting.study import group_arms, is_matrix, report_study

__all__ = ["ArmFolder", "build_report", "check_folder", "group_arms", "is_matrix", "report_study"]
