"""`lrmctl reward fit`: weights of rule-based rewards from labelled completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrmctl.cli.common import AsJson, Force, RowsThinking, rows_thinking
from lrmctl.errors import LrmctlError

if TYPE_CHECKING:
    from lrmctl.rewards.builtin.propositions import Proposition
    from lrmctl.rewards.offline.fit import Accuracy, FittedWeights

SOURCES = ("feature", "label", "reward")


def fit(
    file: Annotated[Path, typer.Argument(help="JSONL: prompt, response and label; or RBR gold rows.")],
    rule: Annotated[
        list[str],
        typer.Option(
            "--rule",
            metavar="RULE",
            help="A feature; `features` or `labels` for all; label:NAME; reward:NAME; or NAME=STATEMENT. Repeatable.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("weights.json"),
    model: Annotated[str | None, typer.Option(help="Judge model for the statements.")] = None,
    engine: Annotated[str, typer.Option(help="Its engine: hf, vllm, or YAML such as '{use: openai, ...}'.")] = "hf",
    pair_by: Annotated[
        str, typer.Option(help="Compare completions of one `prompt`, or that share a field.")
    ] = "prompt",
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="FIELD=VALUE", help="Use these rows only; repeatable.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Folds of the prompts, each held out once.", min=2)] = 20,
    steps: Annotated[int, typer.Option(help="Steps of AdamW.", min=1)] = 1000,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of AdamW.", min=1e-6)] = 1e-2,
    margin: Annotated[float, typer.Option(help="Margin of the hinge loss.", min=1e-6)] = 1.0,
    margins: Annotated[
        list[str] | None,
        typer.Option("--margin-of", metavar="LABEL=MARGIN", help="Margin of pairs whose worse one has this label."),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="Field with a reward model's score, which the rules are added to."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the folds.")] = 0,
    thinking: RowsThinking = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Fit the weights of a `rules` reward, and report how well they order held-out completions.

    Examples:
        lrmctl reward fit labelled.jsonl --rule features --out weights.json
        lrmctl reward fit labelled.jsonl --rule 'apology=The reply apologises.' --model Qwen/Qwen3-4B
    """
    from lrmctl import console
    from lrmctl.rewards.builtin.propositions import ValuedPropositions
    from lrmctl.rewards.offline.fit import FitSettings
    from lrmctl.rewards.offline.fit import fit as fit_weights
    from lrmctl.rewards.offline.labelled import read_labelled
    from lrmctl.runs.output import check_output, object_with

    check_output(out, object_with("rules", "held_out"), force=force)
    settings = FitSettings(margin, _margins(margins or ()), learning_rate, steps, folds, seed)
    propositions = [one for text in rule for one in _propositions(text, file)]
    with rows_thinking(thinking):
        rows = read_labelled(file, pair_by, _pairs(where or ()), score)
    found = fit_weights(rows, ValuedPropositions(propositions, _judge(model, engine)), settings)
    written = _written(
        found, propositions, file, settings=asdict(settings), pair_by=pair_by, score=score, where=list(where or ())
    )
    _write(out, written)
    if as_json:
        console.emit_json("reward-fit", written)
    else:
        _show(found, propositions, out)


def _margins(said: Sequence[str]) -> dict[str, float]:
    from lrmctl._util.suggest import did_you_mean
    from lrmctl.rewards.offline.labelled import CLASSES

    found = {}
    for text in said:
        label, _, number = text.partition("=")
        if label not in CLASSES:
            raise LrmctlError(f"there is no label {label!r}", "--margin-of", did_you_mean(label, CLASSES))
        try:
            found[label] = float(number)
        except ValueError:
            found[label] = float("nan")
        if not 0 < found[label] < float("inf"):
            raise LrmctlError(f"{text!r} has no margin above 0", "--margin-of", f"say {label}=1")
    return found


def _propositions(text: str, file: Path) -> list[Proposition]:
    """The propositions of one `--rule`."""
    from lrmctl.rewards.builtin.features import FEATURES
    from lrmctl.rewards.builtin.propositions import proposition
    from lrmctl.rewards.offline.labelled import label_names

    if text == "features":
        return [proposition(name) for name in FEATURES]
    if text == "labels":
        return [proposition({"label": name}) for name in label_names(file)]
    name, is_question, statement = text.partition("=")
    if is_question:
        return [proposition({"name": name.strip(), "ask": statement.strip()})]
    source, _, of = text.partition(":")
    return [proposition({source: of} if source in SOURCES and of else text)]


def _pairs(where: Any) -> dict[str, str]:
    from lrmctl.errors import RecipeError

    for text in where:
        if "=" not in text:
            raise RecipeError(f"cannot be read: {text!r}", "--where", "say FIELD=VALUE")
    return dict(text.split("=", 1) for text in where)


def _judge(model: str | None, engine: str) -> dict[str, Any] | None:
    import yaml

    from lrmctl.errors import RecipeError

    try:
        return None if model is None else {"model": model, "engine": yaml.safe_load(engine)}
    except yaml.YAMLError as error:
        raise RecipeError(f"cannot be read: {engine!r}", "--engine", "say hf, or '{use: openai, ...}'") from error


def _written(found: FittedWeights, propositions: list[Proposition], file: Path, **how: Any) -> dict[str, Any]:
    """The file's content: what a `rules` reward reads, and its origin."""
    import hashlib

    result = asdict(found)
    result |= {name: getattr(found, name)._asdict() for name in ("held_out", "best_single")}
    data = {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    return {"rules": [one.to_json() for one in propositions], **result, "data": data, **how}


def _write(out: Path, content: dict[str, Any]) -> None:
    from lrmctl.runs.folder import write_json

    try:
        write_json(out, content)
    except OSError as error:
        raise LrmctlError(f"cannot be written: {error.strerror}", str(out), "give another `--out`") from error


def _show(found: FittedWeights, propositions: list[Proposition], out: Path) -> None:
    from lrmctl import console

    kinds = {one.name: one.source for one in propositions}
    ordered = sorted(found.weights.items(), key=lambda pair: -abs(pair[1]))
    console.table("", ("proposition", "from", "weight"), [(n, kinds[n], f"{w:+.3f}") for n, w in ordered])
    console.say(f"{found.completions} completions, {found.pairs} ordered pairs")
    if found.failed:
        console.say(f"left out: {found.failed} completions on which a proposition failed; first: {found.failure}")
    console.say(f"held-out pairs ordered rightly: {_told(found.held_out)} (chance 0.500)")
    console.say(f"by the best single proposition: {_told(found.best_single)}")
    if "label" in kinds.values():
        console.say("labels that people gave are among the propositions: this is no figure of a judge")
    console.say(f"{out}")


def _told(accuracy: Accuracy) -> str:
    return f"{accuracy.accuracy:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]"
