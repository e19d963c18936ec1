"""Training data by name: prompts for RL, demonstrations for SFT, pairs for preference training.

They come from plugins, local files or the hub. A row of a file or hub data set is a prompt (with `kind`), a
demonstration (a prompt with a response) or a preference pair (a prompt with two), as read by `lrmctl.rows`. A response
with two thinking blocks, or with blank thinking or answer, would teach bad form; it is left out and reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from lrmctl._util.text import is_blank
from lrmctl.data.mix import mix
from lrmctl.data.pairs.pair import PreferencePair
from lrmctl.data.pairs.read import ParsedPair
from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.hooks.specs import Source
from lrmctl.rows.files import all_rows, existing, file_sha256
from lrmctl.rows.located import LocatedRow, located
from lrmctl.rows.policy import FIX, response_kinds
from lrmctl.rows.prompts import KINDS, asked_of, distinct_ids, gold_of, kind_of, prompt_of, rest_of
from lrmctl.rows.responses import COLUMNS, RESPONSES, response_of
from lrmctl.rows.values import missing
from lrmctl.trace import split_text
from lrmctl.types import RESPONSE_POLICY, Prompt

if TYPE_CHECKING:
    from lrmctl.recipe.schema.sections import Mixed, Use
    from lrmctl.rows.prompts import PromptTurn
    from lrmctl.rows.responses import ParsedResponse

T = TypeVar("T")
R = TypeVar("R", "Demonstration", PreferencePair)


@dataclass(frozen=True)
class Demonstration:
    """A prompt with the thinking and answer to imitate."""

    prompt: Prompt
    thinking: str
    """Empty if thinking is off."""
    answer: str
    template_args: Mapping[str, Any] = field(default_factory=dict)
    """Its source's template arguments, added to the recipe's."""
    system: str | None = None
    """Its source's system message, instead of the recipe's."""
    loss_weight: float = 1.0
    """Its source's weight in the loss."""


@dataclass(frozen=True)
class AskedPrompt:
    """A prompt with what its source says of how it is rendered; see `Demonstration`."""

    prompt: Prompt
    template_args: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None


class LoadedRows(NamedTuple):
    """Demonstrations, and a sentence for each source that left rows out."""

    rows: list[Demonstration]
    notes: list[str]


def load_prompts(uses: Sequence[Mixed | Use], *, seed: int = 0) -> list[Prompt]:
    """Prompts of several sources: all in order, or mixed by the sources' weights.

    Ids shared by different prompts, e.g. if two files both count from 0, are made distinct.
    """
    return [asked.prompt for asked in load_asked(uses, seed=seed)]


def load_asked(uses: Sequence[Mixed | Use], *, seed: int = 0) -> list[AskedPrompt]:
    """As `load_prompts`, each with its source's template arguments and system message."""
    groups = [[AskedPrompt(one, *rendering_of(use)) for one in make_source(use).prompts()] for use in uses]
    rows = mixed(groups, uses, None, seed)
    prompts = distinct_ids([asked.prompt for asked in rows])
    return [replace(asked, prompt=prompt) for asked, prompt in zip(rows, prompts, strict=True)]


def load_demonstrations(
    uses: Sequence[Mixed | Use],
    *,
    total: int | None = None,
    turns: str = "last",
    seed: int = 0,
    off: Callable[[Mapping[str, Any]], bool] | None = None,
) -> list[Demonstration]:
    """Demonstrations of several sources, in order or mixed; see `load_with_notes`."""
    return load_with_notes(uses, total=total, turns=turns, seed=seed, off=off).rows


def load_with_notes(
    uses: Sequence[Mixed | Use],
    *,
    total: int | None = None,
    turns: str = "last",
    seed: int = 0,
    off: Callable[[Mapping[str, Any]], bool] | None = None,
) -> LoadedRows:
    """Demonstrations of several sources, in order or mixed, and notes on rows left out.

    Args:
        total: rows of a weighted mixture.
        turns: `last`, or `all` for one demonstration per response in a conversation.
        off: whether thinking is off with a source's template arguments, so that responses need no thinking.
    """
    sources = [make_source(use) for use in uses]
    for source, use in zip(sources, uses, strict=True):
        if off is not None and off(rendering_of(use)[0]):
            source.without_thinking = True
    groups = [
        [_demonstrated(one, use) for one in source.demonstrations()] for source, use in zip(sources, uses, strict=True)
    ]
    notes = [note for source in sources for note in source.findings()]
    if turns == "all":
        groups = [[turn for row in group for turn in every_turn(row)] for group in groups]
    rows = mixed(groups, uses, total, seed)
    prompts = distinct_ids([row.prompt for row in rows])
    return LoadedRows([replace(row, prompt=prompt) for row, prompt in zip(rows, prompts, strict=True)], notes)


