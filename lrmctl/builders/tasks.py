"""What a builder draws: the prompt that the model is given, and the prompt of the row that comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lrmctl.engines.base import Engine
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.rows.traces import TraceRow, in_data_order, read_traces
from lrmctl.runs.folder import eval_folder
from lrmctl.runs.names import named_run, runs_folder
from lrmctl.types import Prompt, Trace


@dataclass(frozen=True)
class Task:
    """One prompt to draw samples for.

    Attributes:
        asked: the prompt that the model is given.
        prompt: the row's prompt, which judges and rewards see.
        subject: what judges judge in place of the samples (a critique's answer).
        label: whether the subject is safe, if a file says so.
    """

    asked: Prompt
    prompt: Prompt
    subject: Trace | None = None
    label: bool | None = None

    def judged(self, sample: Trace) -> Trace:
        """The trace that judges and rewards see."""
        return self.subject or replace(sample, prompt=self.prompt)


def plain_task(prompt: Prompt) -> Task:
    """Sample the row's own prompt."""
    return Task(prompt, prompt)


def with_system(prompt: Prompt, text: str) -> Prompt:
    """The prompt after a system message; its own system message follows in the same message."""
    messages = [dict(message) for message in prompt.messages]
    if messages[0]["role"] == "system":
        messages[0] = {"role": "system", "content": f"{text}\n\n{messages[0]['content']}"}
    else:
        messages.insert(0, {"role": "system", "content": text})
    return replace(prompt, messages=tuple(messages))


def with_instruction(prompt: Prompt, text: str) -> Prompt:
    """The prompt with a text directly before its last message."""
    *earlier, last = prompt.messages
    return replace(prompt, messages=(*earlier, {**last, "content": text + last["content"]}))


def with_messages(prompt: Prompt, *messages: tuple[str, str]) -> Prompt:
    """The prompt followed by more messages, each a role and a text."""
    more = ({"role": role, "content": content} for role, content in messages)
    return replace(prompt, messages=(*prompt.messages, *more))


def completions_file(named: str, key: str = "build.of") -> Path:
    """The file of completions that `build.of` or `build.thoughts` names.

    Args:
        named: `run:NAME`, `run:NAME@VARIANT`, a run's folder, or a file.
        key: the recipe's key, for the error.

    Raises:
        NotFoundError: there is none.
    """
    if not named.startswith("run:"):
        path, variant = Path(named).expanduser(), ""
        if path.is_file():
            return path
    else:
        run, _, variant = named.partition("@")
        path = runs_folder() / named_run(run)
    files: list[Path] = [eval_folder(path, variant) / "rows.jsonl"]
    files += [] if variant else [path / "rollouts.jsonl", path / "rows.jsonl"]
    for file in files:
        if file.is_file():
            return file
    what = f"there are no completions of {named!r}"
    raise NotFoundError(what, key, "evaluate the run first with `lrmctl eval`, or name a file")


def completions(named: str) -> list[TraceRow]:
    """Every completion that `build.of` names, rollouts in the order of the data; a row without a kind is harmful.

    Raises:
        NotFoundError: there is no such run or file.
        RecipeError: a row is no completion, with its line.
    """
    return in_data_order(read_traces(completions_file(named), kind="harmful"))


def wanted(rows: Iterable[TraceRow], only: str, left_out: Counter[str]) -> Iterator[TraceRow]:
    """With `only: unsafe` the rows that are not judged otherwise; `left_out` counts the others."""
    for one in rows:
        if only == "unsafe" and one.row.get("outcome", "unsafe") != "unsafe":
            left_out["not judged unsafe"] += 1
        else:
            yield one


def goes_on_from_text(engine: Engine, what: str) -> None:
    """Check that an engine goes on from text.

    Args:
        what: what needs it, for the error.

    Raises:
        RecipeError: the engine renders prompts itself, and so cannot.
    """
    if engine.tokenizer is None:
        fix = "take hf, vllm, or openai with `api: completions` and a `tokenizer:`"
        raise RecipeError(f"{what} goes on from text, and this engine renders the prompts by itself", "engine", fix)


def text_of_option(text: str | None, file: str | None) -> str:
    """The text of an option that may be in a file.

    Raises:
        LrmctlError: the file cannot be read, or is empty.
    """
    if file is None:
        return text or ""
    try:
        found = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        fix = "name a text file, relative to the recipe"
        raise LrmctlError(f"the text cannot be read: {error}", "build.file", fix) from error
    if not found:
        raise LrmctlError("the file is empty", f"build.file: {file}", "write the text into it")
    return found
