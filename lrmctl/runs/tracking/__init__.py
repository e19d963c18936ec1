"""Run events: what happens in a run, told to the trackers that a recipe names. A tracker never affects a run."""

from __future__ import annotations

from lrmctl.runs.tracking.events import RunEvents, StepEvents, TrackerUse, run_events, tell, trackers_of
from lrmctl.runs.tracking.wandb import wandb_enabled

__all__ = ["RunEvents", "StepEvents", "TrackerUse", "run_events", "tell", "trackers_of", "wandb_enabled"]
