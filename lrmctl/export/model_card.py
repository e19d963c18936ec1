"""The card of a published model: what was trained on what, from which data, what was measured, and what that covers.

The front matter is that of the hub's model cards, figures included (`model-index`). Names from outside cannot break it
or the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lrmctl._util.markdown import plain_markdown
from lrmctl.export.published_run import MAIN, PublishedRun

_HUB_MODEL = re.compile(r"[\w.-]+/[\w.-]+")
_HUB_DATA = re.compile(r"https://huggingface\.co/datasets/([\w.-]+/[\w.-]+)")
_ONE_ID = re.compile(r"[a-z0-9][a-z0-9.-]*")
_METHODS = {
    "sft": "supervised fine-tuning",
    "preference": "preference optimisation",
    "rl": "reinforcement learning",
}
_NOT_STATED = "not stated"


def model_card(run: PublishedRun) -> str:
    """Markdown with YAML front matter."""
    import yaml

    head = yaml.safe_dump(metadata(run), sort_keys=False, allow_unicode=True)
    parts = [
        f"# {plain_markdown(run.name)}",
        _what(run),
        "## Training",
        _pairs(_training(run)),
        "## Data",
        _data(run),
        "## Results",
        _results(run),
        *_controls(run),
        "## Limits",
        _bullets(_limits(run)),
        "## Licence",
        _bullets(_licences(run)),
        "## Files",
        _bullets(_files(run)),
    ]
    return f"---\n{head}---\n\n" + "\n\n".join(filter(None, parts)) + "\n"


def metadata(run: PublishedRun) -> dict[str, Any]:
    """The front matter."""
    from huggingface_hub import EvalResult, ModelCardData

    base = str(run.base.get("ref", ""))
    data = list(dict.fromkeys(m[1] for s in run.sources if (m := _HUB_DATA.match(str(s.get("url") or "")))))
    known = _ONE_ID.fullmatch(run.licence.name) is not None and run.licence.name != "unknown"
    named: dict[str, Any] = (
        {"license": run.licence.name} if known else {"license": "other", "license_name": "see-below"}
    )
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=_slug(str(entry["set"])),
            dataset_name=f"{entry['set']}, {entry['kind']} prompts, temperature {entry['temperature']:g}",
            metric_type=name,
            metric_name=f"{MAIN[name]} (share, 95 % interval {_interval(figure)}, judge {_judge(entry)})",
            metric_value=round(float(figure["value"]), 4),
        )
        for entry, name, figure in _figures(run.entries)
    ]
    card = ModelCardData(
        **named,
        base_model=base if _HUB_MODEL.fullmatch(base) else None,
        datasets=data or None,
        library_name="peft" if run.is_adapter else "transformers",
        pipeline_tag="text-generation",
        tags=["reasoning", "safety", "lrmctl", str(run.recipe.get("kind", ""))],
        model_name=run.name if results else None,
        eval_results=results or None,
    )
    found: dict[str, Any] = card.to_dict()  # type: ignore[no-untyped-call]  # of huggingface_hub
    if "base_model" in found:
        found["base_model_relation"] = "adapter" if run.is_adapter else "finetune"
    return found


def _what(run: PublishedRun) -> str:
    kind, algorithm = str(run.recipe.get("kind", "")), (run.recipe.get("algorithm") or {}).get("name", "")
    how = _METHODS.get(kind, kind) + (f" ({plain_markdown(algorithm)})" if algorithm else "")
    said = str(run.recipe.get("description") or "").strip()
    base = plain_markdown(run.base.get("ref", "an unknown base"))
    return f"{base}, trained by {how} with lrmctl." + (f" {plain_markdown(said)}" if said else "")


def _training(run: PublishedRun) -> dict[str, object]:
    recipe, base = run.recipe, run.base
    algorithm, train = recipe.get("algorithm") or {}, recipe.get("train") or {}
    told: dict[str, object] = {"base": f"{base.get('ref')} (fingerprint {base.get('fingerprint')})"}
    for stage in run.stages:
        told[f"trained before: {stage.get('run')}"] = (
            f"recipe {stage.get('recipe')}, sha256 {stage.get('recipe_sha256')}"
        )
    told |= {
        "recipe": f"{recipe.get('name')}, sha256 {run.lock.get('recipe_sha256')}",
        "method": f"{recipe.get('kind')} {algorithm.get('name', '')}".strip(),
        "steps": algorithm.get("steps"),
        "samples per prompt": algorithm.get("samples_per_prompt"),
        "epochs": train.get("epochs"),
        "learning rate": (recipe.get("optimizer") or {}).get("learning_rate"),
        "reward": "; ".join(_component(one) for one in (recipe.get("reward") or {}).get("components", ())),
        "seed": recipe.get("seed"),
        "precision": run.lock.get("dtype"),
        "chat template": f"sha256 {run.lock.get('template_sha256')}",
        "versions": ", ".join(f"{name} {v}" for name, v in (run.lock.get("versions") or {}).items() if v),
        "plugins": ", ".join(f"{name} {v}" for name, v in (run.lock.get("plugins") or {}).items()),
    }
    return {key: value for key, value in told.items() if value not in (None, "")}


def _component(one: Mapping[str, Any]) -> str:
    judge = (one.get("options") or {}).get("judge")
    what = str(one.get("use") or one.get("fn"))
    when = one.get("when")
    return what + (f", judge {judge}" if judge else "") + (f", on {when} prompts" if when else "")


def _data(run: PublishedRun) -> str:
    if not run.sources:
        return "No data are recorded."
    rows = []
    for one in run.sources:
        licence = one.get("license") or "; ".join(one.get("licences") or ()) or _NOT_STATED
        place = one.get("url") or (f"run:{one['run']}" if one.get("run") else one.get("hub") or "lrmctl")
        rows.append((one.get("name") or one.get("use"), place, licence, one.get("rows") or "", one.get("sha256") or ""))
    used = run.lock.get("data") or {}
    told = f"Trained on {used.get('rows', '?')} rows, sha256 {used.get('sha256', _NOT_STATED)}"
    told += f"; {used['too_long']} were too long and left out." if used.get("too_long") else "."
    return f"{_table(('source', 'place', 'licence', 'rows', 'sha256'), rows)}\n\n{told}"


def _results(run: PublishedRun) -> str:
    if not run.entries:
        return "**This model has not been evaluated.**"
    rows = [
        (
            *(entry["set"], entry["kind"], f"{entry['temperature']:g}", MAIN[name]),
            *(f"{100 * figure['value']:.1f}", _interval(figure), figure.get("n"), _judge(entry)),
        )
        for entry, name, figure in _figures(run.entries)
    ]
    columns = ("set", "prompts", "T", "share", "%", "95 % interval", "n", "judge, version")
    drawn = run.summary.get("sampling") or {}
    how = {**drawn, "engine": (run.summary.get("engine") or {}).get("name"), "seed": run.summary.get("seed")}
    said = ", ".join(f"{key} {plain_markdown(value)}" for key, value in how.items() if value not in (None, "", {}))
    how_read = "Intervals are over prompts. A judge's errors are in the figures."
    return f"{_table(columns, rows)}\n\n{how_read} Drawn with {said}."


def _controls(run: PublishedRun) -> list[str]:
    """The arms of its study on the same base and seed, this one included."""
    if len(run.arms) < 2:
        return []
    columns = ("arm", "control", *(f"{name}, %" for name in run.arms[0].figures))
    rows = [
        (f"{one.label} (this model)" if one.this else one.label, "yes" if one.control else "", *one.figures.values())
        for one in run.arms
    ]
    said = "A control differs from the method by the part that is doubted; the difference to it, not to the base, is"
    return [f"## Its study: {plain_markdown(run.study)}", _table(columns, rows), f"{said} what that part is worth."]


def _limits(run: PublishedRun) -> list[str]:
    told = ["The figures hold for these sets, languages, prompts and sampling settings, and for no others."]
    told.append("Safer on average is not safe: unsafe thinking and answers remain possible, attacks above all.")
    if not run.entries:
        told.append("Nothing was measured: whether it is safer than its base is not known.")
    if any(not one.get("measured") for one in run.entries if one.get("judge")):
        told.append("At least one judge was not measured against labels: its errors are not known.")
    for one in run.summary.get("overlap") or ():
        if one.get("exact") or one.get("near"):
            told.append(f"{one['exact']} prompts of {one['set']} are in the training data, {one['near']} nearly.")
    return [*told, *map(str, run.summary.get("warnings") or ())]


def _licences(run: PublishedRun) -> list[str]:
    told = [f"weights: {run.licence.name} ({run.licence.found_in})"]
    for one in run.sources:
        licence = one.get("license") or "; ".join(one.get("licences") or ()) or _NOT_STATED
        told.append(f"data, {one.get('name') or one.get('use')}: {licence}")
    return [*told, "The terms of the base and of the data go with this model; check them before use."]


def _files(run: PublishedRun) -> list[str]:
    told = ["lock.json: the resolved recipe, its hash, data, versions; local paths are shortened", "recipe.yaml"]
    if run.entries:
        texts = "with texts, harmful ones too" if run.text else "without texts"
        told.append(f"evaluation/: every figure with its interval, and a verdict per sample, {texts}")
    return [*told, *(f"data/{name}/: card of the data set that was built" for name in run.builds)]


def _figures(entries: Iterable[Mapping[str, Any]]) -> Iterable[tuple[Mapping[str, Any], str, Mapping[str, Any]]]:
    for entry in entries:
        for name in MAIN:
            figure = entry.get("metrics", {}).get(name)
            if figure and figure.get("value") is not None:
                yield entry, name, figure


def _interval(figure: Mapping[str, Any]) -> str:
    low, high = figure.get("low"), figure.get("high")
    return "-" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def _judge(entry: Mapping[str, Any]) -> str:
    return f"{entry['judge']} {entry.get('judge_version') or ''}".strip() if entry.get("judge") else "-"


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_./-]+", "-", name).strip("-") or "set"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(plain_markdown(cell) for cell in row)} |" for row in rows)])


def _pairs(told: Mapping[str, object]) -> str:
    return _bullets(f"{key}: {value}" for key, value in told.items())


def _bullets(told: Iterable[str]) -> str:
    return "\n".join(f"- {plain_markdown(one)}" for one in told)
