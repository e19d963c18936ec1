"""The JSON Schema of recipes, for editors: made from the models in `schema`, with the sentence of every key.

It accepts every recipe that loads. It is more lenient than loading: what a validator refuses beyond types is not said
here, and a file that extends others, or has no `kind:` (a model, an overlay), may leave out any key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from lrmctl.recipe.field_docs import sentences, summary
from lrmctl.recipe.load import KINDS
from lrmctl.recipe.schema.engines import HfOptions
from lrmctl.recipe.schema.sections import Section

DRAFT = "https://json-schema.org/draft/2020-12/schema"
ANY_KIND = "any-kind"
PART = "-part"
"""Suffix of a section's definition in which no key is required."""
_DEFS = "#/$defs/"
_EXTENDS = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
    "description": "A recipe file or shipped name, or a list of them of which a later one wins. What is written in this"
    " file wins over all; mappings are merged key by key, anything else is replaced.",
}


class _Generator(GenerateJsonSchema):
    """Keys have no titles besides their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def json_schema(kind: str | None = None) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of recipes of one kind, or of all recipe files.

    Args:
        kind: `sft`, `preference`, `rl`, `eval`, `study` or `data`; None for all, methods and models included.
    """
    kinds = (kind,) if kind else tuple(KINDS)
    defs = definitions(kinds)
    roots = {each: section_name(KINDS[each]) for each in kinds}
    for name in roots.values():
        defs[name]["properties"] = {"extends": _EXTENDS, **defs[name]["properties"]}
        required = [key for key in defs[name]["required"] if key != "model"]  # a method is given its model by `--on`
        defs[name]["required"] = required
    defs |= {f"{name}{PART}": _part_of_section(schema) for name, schema in defs.items()}
    head = {"$schema": DRAFT, "title": f"lrmctl recipe{f' of kind {kind}' if kind else ''}", "type": "object"}
    if kind:
        return {**head, **_whole_or_part(roots[kind]), "$defs": _used(defs, [roots[kind]])}
    defs[ANY_KIND] = _any_kind([defs[f"{name}{PART}"] for name in roots.values()])
    cases = [
        {"if": {"properties": {"kind": {"const": each}}}, "then": _whole_or_part(name)} for each, name in roots.items()
    ]
    return {
        **head,
        "properties": {
            "kind": {"enum": list(KINDS), "description": defs[ANY_KIND]["properties"]["kind"]["description"]}
        },
        "if": {"required": ["kind"]},
        "then": {"allOf": cases},
        "else": {"$ref": f"{_DEFS}{ANY_KIND}"},
        "$defs": _used(defs, [*roots.values(), ANY_KIND]),
    }


def schema_text(kind: str | None = None) -> str:
    """The schema as the text of a file."""
    return json.dumps(json_schema(kind), indent=1, ensure_ascii=False) + "\n"


@cache
def section_names() -> Mapping[type[Section], str]:
    """Every section of every kind -> the name of its definition."""
    return {section: ref["$ref"].removeprefix(_DEFS) for (section, _), ref in _generated()[0].items()}


def section_name(section: type[BaseModel]) -> str:
    """The name of a section's definition."""
    return section_names()[section]  # type: ignore[index]  # every section of a recipe is one


def definitions(kinds: Iterable[str]) -> dict[str, Any]:
    """Definition by name of every section of these kinds, with the sentence of every key."""
    made = json.loads(json.dumps(_generated()[1]["$defs"]))
    for section, name in section_names().items():
        made[name] = _documented(section, made[name])
    return {name: made[name] for name in (section_name(s) for s in sections(kinds))}


def sections(kinds: Iterable[str]) -> list[type[Section]]:
    """Every section of these kinds, each before those in its keys."""
    found: dict[type[Section], None] = {}

    def visit(section: type[Section]) -> None:
        if section not in found:
            found[section] = None
            for field in section.model_fields.values():
                for inner in _sections_in(field.annotation):
                    visit(inner)

    for kind in kinds:
        visit(KINDS[kind])
    return list(found)


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections_in(inner)


@cache
def _generated() -> tuple[dict[Any, Any], dict[str, Any]]:
    """pydantic's references by section, and its definitions under short names."""
    made = models_json_schema([(s, "validation") for s in sections(KINDS)], schema_generator=_Generator)
    refs, schema = made
    text = json.dumps([list(refs.values()), schema])
    for module in ("algorithm", "loss_weights"):  # which both have a class of the same name
        text = text.replace(f"lrmctl__recipe__schema__{module}__", f"{module}-")
    values, short = json.loads(text)
    return dict(zip(refs, values, strict=True)), short