def rendering_of(use: Use) -> tuple[Mapping[str, Any], str | None]:
    """A source's own template arguments and system message."""
    return getattr(use, "template_args", {}), getattr(use, "system", None)


def _demonstrated(row: Demonstration, use: Use) -> Demonstration:
    args, system = rendering_of(use)
    return replace(row, template_args=args, system=system, loss_weight=getattr(use, "loss_weight", 1.0))


def provenance(uses: Sequence[Use]) -> list[dict[str, Any]]:
    """Origin of each source's rows, as far as known: licence, url, revision, sha256, numbers of rows."""
    told = []
    for use in uses:
        source = make_source(use)
        told.append({"use": use.use, "options": use.options, **source.provenance()})
    return told


def every_turn(row: Demonstration) -> Iterator[Demonstration]:
    """One demonstration per response in a conversation; unsuitable past responses are left out."""
    messages = row.prompt.messages
    for i, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        split = split_text(message["content"], opened=False)
        if split.state == "closed" and not unfit(split.thinking, split.answer, split.irregular):
            prompt = replace(row.prompt, id=f"{row.prompt.id}-turn{i}", messages=messages[:i])
            yield replace(row, prompt=prompt, thinking=split.thinking, answer=split.answer)
    yield row


def unfit(thinking: str, answer: str, irregular: Sequence[str] = ()) -> str:
    """Short reason why a response with closed thinking is unsuitable as a demonstration; empty if it is suitable."""
    if {"repeated", "nested", "stray"} & set(irregular):
        return "two thoughts, or text before the thought"
    if is_blank(thinking):
        return "an empty thought"
    return "an empty answer" if is_blank(answer) else ""


def mixed(groups: list[list[T]], uses: Sequence[Mixed | Use], total: int | None, seed: int) -> list[T]:
    """Rows of several sources: all in order, or mixed by the sources' weights."""
    return mix(groups, [getattr(use, "weight", None) for use in uses], total=total, seed=seed)


def make_source(use: Use) -> Any:
    """The source that a recipe names."""
    from lrmctl.hooks import registry

    return registry.make("source", use.use, **use.options)


class Reasons:
    """Counts rows that are left out by reason, with the first place of each.

    Args:
        what: the rows' name in sentences.
    """

    def __init__(self, what: str = "rows") -> None:
        self._what = what
        self.all: list[tuple[str, str]] = []

    def add(self, reason: str, where: str) -> None:
        self.all.append((reason, where))

    def findings(self) -> list[str]:
        """A sentence for each reason."""
        first = dict(reversed(self.all))
        counts = Counter(reason for reason, _ in self.all)
        return [
            f"{self._what} with {reason} are left out: {n}, the first is {first[reason]}"
            for reason, n in counts.items()
        ]


