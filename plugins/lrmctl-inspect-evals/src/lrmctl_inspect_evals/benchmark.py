"""The prompts of an Inspect task. Its solver (system prompts, tools, templates) is not run, nor its scorer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from typing import Any, cast

from lrmctl import Kind, Prompt
from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.hooks import Benchmark

KINDS = ("harmful", "benign")
ROLES = ("system", "user", "assistant")


class InspectTask(Benchmark):
    """The prompts of a task of Inspect Evals, each with the task's id and metadata.

    The first use may download the data, as the task does; INSPECT_EVALS_CACHE_DIR is where Inspect Evals keeps it.

    Args:
        task: a task of Inspect Evals (`strong_reject`; `MODULE:TASK` where the two have different names), or one of
            yours (`my_package.evals:my_task`).
        kind: of all its prompts: `harmful` or `benign`.
        args: arguments of the task, e.g. `{subset: safe}`.
        license: of the prompts; Inspect Evals does not state it.

    Raises:
        ValueError: a kind that is none.
    """

    def __init__(
        self, task: str, kind: str, args: Mapping[str, Any] | None = None, license: str = "not stated"
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind is {' or '.join(KINDS)}, not {kind!r}")
        self._task, self._kind, self._args = task, cast(Kind, kind), dict(args or {})
        self.name, self.kinds, self.license = f"inspect/{task}", (self._kind,), license
        self.split = ",".join(f"{key}={value}" for key, value in sorted(self._args.items()))
        self.url = "https://ukgovernmentbeis.github.io/inspect_evals/"

    def load(self) -> Sequence[Prompt]:
        """The prompts.

        Raises:
            NotFoundError: there is no such task, or its data cannot be had.
            RecipeError: the task does not take the arguments, or its samples are no plain conversations.
        """
        ids = Counter[str]()
        prompts = []
        for i, sample in enumerate(self._made.dataset, 1):
            id = f"{self.name}/{i if sample.id is None else sample.id}"
            ids[id] += 1
            told = {
                key: value for key, value in (sample.metadata or {}).items() if isinstance(value, str | int | float)
            }
            unique = id if ids[id] == 1 else f"{id}-{ids[id]}"
            prompts.append(Prompt(unique, self._messages(sample, i), self._kind, source=self.name, meta=told))
        return prompts

    def provenance(self) -> Mapping[str, Any]:
        made = self._made
        return {
            "inspect-evals": version("inspect-evals"),
            "task": self._task,
            "task_version": str(made.version),
            "args": self._args,
            "dataset": made.dataset.location or made.dataset.name or "",
            "prompts": len(made.dataset),
        }

    def _messages(self, sample: Any, number: int) -> tuple[Mapping[str, str], ...]:
        """A sample's input as a conversation that ends with the user.

        Raises:
            RecipeError: it needs more than text to be asked.
        """
        where = f"sample {number} of {self._task}"
        if sample.choices or sample.sandbox or sample.files:
            what = "has choices, files or a sandbox, and only plain prompts are asked here"
            raise RecipeError(what, where, "run this task with `inspect eval`")
        if isinstance(sample.input, str):
            return ({"role": "user", "content": sample.input},)
        messages = tuple({"role": str(m.role), "content": m.text} for m in sample.input)
        if not messages or messages[-1]["role"] != "user" or any(m["role"] not in ROLES for m in messages):
            raise RecipeError("is no conversation that ends with the user", where, "run this task with `inspect eval`")
        if any(not isinstance(m.content, str) for m in sample.input):
            raise RecipeError("has messages that are not only text", where, "run this task with `inspect eval`")
        return messages

    @cached_property
    def _made(self) -> Any:
        """The task with its data.

        Raises:
            NotFoundError, RecipeError: as `load`.
        """
        module, _, function = self._task.partition(":")
        path = module if "." in module else f"inspect_evals.{module}"
        try:
            make = getattr(import_module(path), function or module.rpartition(".")[2])
        except (ImportError, AttributeError) as error:
            fix = "name a task of https://ukgovernmentbeis.github.io/inspect_evals/, or `package.module:function`"
            raise NotFoundError(f"there is no Inspect task {self._task!r}: {error}", "task", fix) from error
        try:
            return make(**self._args)
        except (TypeError, ValueError) as error:
            raise RecipeError(f"the task {self._task!r} does not take these arguments: {error}", "args") from error
        except Exception as error:  # whatever a library raises that cannot download
            what = f"the data of the task {self._task!r} cannot be had: {type(error).__name__}: {error}"
            fix = "let the task download it once where there is a network, and copy INSPECT_EVALS_CACHE_DIR"
            raise NotFoundError(what, "task", fix) from error
