"""Models: resolving references, fingerprints, checks and loading. Knows no prompts, no judges and no trainers."""

from __future__ import annotations

from lrmctl.models.code import allow_code
from lrmctl.models.end_of_text import end_of_text
from lrmctl.models.folder import is_adapter
from lrmctl.models.hub import is_hub_id
from lrmctl.models.load import eos_ids, load_model, load_tokenizer, load_weights, without_progress_bars
from lrmctl.models.prepare import describe_changes, needs_preparation, prepare
from lrmctl.models.resolve import config_folder, fingerprint, is_local_model, model_facts, resolve_model

__all__ = [
    "allow_code",
    "config_folder",
    "describe_changes",
    "end_of_text",
    "eos_ids",
    "fingerprint",
    "is_adapter",
    "is_hub_id",
    "is_local_model",
    "load_model",
    "load_tokenizer",
    "load_weights",
    "model_facts",
    "needs_preparation",
    "prepare",
    "resolve_model",
    "without_progress_bars",
]
