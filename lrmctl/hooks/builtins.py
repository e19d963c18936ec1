"""The modules through which lrmctl's own plugins register, in the same way as anybody's. Light modules, all of them."""

from __future__ import annotations

MODULES = (
    "lrmctl.rewards.builtin.plugin",
    "lrmctl.judges.plugin",
    "lrmctl.data.builtin.plugin",
    "lrmctl.benchmarks.plugin",
    "lrmctl.lab.plugin",
    "lrmctl.backends.plugin",
    "lrmctl.smoke.plugin",
    "lrmctl.thinking.plugin",
    "lrmctl.lexicons.plugin",
)
