"""Imports a model of any common form as a plain Hugging Face folder that trainers and engines load.

The source is a folder, a hub id, a GGUF file, an adapter with its base, or a run. The written folder holds safetensors
weights, a tokenizer with a chat template and the right end of text, and a manifest of where it came from. It is written
beside its final place, loaded again, compared with the source, and only then renamed.
"""

from __future__ import annotations

from lrmctl.models.importing.run import ImportOptions, import_model

__all__ = ["ImportOptions", "import_model"]
