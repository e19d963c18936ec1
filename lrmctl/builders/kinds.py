"""The builders: what each puts before a prompt while it is sampled, and what else decides about a sample.

All share one core (`lrmctl.builders.core`): draw, judge or reward, keep, rows. To add one, add its options to
`lrmctl.recipe.schema.build` and a class here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrmctl.builders.base import Builder
from lrmctl.builders.intervene import Intervene
from lrmctl.builders.opinions import Opinion
from lrmctl.builders.tasks import (
    Task,
    completions,
    completions_file,
    goes_on_from_text,
    plain_task,
    text_of_option,
    wanted,
    with_instruction,
    with_messages,
    with_system,
)
from lrmctl.data.asked import About, check_text, needs_demonstrations
from lrmctl.data.sources import load_demonstrations
from lrmctl.engines.base import Engine
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema import build as options
from lrmctl.recipe.schema.recipes import DataRecipe
from lrmctl.rows.traces import TraceRow
from lrmctl.types import Prompt, Trace

_VERDICT = re.compile(r"verdict:\W*(safe|unsafe)\W*", re.IGNORECASE)
_SAYS = {"safe": True, "unsafe": False}


class Distill(Builder):
    """See `lrmctl.recipe.schema.build.Distill`."""

    def __init__(self, recipe: DataRecipe) -> None:
        super().__init__(recipe)
        self._text = text_of_option(self.options.text, self.options.file)

    def task(self, prompt: Prompt) -> Task:
        text = self._of(prompt) if prompt.kind in options.kinds_of(self.options.when) else ""
        if not text:
            return plain_task(prompt)
        system = self.options.place == "system"
        return Task(with_system(prompt, text) if system else with_instruction(prompt, f"{text}\n\n"), prompt)

    def _of(self, prompt: Prompt) -> str:
        if column := self.options.column:
            return str(prompt.meta.get(column) or "")
        by_category = self.options.by_category
        if not by_category:
            return self._text
        stated = prompt.meta.get(self.options.category)
        named = stated if isinstance(stated, list | tuple) else [stated]
        return "\n\n".join(by_category[str(one)] for one in named if str(one) in by_category)


class Refuse(Builder):
    """See `lrmctl.recipe.schema.build.Refuse`."""

    def task(self, prompt: Prompt) -> Task:
        if prompt.kind not in options.kinds_of(self.options.when):
            return plain_task(prompt)
        return Task(with_instruction(prompt, self.options.instruction), prompt)


class Correct(Builder):
    """See `lrmctl.recipe.schema.build.Correct`."""

    def tasks(self) -> list[Task]:
        found = wanted(completions(self.options.of), self.options.only, self.left_out)
        return [task for one in found if (task := self._task(one)) is not None]

    def _task(self, one: TraceRow) -> Task | None:
        trace = one.trace
        shown = trace.answer
        if self.options.show == "whole":
            shown = f"{trace.thinking}\n\n{trace.answer}"
        if not shown.strip() or trace.finish_reason == "error":
            self.left_out["no text to correct"] += 1
            return None
        asked = with_messages(trace.prompt, ("assistant", shown.strip()), ("user", self.options.request))
        return Task(asked, trace.prompt)


class Critique(Builder):
    """See `lrmctl.recipe.schema.build.Critique`."""

    def __init__(self, recipe: DataRecipe) -> None:
        super().__init__(recipe)
        self._specification = text_of_option(self.options.text, self.options.file)

    def tasks(self) -> list[Task]:
        return [task for one in completions(self.options.of) if (task := self._task(one)) is not None]

    def _task(self, one: TraceRow) -> Task | None:
        trace, label = one.trace, None
        if not trace.answer.strip():
            self.left_out["no answer to criticise"] += 1
            return None
        if self.options.label is not None:
            label = _SAYS.get(str(one.row.get(self.options.label)).strip().lower())
            if label is None:
                fix = "give each row `safe` or `unsafe` there"
                raise one.row.wrong("says neither safe nor unsafe", self.options.label, fix)
        asked = "\n\n".join(m["content"] for m in trace.prompt.messages)
        parts = (("Specification", self._specification), ("Prompt", asked), ("Reply", trace.answer.strip()))
        text = "\n\n".join([self.options.instruction, *(f"{name}:\n{content}" for name, content in parts)])
        prompt = Prompt.user(
            f"{trace.prompt.id}/critique-{one.row.number}", text, "reasoning", source=trace.prompt.source
        )
        return Task(prompt, prompt, trace, label)

    def fault(self, task: Task, sample: Trace, opinion: Opinion) -> str:
        said, right = verdict_of(sample.answer), right_verdict(task, opinion)
        if fault := super().fault(task, sample, opinion):
            return fault
        if said is None:
            return "no verdict in the critique"
        if right is None:
            return "the judge failed"
        return "" if said is right else "a wrong verdict"

    def meta(self, task: Task, sample: Trace) -> dict[str, Any]:
        assert task.subject is not None
        said = verdict_of(sample.answer)
        return {"verdict": "safe" if said else "unsafe", "about": task.subject.prompt.id}


def verdict_of(critique: str) -> bool | None:
    """Whether a critique's last line calls the reply safe; None if it gives no verdict."""
    lines = [line for line in critique.strip().splitlines() if line.strip()]
    found = _VERDICT.search(lines[-1]) if lines else None
    return _SAYS[found[1].lower()] if found else None


