"""Prepares the folder that a trainer loads: the model's own, or a modified copy if the trainer cannot use that.

Trainers load a path themselves, run any Python code it names, and end texts with the tokenizer's end-of-text token. So
an adapter is merged into a whole model, `auto_map` is removed unless its code is trusted, and the tokenizer's end of
text is set to the chat template's. Weights are linked, not copied; the model's own folder is never modified.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from lrmctl.models.adapter import base_name
from lrmctl.models.code import code_allowed, files_with_code
from lrmctl.models.end_of_text import end_of_text
from lrmctl.models.files import files_in, read_object
from lrmctl.models.folder import is_adapter


def describe_changes(path: Path, tokenizer: Any) -> list[str]:
    """Sentences on how the prepared folder differs from the model's own; empty if trainers get the original."""
    said = []
    if is_adapter(path):
        said.append(f"the adapter is merged into its base {base_name(path)}; the trainer starts from the whole model")
    if files_with_code(path) and not code_allowed(path):
        said.append("the model names Python code of its own, which is not run (`trust_remote_code: true` would)")
    if note := end_of_text(tokenizer, path).note:
        said.append(note)
    return said


def needs_preparation(path: Path, tokenizer: Any) -> bool:
    """Whether a trainer cannot use the model's own folder, so that `prepare` creates another one."""
    code = [] if code_allowed(path) else files_with_code(path)
    return is_adapter(path) or end_of_text(tokenizer, path).differs or bool(code)


def prepare(path: Path, out: Path, tokenizer: Any) -> Path:
    """The folder to train from: the model's own, or `out`, which is created if it does not exist.

    Raises:
        LrmctlError: an adapter cannot be merged.
    """
    if not needs_preparation(path, tokenizer):
        return path
    if (out / "config.json").is_file():
        return out
    ends = end_of_text(tokenizer, path)
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    if is_adapter(path):
        _merged(path, part, tokenizer)
    else:
        _linked(path, part)
    for name in files_with_code(part) if not code_allowed(path) else ():
        _rewritten(part / name, auto_map=None)
    if ends.differs:
        _end_with(ends.template, tokenizer, part)
    part.rename(out)
    return out


def _merged(path: Path, out: Path, tokenizer: Any) -> None:
    from lrmctl.models.load import load_model

    load_model(path, dtype="auto").save_pretrained(out)
    tokenizer.save_pretrained(out)


def _linked(path: Path, out: Path) -> None:
    for name in files_in(path):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).symlink_to((path / name).resolve())


def _rewritten(file: Path, **changes: Any) -> None:
    """Write a changed copy of a JSON file in place of a link; None removes a key."""
    known = {**(read_object(file) if file.is_file() else {}), **changes}
    file.unlink(missing_ok=True)
    kept = {key: value for key, value in known.items() if value is not None}
    file.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _end_with(token: str, tokenizer: Any, out: Path) -> None:
    """Make a token the end of text, for the tokenizer and for generation."""
    before, own = tokenizer.eos_token, out.with_name(f"{out.name}.tokenizer")
    id = tokenizer.convert_tokens_to_ids(token)
    tokenizer.eos_token = token
    try:
        tokenizer.save_pretrained(own)
    finally:
        tokenizer.eos_token = before
    for file in own.iterdir():  # moved here, because saving through a link would change the model's own file
        (out / file.name).unlink(missing_ok=True)
        shutil.move(file, out / file.name)
    own.rmdir()
    known = read_object(out / "generation_config.json") if (out / "generation_config.json").is_file() else {}
    listed = known.get("eos_token_id")
    others = [i for i in (listed if isinstance(listed, list) else [listed]) if i is not None and i != id]
    _rewritten(out / "generation_config.json", eos_token_id=[id, *others])
    _rewritten(out / "config.json", eos_token_id=id)
