"""The modules that register lrmctl's own plugins, in the same way as third-party ones. All are light to import."""

from __future__ import annotations

MODULES = (
    "lrmctl.rewards.builtin.plugin",
    "lrmctl.judges.plugin",
    "lrmctl.data.builtin.plugin",
    "lrmctl.benchmarks.plugin",
    "lrmctl.reasoning.plugin",
    "lrmctl.lab.plugin",
    "lrmctl.backends.plugin",
    "lrmctl.backends.launch.plugin",
    "lrmctl.smoke.plugin",
    "lrmctl.thinking.plugin",
    "lrmctl.lexicons.plugin",
    "lrmctl.doctor.plugin",
    "lrmctl.runs.tracking.plugin",
    "lrmctl.analysis.plugin",
    "lrmctl.engines.plugin",
)
