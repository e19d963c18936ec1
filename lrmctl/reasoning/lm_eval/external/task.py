"""lm-evaluation-harness tasks, found by name and built with their data, as our tasks.

Randomness in building a task (GPQA shuffles its choices) and in its few-shot examples is pinned: the same documents and
prompts every time, and those that lm-eval itself uses by default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.reasoning.base import ReasoningTask
from lrmctl.reasoning.lm_eval.adapter import pinned_random, quiet
from lrmctl.reasoning.lm_eval.external.grade import regrade
from lrmctl.types import Prompt

FEWSHOT_SEED = 1234
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class ExternalTask(ReasoningTask):
    """An lm-eval task.

    Attributes:
        made: lm-eval's own object, with pinned documents.
        chat: whether prompts are rendered with the chat template.
        multiturn: few-shot examples are turns of a conversation, not one message.
        metric: the score that decides right or wrong, `METRIC` or `METRIC,FILTER`; the first one if None.
    """

    made: Any = None
    chat: bool = True
    multiturn: bool = False
    metric: str | None = None


def lmeval_task(
    name: str,
    num_fewshot: int | None = None,
    include_path: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    chat_template: bool = False,
    fewshot_as_multiturn: bool = False,
    metric: str | None = None,
    run_unsafe_code: bool = False,
) -> ReasoningTask:
    """An lm-eval task, group or tag by its name, or by its YAML file.

    Args:
        num_fewshot: solved examples before the question; the task's own number by default.
        include_path: a folder with more tasks.
        metadata: passed to tasks that accept it.
        chat_template: for log-likelihood tasks; generative ones always use it.
        metric: the score that decides right or wrong, `METRIC` or `METRIC,FILTER`.
        run_unsafe_code: let a task execute generated code on this machine.

    Raises:
        NotFoundError: there is no such task, or its data or packages are missing.
        RecipeError: it cannot run on a reasoning model, or not with these options.
    """
    found = _found(name, include_path, json.dumps(metadata or {}, sort_keys=True))
    build = partial(_task, num_fewshot, chat_template, fewshot_as_multiturn, metric, run_unsafe_code)
    parts = tuple(build(task) for task in found.values())
    if len(parts) == 1:
        return parts[0]
    return _group(f"lmeval:{name}", parts)


def _group(name: str, parts: Sequence[ExternalTask]) -> ReasoningTask:
    def load(limit: int | None) -> list[Prompt]:
        return [prompt for part in parts for prompt in part.load(limit)]

    def grade(_trace: Any) -> Any:
        raise LrmctlError(f"{name} is a group of tasks, which grade for themselves")

    grader = ("lm_eval", version("lm-eval"))
    return ReasoningTask(name, load, "see its tasks", "", "", grade, grader, parts=tuple(parts))


def _found(name: str, include_path: str | None, metadata: str) -> Mapping[str, Any]:
    """lm-eval's task objects by name; all of its YAML files are read only if the name requires it (seconds)."""
    file = Path(name).expanduser().resolve() if name.endswith((".yaml", ".yml")) else None
    if file and not file.is_file():
        raise NotFoundError(f"there is no task file {name}", fix="check the path after `lmeval:`")
    spec = str(file or name)  # absolute: lm-eval uses the working directory
    own = _manager(include_path, metadata, False)
    if file or name in own.all_tasks:
        try:
            return _built(name, own, spec)
        except KeyError:  # a group of tasks that it does not contain itself
            pass
    every = _manager(include_path, metadata, True)
    if not file and name not in every.all_tasks:
        raise NotFoundError(f"lm-eval has no task called {name!r}", fix=did_you_mean(name, every.all_tasks))
    return _built(name, every, spec)


@lru_cache(maxsize=4)
def _manager(include_path: str | None, metadata: str, defaults: bool) -> Any:
    from lm_eval.tasks import TaskManager

    folder = str(Path(include_path).expanduser().resolve()) if include_path else None
    if folder and not Path(folder).is_dir():
        raise NotFoundError(f"there is no folder {include_path}", "include_path", "name a folder with task files")
    with quiet():
        return TaskManager(include_path=folder, include_defaults=defaults, metadata=json.loads(metadata))


def _built(name: str, manager: Any, spec: str) -> Mapping[str, Any]:
    try:
        with quiet(), pinned_random():
            tasks: Mapping[str, Any] = manager.load([spec])["tasks"]
            for task in tasks.values():
                _pin(task)
    except KeyError:
        raise
    except ImportError as error:
        what = f"lm-eval's task {name!r} needs a package: {error}"
        raise NotFoundError(what, fix=f"pip install {error.name}" if error.name else "") from error
    except Exception as error:  # data sets, templates and user functions raise anything
        first = next(iter(str(error).strip().splitlines()), "")
        fix = "its data must be on this machine or on a hub that can be reached; see the task's YAML file"
        raise NotFoundError(
            f"lm-eval's task {name!r} cannot be made: {type(error).__name__}: {first}", fix=fix
        ) from error
    return tasks


