"""The project's name for pluggy, and the decorators of hooks and of what implements them."""

from __future__ import annotations

import pluggy

PROJECT = "lrmctl"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
