"""Imports a model: find the source, decide template and end of text, write beside the place, compare, rename."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lrmctl._util.installed import versions_of
from lrmctl.models.adapter import base_name
from lrmctl.models.code import allow_code
from lrmctl.models.files import files_in, read_object
from lrmctl.models.folder import has_tokenizer
from lrmctl.models.importing import checks, gguf_file, licence, write
from lrmctl.models.importing.ends import End, choose_end
from lrmctl.models.importing.gguf_file import GgufFile
from lrmctl.models.importing.place import MANIFEST, WRITER, check_place, new_folder
from lrmctl.models.importing.source import Source, find_source
from lrmctl.models.importing.template import ChatTemplate, of_source, template_named, without_template
from lrmctl.models.load import load_model, load_tokenizer
from lrmctl.models.resolve import base_of, fingerprint
from lrmctl.runs.writing import write_json

OnProgress = Callable[[int, int, str], None]
"""Called with steps done, total steps, and what is done next."""
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
_STEPS = 5


@dataclass(frozen=True)
class ImportOptions:
    """How a model is imported.

    Attributes:
        template: a file with a chat template, or the name of a shipped one; the source's own by default.
        dtype: of the written weights; `auto` for the source's, which is float32 for quantized ones.
        revision: branch, tag or commit of a hub repository.
        force: replace what an earlier import has written at the same place.
        trust_remote_code: the user trusts the Python code in the source's folder.
    """

    template: str | None = None
    dtype: Dtype = "auto"
    revision: str | None = None
    force: bool = False
    trust_remote_code: bool = False


@dataclass(frozen=True)
class _Opened:
    """A source whose tokenizer is loaded.

    Attributes:
        files: the folder of its tokenizer's files; None if they are in a GGUF file.
        generation: its generation config.
    """

    source: Source
    gguf: GgufFile | None
    tokenizer: Any
    files: Path | None
    generation: Mapping[str, Any]


def import_model(
    ref: str,
    out: Path,
    options: ImportOptions = ImportOptions(),
    *,
    runs_dir: Path = Path("runs"),
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Write the model that `ref` names as a plain Hugging Face folder.

    The folder is loaded again and compared with the source before it takes its place; after an error nothing is left.

    Args:
        ref: a folder, GGUF file, hub id, `owner/name/FILE.gguf`, adapter, `BASE+ADAPTER`, `run:NAME` or `lab:tiny`.
        out: the folder to create; must be new or empty.

    Returns:
        The manifest, also in `out/manifest.json`.

    Raises:
        LrmctlError: there is no such model, it cannot be loaded, has no chat template or no end of text, or the written
            folder differs from it.
        RunExistsError: `out` is not empty.
        DiskFullError: the weights do not fit on the disk.
    """
    told = on_progress or (lambda *_: None)
    check_place(out, force=options.force)
    template = template_named(options.template) if options.template is not None else None
    told(0, _STEPS, "reading the tokenizer")
    source = find_source(ref, runs_dir, revision=options.revision, trust_remote_code=options.trust_remote_code)
    opened = _open(source)
    template = _take_template(opened, template)
    end = choose_end(opened.tokenizer, _listed(opened), set_by_user=options.template is not None)
    told(1, _STEPS, "reading the weights")
    model = _weights(opened, options.dtype)
    checks.check_vocabulary(opened.tokenizer, model, str(source.path))
    dtype = str(model.dtype).removeprefix("torch.")
    tokens, logits = checks.tokens_of(opened.tokenizer), checks.logits_of(model, opened.tokenizer)
    write.check_space(model, out)
    with write.named_when_full(out), new_folder(out) as part:
        told(2, _STEPS, "writing")
        facts = _write(opened, model, part, template, end)
        del model  # so that two copies are never in memory
        told(3, _STEPS, "loading it again")
        if options.trust_remote_code:
            allow_code(part)
        difference = checks.check_written(part, end, dtype, tokens, logits)
        told(4, _STEPS, "computing the fingerprint")
        manifest = {
            "written_by": WRITER,
            "source": _origin(opened),
            **facts,
            "dtype": dtype,
            "end_of_text": _end_facts(end, opened.tokenizer),
            "chat_template": {"from": template.origin, "sha256": hashlib.sha256(template.text.encode()).hexdigest()},
            "licence": _licence(opened)._asdict(),
            "fingerprint": fingerprint(part),
            "checks": {"texts_with_the_same_tokens": len(tokens), "largest_difference_of_logits": difference},
            "notes": [*_notes(opened), *checks.lost_in_decoding(opened.tokenizer)],
            "versions": versions_of("lrmctl", "torch", "transformers", "tokenizers", "gguf", "peft"),
        }
        write_json(part / MANIFEST, manifest)
    told(_STEPS, _STEPS, "done")
    return manifest