def _pin(task: Any) -> None:
    """Keep the documents as they are now: a task may rebuild them, in another order, each time they are requested."""
    pin_documents(task, task.eval_docs)


def pin_documents(task: Any, documents: Any) -> None:
    """Make these the documents that the task is evaluated on."""
    setattr(task, "test_docs" if task.has_test_docs() else "validation_docs", lambda: documents)


def _task(
    num_fewshot: int | None, chat: bool, multiturn: bool, metric: str | None, unsafe: bool, made: Any
) -> ExternalTask:
    name = f"lmeval:{made.get_config('task')}"
    _refuse(name, made, unsafe)
    _set_fewshot(name, made, num_fewshot)
    generated = made.get_config("output_type") == "generate_until"
    prompts = _Prompts(name, made, generated or chat, multiturn)
    data = made.DATASET_PATH or ""
    return ExternalTask(
        name,
        prompts.load,
        license="see the data set's page",
        url=f"https://huggingface.co/datasets/{data}" if _HUB_ID.fullmatch(data) else "",
        split=str(made.get_config("test_split") or made.get_config("validation_split") or ""),
        grade=partial(regrade, name, made, metric, generated),
        grader=("lm_eval", version("lm-eval")),
        provenance=partial(_provenance, made),
        regrades=generated and (made.get_config("repeats") or 1) == 1,
        made=made,
        generated=generated,
        chat=generated or chat,
        multiturn=multiturn,
        metric=metric,
    )


def _refuse(name: str, made: Any, unsafe: bool) -> None:
    if getattr(made, "MULTIMODAL", False):
        raise RecipeError(f"the task {name!r} shows pictures or sound, which no engine of lrmctl takes")
    if getattr(made, "UNSAFE_CODE", False) and not unsafe:
        what = f"the task {name!r} runs what the model writes as a program on this machine"
        raise RecipeError(what, fix="use a machine that may be lost, and say `run_unsafe_code: true`")
    if made.get_config("output_type") == "generate_until" and made.get_config("gen_prefix"):
        what = f"the task {name!r} begins the answer itself (gen_prefix), before the model has thought"
        raise RecipeError(what, fix="take a variant of the task that does not, or copy its YAML file without it")


def _set_fewshot(name: str, made: Any, asked: int | None) -> None:
    own = made.get_config("num_fewshot")
    if asked is not None and own == 0 and asked:
        raise RecipeError(f"the task {name!r} is made without examples", fix="leave `num_fewshot` out")
    made.set_config(key="num_fewshot", value=asked if asked is not None else own or 0)


def _provenance(made: Any) -> dict[str, Any]:
    from lrmctl.data.fetch import rows_sha256

    documents = made.eval_docs
    return {
        "dataset": made.DATASET_PATH,
        "config": made.DATASET_NAME,
        "task_version": made.VERSION,
        "num_fewshot": made.get_config("num_fewshot"),
        "rows": len(documents),
        "sha256": rows_sha256(documents),
        "sha256_of": "rows",
    }


@dataclass(frozen=True)
class _Prompts:
    """The prompts of a task, as built by lm-eval."""

    name: str
    made: Any
    chat: bool
    multiturn: bool

    def load(self, limit: int | None = None) -> list[Prompt]:
        self.made.set_fewshot_seed(FEWSHOT_SEED)  # examples are sampled document by document
        documents = self.made.eval_docs
        count = len(documents) if limit is None else min(limit, len(documents))
        return [self._prompt(i, documents[i]) for i in range(count)]

    def _prompt(self, number: int, doc: Any) -> Prompt:
        id, reference = f"{self.name}/{number}", _target(self.made, doc)
        if self.made.get_config("output_type") == "loglikelihood_rolling":  # the text itself, without any context
            return Prompt.user(id, reference, "reasoning", source=self.name)
        context = self.made.fewshot_context(
            doc,
            num_fewshot=self.made.get_config("num_fewshot"),
            apply_chat_template=self.chat,
            fewshot_as_multiturn=self.multiturn,
            chat_template=_as_messages if self.chat else None,
            gen_prefix=self.made.doc_to_prefix(doc),
        )
        return Prompt(id, _messages(context), "reasoning", source=self.name, reference=reference)


def _as_messages(history: Sequence[Mapping[str, str]], **_: Any) -> Any:
    return tuple({"role": m["role"], "content": m["content"]} for m in history)


def _messages(context: Any) -> tuple[Mapping[str, str], ...]:
    """Messages from a text, from messages, or from one text per choice."""
    if isinstance(context, tuple):
        return context
    texts = context if isinstance(context, list) else [context]
    return ({"role": "user", "content": "\n\n".join(str(text) for text in texts)},)


def _target(made: Any, doc: Any) -> str:
    """The gold answer as text."""
    target = made.doc_to_target(doc)
    if isinstance(target, int) and made.get_config("doc_to_choice") is not None:
        choices = made.doc_to_choice(doc)
        return str(choices[target]) if 0 <= target < len(choices) else str(target)
    return json.dumps(target, ensure_ascii=False) if isinstance(target, list) else str(target)
