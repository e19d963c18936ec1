"""`lrmctl data pairs`: a file of preference pairs from scored completions, or by intervening in unsafe thoughts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrmctl.cli import completion
from lrmctl.cli.commands.reward.section import reward_section, rows_file
from lrmctl.cli.common import RUNS, AsJson, Force, RowsThinking, RunsDir, Sets, rows_thinking
from lrmctl.errors import RecipeError

if TYPE_CHECKING:
    from lrmctl.data.pairs import GroupedPairs
    from lrmctl.recipe.schema.recipes import RewardSection

_INTERVENE = ("cues", "trigger", "model", "samples", "temperature", "max_new_tokens")


def pairs(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="JSONL: rollouts, evaluation rows, or plain rows; or run:NAME.",
            autocompletion=completion.runs(qualified=True),
        ),
    ],
    out: Annotated[Path, typer.Option(help="File for the pairs, which `use: jsonl` of a preference recipe reads.")],
    recipe: Annotated[
        str | None,
        typer.Option(help="Score with the reward of this recipe.", autocompletion=completion.recipes("rl", "sft")),
    ] = None,
    use: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Score with one reward, registered or ./file.py:function.",
            autocompletion=completion.of_registry("reward"),
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="With --use: an option of the reward; repeatable."),
    ] = None,
    part: Annotated[str, typer.Option(help="With --use: the part that is scored.")] = "whole",
    sets: Sets = None,
    min_gap: Annotated[float, typer.Option(min=0, help="Least difference of the rewards of a pair.")] = 0.0,
    intervene: Annotated[
        bool, typer.Option("--intervene", help="Lead unsafe thoughts another way before their first cue of compliance.")
    ] = False,
    cues: Annotated[
        str | None,
        typer.Option(
            metavar="LEXICON",
            help="With --intervene: cues; `compliance-cues` by default.",
            autocompletion=completion.of_registry("lexicon"),
        ),
    ] = None,
    trigger: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="With --intervene: what replaces a cue, in turn; repeatable."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            autocompletion=completion.runs("lab:tiny", qualified=True),
            help="With --intervene: the model that goes on; without, each row has a `continuation`.",
        ),
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="With --model: continuations of each thought; 4.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="With --model: of the continuations; 0.7.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="With --model: of each continuation; 2048.")] = None,
    thinking: RowsThinking = None,
    force: Force = False,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Make preference pairs: the best and the worst completion of each prompt, or of each group of rollouts.

    Rewards are those that the rows state, unless --recipe or --use scores them anew. With --intervene a pair is an
    unsafe trace and the same one led another way; only what follows their shared beginning is trained on.

    Examples:
        lrmctl data pairs run:rl --out pairs.jsonl
        lrmctl data pairs rows.jsonl --use judged-safe --option judge=lab --out pairs.jsonl
    """
    from lrmctl import console
    from lrmctl.data.pairs import pair_row
    from lrmctl.runs.jsonl import write_jsonl
    from lrmctl.runs.output import check_output

    scored = recipe is not None or use is not None
    section = reward_section(recipe, use, options, part, sets) if scored else None
    if not scored and (options or sets or part != "whole"):
        raise RecipeError(
            "--option, --part and --set belong to --use or --recipe", fix="name a reward, or leave them out"
        )
    given = dict(zip(_INTERVENE, (cues, trigger, model, samples, temperature, max_new_tokens), strict=True))
    _check_options(given, intervene)
    path = rows_file(source, runs_dir)
    check_output(out, lambda _: False, force=force)
    with rows_thinking(thinking):
        found = _intervened(path, out, section, min_gap, given) if intervene else _best(path, section, min_gap)
    if not found.pairs:
        why = "; ".join(found.findings()) or "there are no groups"
        raise RecipeError(f"no pair comes of it: {why}", str(path), "lower --min-gap, or give other completions")
    rows = [pair_row(pair) for pair in found.pairs]
    write_jsonl(out, rows)
    if as_json:
        console.emit_json(
            "data pairs", {"pairs": len(rows), "of": found.groups, "left_out": found.left_out, "out": out}
        )
    else:
        what = "traces" if intervene else "groups"
        console.table("", ("", "n"), [("pairs", str(len(rows))), (what, str(found.groups)), *_counts(found.left_out)])
    console.say(f"pairs are in {out}")


def _counts(left_out: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(f"left out: {reason}", str(n)) for reason, n in left_out.items()]


def _check_options(given: Mapping[str, Any], intervene: bool) -> None:
    """Refuse options without the one that they belong to."""
    stated = [name for name, value in given.items() if value not in (None, [])]
    if stated and not intervene:
        raise _no_effect(stated[0], "--intervene")
    sampling = [name for name in stated if name not in ("cues", "trigger", "model")]
    if sampling and not given["model"]:
        raise _no_effect(sampling[0], "--model")


def _no_effect(name: str, without: str) -> RecipeError:
    option = f"--{name.replace('_', '-')}"
    return RecipeError(f"{option} has no effect without {without}", option, f"say {without}, or leave it out")


def _best(path: Path, section: RewardSection | None, min_gap: float) -> GroupedPairs:
    from lrmctl import console
    from lrmctl.training.pairs import best_pairs

    with console.progress(f"score {path.name}") as on_progress:
        return best_pairs(path, section, min_gap=min_gap, on_progress=on_progress)


def _intervened(
    path: Path, out: Path, section: RewardSection | None, min_gap: float, given: Mapping[str, Any]
) -> GroupedPairs:
    from lrmctl import console
    from lrmctl.data.pairs.intervene import CUES, triggers
    from lrmctl.lexicons import get_lexicon
    from lrmctl.training.intervened_pairs import Sampler, intervened_pairs

    texts: Sequence[str] = given["trigger"] or [one.text for one in triggers().values()]
    sampler = None
    if given["model"]:
        sampler = Sampler(
            given["model"],
            out.with_name(f"{out.name}.sqlite"),
            given["samples"] or 4,
            0.7 if given["temperature"] is None else given["temperature"],
            given["max_new_tokens"] or 2048,
        )
    with console.progress(f"continue {path.name}") as on_progress:
        return intervened_pairs(
            path,
            get_lexicon(given["cues"] or CUES),
            texts,
            sampler=sampler,
            reward=section,
            min_gap=min_gap,
            on_progress=on_progress,
        )