def _open(source: Source) -> _Opened:
    if source.kind == "GGUF file":
        gguf = gguf_file.read_gguf(source.path)
        return _Opened(source, gguf, gguf_file.tokenizer_of(gguf), None, {})
    tokenizer = load_tokenizer(source.path)
    folders = [source.path, *([base_of(source.path)] if source.kind == "adapter" else [])]
    files = next((folder for folder in folders if has_tokenizer(files_in(folder))), source.path)
    found = next((folder for folder in folders if (folder / "generation_config.json").is_file()), None)
    generation = read_object(found / "generation_config.json") if found else {}
    return _Opened(source, None, tokenizer, files, generation)


def _take_template(opened: _Opened, given: ChatTemplate | None) -> ChatTemplate:
    """Set the user's template, or find the source's own.

    Raises:
        LrmctlError: there is none.
    """
    template = given or of_source(opened.tokenizer)
    if template is None:
        raise without_template(opened.source.reference)
    if given is not None:
        opened.tokenizer.chat_template = given.text
    return template


def _listed(opened: _Opened) -> list[int]:
    """Ids of the ends of text that the source names beside its tokenizer's."""
    if opened.gguf is not None:
        return opened.gguf.end_ids
    found = opened.generation.get("eos_token_id")
    return [i for i in (found if isinstance(found, list) else [found]) if isinstance(i, int)]


def _weights(opened: _Opened, dtype: Dtype) -> Any:
    if opened.gguf is None:
        return load_model(opened.source.path, dtype=dtype)
    return gguf_file.weights_of_file(opened.gguf, opened.gguf.dtype if dtype == "auto" else dtype)


def _write(opened: _Opened, model: Any, part: Path, template: ChatTemplate, end: End) -> dict[str, Any]:
    """Write all files but the manifest.

    Returns:
        What the model is, for the manifest.
    """
    write.write_weights(model, part, opened.generation, opened.tokenizer, end)
    write.write_tokenizer(opened.tokenizer, opened.files, part, template, end)
    write.remove_code(opened.source.path, part)
    if opened.gguf is None:
        for _, folder in opened.source.folders:
            write.write_licence(folder, part)
    return {
        "architecture": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": {"tokens": len(opened.tokenizer), "rows": int(model.get_input_embeddings().weight.shape[0])},
        "context": getattr(model.config, "max_position_embeddings", None),
    }


def _origin(opened: _Opened) -> dict[str, Any]:
    source, gguf = opened.source, opened.gguf
    told: dict[str, Any] = {"reference": source.reference, "kind": source.kind, "revision": source.revision or None}
    if gguf is not None:
        with source.path.open("rb") as data:
            told["sha256"] = hashlib.file_digest(data, "sha256").hexdigest()
        told |= {"name": gguf.fields.get("general.name"), "organization": gguf.fields.get("general.organization")}
        told |= {"weights": dict(gguf.types), "split_rule": gguf.rule or None}
    else:
        told["fingerprint"] = fingerprint(source.path)
    if source.kind == "adapter":
        told["base"] = {"name": base_name(source.path), "fingerprint": fingerprint(base_of(source.path))}
    return {key: value for key, value in told.items() if value is not None}


def _end_facts(end: End, tokenizer: Any) -> dict[str, Any]:
    stops = [tokenizer.convert_ids_to_tokens(i) for i in end.stops]
    return {"token": end.token, "id": end.stops[0], "why": end.why, "source_named": end.before, "generation": stops}


def _licence(opened: _Opened) -> licence.Licence:
    if opened.gguf is not None:
        return licence.licence_of_gguf(opened.gguf.fields, opened.source.path.parent)
    return licence.joined([(part, licence.licence_of_folder(folder)) for part, folder in opened.source.folders])


def _notes(opened: _Opened) -> list[str]:
    return gguf_file.notes_of(opened.gguf) if opened.gguf is not None else []
