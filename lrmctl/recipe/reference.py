"""The reference page of recipes: a table of keys for every kind and section, made from the JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lrmctl.recipe.json_schema import definitions, section_name, sections
from lrmctl.recipe.load import KINDS

TITLE = "# Every key of a recipe"
_HEAD = f"""{TITLE}

`lrmctl recipe schema --md` prints this page, which is made from the code. Every recipe may have `extends:` too, a
recipe or a list of them. What is required may come from there, or from the model that a method is trained on.

## In an editor

Editors with the YAML language server (VS Code's YAML extension, Neovim, Helix, Emacs) complete keys, show these
sentences and mark what is misspelt or of a wrong type, if the first line of a recipe names its JSON Schema. That of
every shipped recipe does. `lrmctl recipe copy` writes the place of the installed schema into the copy; it stays right
when lrmctl is updated there. For recipes that several people share, put the schema beside them and name it by its
relative path:

```
lrmctl recipe schema --out schema.json
```

```yaml
# yaml-language-server: $schema=./schema.json
extends: lab/rl
name: my-rl
```

The schema takes every recipe that lrmctl takes, except that it wants numbers and `true` without quotes. Only
`lrmctl recipe validate` checks what goes together, and what is missing in a file that extends others.
"""
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_WORDS = {"string": "text", "boolean": "true or false", "null": "null", "object": "mapping", "array": "list"}


def reference_page(kind: str | None = None) -> str:
    """The page as Markdown, of one kind or of all."""
    chosen = (kind,) if kind else tuple(KINDS)
    defs = definitions(chosen)
    kinds = {section_name(KINDS[each]): f"kind: {each}" for each in chosen}
    names = {section_name(section): section.__name__ for section in sections(chosen)}
    titles = {**names, **kinds}
    if names.get("loss_weights-Importance"):  # rl has another section of this name
        titles["loss_weights-Importance"] = "Importance in SFT"
    ordered = [*kinds, *(name for name in sorted(titles, key=lambda name: titles[name]) if name not in kinds)]
    return "\n".join([_HEAD, *(_section(titles[name], defs[name], titles) for name in ordered)])


def _section(title: str, schema: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    forms = schema.get("anyOf", [schema])
    keyed = [form for form in forms if "properties" in form]
    shorts = [form for form in forms if "properties" not in form]
    lines = [f"## {title}", "", schema["description"]]
    if shorts:
        lines += ["", f"Short form: just {' or '.join(_type(form, titles) for form in shorts)}."]
    for form in sorted(keyed, key=lambda form: -len(form["properties"])):
        other = len(form["properties"]) < max(len(one["properties"]) for one in keyed)
        lines += ["", *(["Or:", ""] if other else []), "| key | type | default | |", "|---|---|---|---|"]
        for key, value in form["properties"].items():
            default = "required" if key in form.get("required", ()) else _default(value)
            lines.append(f"| `{key}` | {_type(value, titles)} | {default} | {_cell(value['description'])} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(value: Mapping[str, Any]) -> str:
    if value.get("default") is None:
        return ""
    text = json.dumps(value["default"], ensure_ascii=False)
    return "" if text in ('""', "[]") else f"`{_cell(text if len(text) <= 60 else text[:56] + ' ...')}`"


def _type(value: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    if "$ref" in value:
        title = titles[str(value["$ref"]).rpartition("/")[2]]
        return f"[{title}](#{title.lower().replace(':', '').replace(' ', '-')})"
    if "title" in value:
        return f"`{value['title']}`"
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_type(one, titles) for one in value["anyOf"] if one.get("type") != "null"))
    if "const" in value or "enum" in value:
        return ", ".join(f"`{json.dumps(one).strip(chr(34))}`" for one in value.get("enum", [value.get("const")]))
    if value.get("type") == "array":
        return _list(value, titles)
    if value.get("type") == "object" and isinstance(inner := value.get("additionalProperties"), dict) and inner:
        return f"mapping to {_type(inner, titles)}"
    kind = value.get("type", "any")
    bounds = [f"{sign} {value[word]:g}" for word, sign in _BOUNDS.items() if word in value and value[word] < 10**8]
    return " ".join([_WORDS.get(kind, kind), ", ".join(bounds)]).strip()


def _list(value: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    if "prefixItems" in value:
        return f"list of {len(value['prefixItems'])}: {_type(value['prefixItems'][0], titles)}"
    return f"list of {_type(value['items'], titles)}"
