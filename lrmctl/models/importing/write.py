"""Writes the parts of an imported model's folder: weights, configuration, tokenizer, template, licence texts.

A tokenizer that comes as files is copied as it is, with only the template and the end of text changed: transformers
builds some tokenizers anew on loading, and would save what it built.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lrmctl._util.disk import naming
from lrmctl.errors import DiskFullError, LrmctlError
from lrmctl.models.code import code_allowed, files_with_code
from lrmctl.models.files import files_in, read_object, tokenizer_files
from lrmctl.models.importing.ends import End
from lrmctl.models.importing.licence import licence_files
from lrmctl.models.importing.template import ChatTemplate
from lrmctl.models.load import without_progress_bars
from lrmctl.runs.writing import write_json

_TEMPLATE = "chat_template.jinja"


def check_space(model: Any, out: Path) -> None:
    """Check that the disk holds the weights, before anything is written.

    Raises:
        DiskFullError: it does not.
    """
    seen = {p.data_ptr(): p.numel() * p.element_size() for p in (*model.parameters(), *model.buffers())}
    needed = sum(seen.values())
    folder = next(folder for folder in out.absolute().parents if folder.exists())
    if needed > (free := shutil.disk_usage(folder).free):
        what = f"the disk is full: the weights take {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free"
        raise DiskFullError(what, str(out), "free some space, name a folder elsewhere, or give --dtype bfloat16")


@contextmanager
def named_when_full(out: Path) -> Iterator[None]:
    """Name the folder in errors of a full disk, also in those of safetensors, which are no OSError."""
    try:
        with naming(out):
            yield
    except Exception as error:
        if not isinstance(error, OSError | LrmctlError) and "No space left on device" in str(error):
            raise DiskFullError("No space left on device", str(out), "free some space") from error
        raise


def write_weights(model: Any, out: Path, generation: Mapping[str, Any], tokenizer: Any, end: End) -> None:
    """Write weights, config.json and generation_config.json.

    Args:
        generation: the source's generation config, whose other settings are kept.
    """
    from transformers import GenerationConfig

    without_progress_bars()
    model.config.eos_token_id = end.stops[0]
    for name in ("bos_token_id", "pad_token_id"):
        if getattr(model.config, name, None) is None:
            setattr(model.config, name, getattr(tokenizer, name))
    if model.can_generate():  # written below, because transformers refuses to save settings that contradict each other
        model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]  # transformers has no type there
    model.config._name_or_path = ""
    model.save_pretrained(out)
    for file in out.glob("*.safetensors"):  # written for the user alone, whatever the umask is
        file.chmod((out / "config.json").stat().st_mode)
    told = {"bos_token_id": model.config.bos_token_id, "pad_token_id": model.config.pad_token_id, **generation}
    kept = {k: v for k, v in told.items() if v is not None and k not in ("_from_model_config", "eos_token_id")}
    write_json(out / "generation_config.json", {**kept, "eos_token_id": list(end.stops)})


def write_tokenizer(tokenizer: Any, files: Path | None, out: Path, template: ChatTemplate, end: End) -> None:
    """Write the tokenizer with its chat template and end of text.

    Args:
        files: the folder whose tokenizer files are copied; None saves the tokenizer itself.
    """
    if files is None:
        tokenizer.save_pretrained(out)
    else:
        for name in tokenizer_files(files):
            if name.endswith(".py") and not code_allowed(files):
                continue
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(files / name, out / name)
    if end.changed or files is None:
        _set(out / "tokenizer_config.json", eos_token=end.token)
        if "eos_token" in _object(out / "special_tokens_map.json"):
            _set(out / "special_tokens_map.json", eos_token=end.token)
    if tokenizer.chat_template == template.text and files is not None and template.origin == "the source's own":
        return
    for name in files_in(out):
        if name.startswith("chat_template") or name.endswith(".jinja"):
            (out / name).unlink()
    _set(out / "tokenizer_config.json", chat_template=None)
    (out / _TEMPLATE).write_text(template.text, encoding="utf-8")


def write_licence(folder: Path, out: Path) -> None:
    """Copy licence texts, notices and the model card."""
    for file in [*licence_files(folder), folder / "README.md"]:
        if file.is_file() and not (out / file.name).exists():
            shutil.copyfile(file, out / file.name)


def remove_code(source: Path, out: Path) -> None:
    """Take out the names of Python code, unless the user trusts the source's."""
    if not code_allowed(source):
        for name in files_with_code(out):
            _set(out / name, auto_map=None)


def _object(file: Path) -> dict[str, Any]:
    return read_object(file) if file.is_file() else {}


def _set(file: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    known = {**_object(file), **changes}
    write_json(file, {key: value for key, value in known.items() if value is not None})