def _documented(section: type[Section], made: dict[str, Any]) -> dict[str, Any]:
    """A section's definition with its sentences, and the other forms in which it may be written."""
    said = sentences(section)
    made.pop("title", None)
    for name, field in section.model_fields.items():
        key = made["properties"][field.alias or name]
        if described := said.get(name) or _summary_of(section, name):
            key["description"] = described
        if isinstance(key.get("default"), dict):  # a section's defaults are those of its keys
            del key["default"]
        _open(key)
    for tag in filter(lambda name: _is_tag(section, name), section.model_fields):
        if section is not HfOptions:  # an engine without `use:` is hf
            made["required"] = [tag, *(key for key in made.get("required", ()) if key != tag)]
    made |= (about := {"description": summary(section)})
    if not section.other_forms:
        return made
    del made["description"]
    return {**about, "anyOf": [*(_other_form(form, made["properties"]) for form in section.other_forms), made]}


def _other_form(form: dict[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """Another form of a section; `True` stands for the section's own key."""
    if "properties" not in form:
        return form
    own = {key: keys[key] if schema is True else schema for key, schema in form["properties"].items()}
    return {**form, "properties": own}


def _summary_of(section: type[Section], name: str) -> str:
    """What a key without a sentence means: its section, or for `use:` and `mode:` the one that it tells apart."""
    inner = [section] if _is_tag(section, name) else list(_sections_in(section.model_fields[name].annotation))
    return summary(inner[0]) if len(inner) == 1 else ""


def _is_tag(section: type[Section], name: str) -> bool:
    annotation = section.model_fields[name].annotation
    return name in ("use", "mode") and get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def _open(schema: Any) -> None:
    """`anyOf` in place of `oneOf`, and no discriminator, which is no word of JSON Schema."""
    if isinstance(schema, dict):
        schema.pop("discriminator", None)
        if isinstance(branches := schema.pop("oneOf", None), list):
            schema["anyOf"] = branches
        for value in list(schema.values()):
            _open(value)
    elif isinstance(schema, list):
        for value in schema:
            _open(value)


def _whole_or_part(name: str) -> dict[str, Any]:
    ref, part = {"$ref": f"{_DEFS}{name}"}, {"$ref": f"{_DEFS}{name}{PART}"}
    return {"if": {"required": ["extends"]}, "then": part, "else": ref}


def _part_of_section(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A section in which no key is required, because other files have them."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [_part_of_section(one) for one in schema["anyOf"]]}
    if "properties" not in schema:
        return dict(schema)
    keys = {key: _part(value) for key, value in schema["properties"].items()}
    return {**{word: value for word, value in schema.items() if word != "required"}, "properties": keys}


def _part(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A key's schema in such a section: sections in it are merged, lists are replaced as a whole."""
    if "$ref" in schema:
        return {**schema, "$ref": f"{schema['$ref']}{PART}"}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_part(one) for one in schema["anyOf"]]}
    return dict(schema)


def _any_kind(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A file without a kind: any key of any kind."""
    keys: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        for key, schema in part["properties"].items():
            if schema not in keys.setdefault(key, []):
                keys[key].append(schema)
    merged = {key: one[0] if len(one) == 1 else _either(one) for key, one in keys.items()}
    merged["kind"] = {"enum": list(KINDS), "description": merged["kind"]["description"]}
    what = "A file without `kind:`, which takes it from those that it extends; or a model for `--on`."
    return {"type": "object", "description": what, "additionalProperties": False, "properties": merged}


def _either(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    told = dict.fromkeys(schema["description"] for schema in schemas)
    plain = [{word: value for word, value in schema.items() if word != "description"} for schema in schemas]
    distinct = [schema for i, schema in enumerate(plain) if schema not in plain[:i]]
    return {**(distinct[0] if len(distinct) == 1 else {"anyOf": distinct}), "description": " Or: ".join(told)}


def _used(defs: Mapping[str, Any], roots: Iterable[str]) -> dict[str, Any]:
    """The definitions that are referred to, in the order of `defs`."""
    found: set[str] = set()

    def visit(schema: Any) -> None:
        if isinstance(schema, dict):
            name = str(schema.get("$ref", "")).removeprefix(_DEFS)
            if name and name not in found:
                found.add(name)
                visit(defs[name])
            for value in schema.values():
                visit(value)
        elif isinstance(schema, list):
            for value in schema:
                visit(value)

    for root in roots:
        for name in (root, f"{root}{PART}"):
            if name in defs:
                visit({"$ref": f"{_DEFS}{name}"})
    return {name: schema for name, schema in defs.items() if name in found}
