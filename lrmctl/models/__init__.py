"""Models: found by reference, identified, checked and loaded. Knows no prompts, no judges and no trainers."""

from __future__ import annotations

from lrmctl.models.code import allow_code as allow_code
from lrmctl.models.end_of_text import end_of_text as end_of_text
from lrmctl.models.folder import is_adapter as is_adapter
from lrmctl.models.hub import is_hub_id as is_hub_id
from lrmctl.models.load import eos_ids as eos_ids
from lrmctl.models.load import load_model as load_model
from lrmctl.models.load import load_tokenizer as load_tokenizer
from lrmctl.models.load import load_weights as load_weights
from lrmctl.models.load import without_bars as without_bars
from lrmctl.models.prepare import needs_preparation as needs_preparation
from lrmctl.models.prepare import prepare as prepare
from lrmctl.models.prepare import what_is_changed as what_is_changed
from lrmctl.models.resolve import config_folder as config_folder
from lrmctl.models.resolve import fingerprint as fingerprint
from lrmctl.models.resolve import model_facts as model_facts
from lrmctl.models.resolve import resolve_model as resolve_model