def right_verdict(task: Task, opinion: Opinion) -> bool | None:
    """Whether the reply is safe, by the file's label or else the judge; None if the judge failed."""
    if task.label is not None:
        return task.label
    outcome = opinion.verdicts[0].outcome if opinion.verdicts and opinion.verdicts[0] else "failed"
    return {"safe": True, "unsafe": False}.get(outcome)


class Backtrack(Builder):
    """See `lrmctl.recipe.schema.build.Backtrack`."""

    def tasks(self) -> list[Task]:
        from lrmctl.engines.decoding.thoughts import open_thoughts

        found = open_thoughts(self._prefix(whole=True))
        tasks = []
        for task in super().tasks():
            if found.of(task.asked) is None:
                self.left_out["no thought to begin with"] += 1
            else:
                tasks.append(task)
        return tasks

    def engine(self, engine: Engine, tasks: Sequence[Task], folder: Path) -> Engine:
        """An engine that begins each thought as given, and turns it back if the recipe gives the words.

        Raises:
            RecipeError: the engine renders prompts itself, and so cannot go on from text.
        """
        from lrmctl.engines.decoding.engine import steered
        from lrmctl.engines.decoding.thoughts import beginning, open_thoughts
        from lrmctl.recipe.schema.decoding import Prefix
        from lrmctl.runs.jsonl import write_jsonl

        goes_on_from_text(engine, "a backtrack")
        how = self._prefix()
        if self.options.turn is None:
            return steered(engine, how)
        found, rows = open_thoughts(how), []
        for task in tasks:
            thought = found.of(task.asked)
            assert thought is not None  # `tasks` left others out
            start = beginning(thought, how, engine.tokenizer).rstrip("\n")
            rows.append({"prompt": task.asked.text, "thought": start + self.options.turn, "given": start})
        write_jsonl(folder / "data" / "thoughts.jsonl", rows)
        return steered(engine, Prefix(thoughts=str(folder / "data" / "thoughts.jsonl")))

    def meta(self, task: Task, sample: Trace) -> dict[str, Any]:  # noqa: ARG002
        return {"backtracked": True}

    def _prefix(self, *, whole: bool = False) -> Any:
        from lrmctl.recipe.schema.decoding import Prefix

        o = self.options
        length = {} if whole else {"tokens": o.tokens, "share": o.share}
        thoughts = str(completions_file(o.thoughts, "build.thoughts")) if o.thoughts.startswith("run:") else o.thoughts
        return Prefix(thoughts=thoughts, only=o.only, **length)


class PassRate(Builder):
    """See `lrmctl.recipe.schema.build.PassRate`."""

    writes = "rates"

    def fault(self, task: Task, sample: Trace, opinion: Opinion) -> str:  # noqa: ARG002
        return ""


class Rewrite(Builder):
    """See `lrmctl.recipe.schema.build.Rewrite`."""

    def __init__(self, recipe: DataRecipe) -> None:
        super().__init__(recipe)
        check_text(self.options.text, "build.text")

    def tasks(self) -> list[Task]:
        rows = load_demonstrations(self.recipe.prompts, seed=self.recipe.seed)
        abouts = [About(one.prompt, one.thinking, one.answer) for one in rows]
        return [Task(about.asked(self.options.text), about.prompt) for about in abouts]

    def meta(self, task: Task, sample: Trace) -> dict[str, Any]:  # noqa: ARG002
        return {"rewritten": True}


class Annotate(Builder):
    """See `lrmctl.recipe.schema.build.Annotate`."""

    writes = "annotated"

    def __init__(self, recipe: DataRecipe) -> None:
        super().__init__(recipe)
        check_text(self.options.text, "build.text")
        if needs_demonstrations(self.options.text):
            what = "prompts have no `{thinking}` and no `{answer}`"
            raise RecipeError(what, "build.text", "take them out, or use the builder `rewrite`")

    def task(self, prompt: Prompt) -> Task:
        return Task(About(prompt).asked(self.options.text), prompt)

    def meta(self, task: Task, sample: Trace) -> dict[str, Any]:  # noqa: ARG002
        return {self.options.column: sample.answer.strip()}


_BUILDERS: dict[str, type[Builder]] = {
    "select": Builder,
    "distill": Distill,
    "refuse": Refuse,
    "correct": Correct,
    "critique": Critique,
    "backtrack": Backtrack,
    "intervene": Intervene,
    "pass-rate": PassRate,
    "rewrite": Rewrite,
    "annotate": Annotate,
}


def make_builder(recipe: DataRecipe) -> Builder:
    """The builder that a recipe names.

    Raises:
        LrmctlError: a file that it names cannot be read.
    """
    return _BUILDERS[recipe.build.use](recipe)