class RowSource(Source):
    """A source over rows.

    Args:
        rows: plain mappings, or rows with a location.
        name: prefix of ids, and of the location of plain rows in errors.
        kind: prompt kind of rows that do not state one.
        response_policy: kinds of answer that are right for rows that do not state them.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        name: str,
        kind: str | None = None,
        origin: Mapping[str, Any] | None = None,
        response_policy: Sequence[str] | str | None = None,
    ) -> None:
        if kind is not None and kind not in KINDS:
            raise RecipeError(f"a prompt is of one of the kinds {', '.join(KINDS)}, not {kind!r}", f"source {name}")
        self._rows = [row if isinstance(row, LocatedRow) else located(row, name, i) for i, row in enumerate(rows, 1)]
        self._name, self._kind, self._origin = name, kind, origin or {}
        self._policy = _policy(response_policy, name)
        self._left_out = Reasons()
        self.without_thinking = False
        """Whether responses without thinking are valid."""

    def provenance(self) -> dict[str, Any]:
        """Origin of the rows, for the lock file."""
        return {**self._origin, "rows": len(self._rows)}

    def prompts(self) -> list[Prompt]:
        return distinct_ids([self._prompt(i, row, asked_of(row)) for i, row in enumerate(self._rows)])

    def demonstrations(self) -> list[Demonstration]:
        """Raises RecipeError if a row has no closed thinking, or no row is suitable."""
        return self._suitable(self._demonstration, "demonstration")

    def pairs(self) -> list[PreferencePair]:
        """Raises RecipeError if a row is no pair, or no row is suitable."""
        return self._suitable(self._pair, "pair")

    def _suitable(self, read: Callable[[int, LocatedRow], R | None], what: str) -> list[R]:
        """Every row that can be trained on; the others are recorded."""
        self._left_out = Reasons()
        told = [read(i, row) for i, row in enumerate(self._rows)]
        found = [one for one in told if one is not None]
        if told and not found:
            reason, where = self._left_out.all[0]
            raise RecipeError(f"no row is suitable as a {what}; this one has {reason}", where, f"give other {what}s")
        prompts = distinct_ids([one.prompt for one in found])
        return [replace(one, prompt=prompt) for one, prompt in zip(found, prompts, strict=True)]

    def findings(self) -> list[str]:
        """Rows that `demonstrations` or `pairs` left out, by reason, with the first such row."""
        return self._left_out.findings()

    def _prompt(self, i: int, row: LocatedRow, asked: PromptTurn) -> Prompt:
        spoken = asked.response is not None or any(not missing(row.get(name)) for name in (*RESPONSES, "thinking"))
        reference, column = gold_of(row, kind_of(row, self._kind), answers=not spoken)
        used = (*asked.columns, *COLUMNS, *((column,) if column else ()), "reference", "prompt", "messages", "question")
        prompt = prompt_of(
            row,
            asked,
            kind=self._kind,
            id=f"{self._name}-{i}",
            source=self._name,
            reference=reference,
            meta=rest_of(row, used),
        )
        return prompt if RESPONSE_POLICY in prompt.meta else replace(prompt, meta={**prompt.meta, **self._policy})

    def _demonstration(self, i: int, row: LocatedRow) -> Demonstration | None:
        """None for an unsuitable row, which is recorded."""
        asked = asked_of(row)
        said = response_of(row, asked.response)
        if said is None:
            fix = "give `thinking` and `answer`, a `response`, or `messages` that end with the assistant's"
            raise row.wrong("the row has no response", fix=fix)
        why = self._unfit(row, said)
        if why:
            self._left_out.add(why, row.where)
            return None
        return Demonstration(self._prompt(i, row, asked), said.thinking, said.answer)

    def _pair(self, i: int, row: LocatedRow) -> PreferencePair | None:
        """None for an unsuitable row, which is recorded."""
        said = ParsedPair(row, self._unfit)
        pair = PreferencePair(self._prompt(i, row, said.asked), said.chosen, said.rejected, said.prefix)
        if why := said.reason or pair.flaw:
            self._left_out.add(why, row.where)
            return None
        return pair

    def _unfit(self, row: LocatedRow, said: ParsedResponse) -> str:
        if self.without_thinking and is_blank(said.thinking) and said.state != "unclosed":
            return "an empty answer" if is_blank(said.answer) else ""
        empty = said.state == "absent" and isinstance(row.get("thinking"), str)  # the column exists but is empty
        if said.state == "closed" or empty:
            return unfit(said.thinking, said.answer, said.irregular)
        fix = "give `thinking` and `answer`, or a `response` of the form <think>...</think> answer"
        if said.state in ("absent", "off"):
            fix += "; or say `thinking: off` if the model is not to think"
        raise row.wrong(f"the response's thinking is {said.state}", fix=fix)


def _policy(given: Any, name: str) -> dict[str, Any]:
    """The meta of rows that do not state a response policy.

    Raises:
        RecipeError: it names something that is no kind of response.
    """
    if given is None:
        return {}
    try:
        return {RESPONSE_POLICY: list(response_kinds(given))}
    except ValueError as error:
        raise RecipeError(f"`{RESPONSE_POLICY}` {error}", f"source {name}", FIX) from None


def jsonl_source(
    path: str, kind: str | None = None, n: int | None = None, response_policy: Sequence[str] | str | None = None
) -> RowSource:
    """Rows of a local file: JSON lines, JSON, CSV, TSV, Parquet or text, plain or gzipped (see docs/rows.md).

    Args:
        kind: prompt kind of rows that do not state one.
        n: use only the first n rows.
        response_policy: kinds of answer that are right for rows that do not state them (see docs/rows.md).
    """
    _counted(n)
    file = existing(Path(path))
    origin = {"file": str(path), "sha256": file_sha256(file), "sha256_of": "file"}
    return RowSource(all_rows(file, n=n), str(path), kind, origin, response_policy)


def _counted(n: Any) -> None:
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise RecipeError(f"n is {n!r}", "options: n", "ask for at least one row, or leave it out")


def hub_source(
    id: str,
    split: str = "train",
    config: str | None = None,
    kind: str | None = None,
    n: int | None = None,
    response_policy: Sequence[str] | str | None = None,
) -> RowSource:
    """Rows of a hub data set, or of a local folder that `datasets` can load."""
    from datasets import load_dataset

    _counted(n)
    try:
        rows = load_dataset(id, config, split=split)
    except Exception as error:  # the library raises many unrelated types for "cannot get it"
        raise NotFoundError(
            f"cannot load data set {id!r}: {error}", fix="check the id and your access, or give a local path"
        ) from error
    chosen = [dict(row) for row in (rows.select(range(min(n, len(rows)))) if n else rows)]
    return RowSource(chosen, id, kind, {"hub": id, "config": config, "split": split}, response_policy)
