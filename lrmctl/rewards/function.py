"""A reward without a package: a Python function in a file, named in the recipe as `fn: ./my_reward.py:score`.

The function takes one trace, or a list of traces if its first parameter is called `traces`, or the samples of one
prompt if it is called `group`; it may take `part`, and takes the recipe's options as keyword arguments. It returns a
number, True or False, None (does not apply) or a `Score`; the list forms return a list of these. Checks that do not
execute it are in `recipe.function_ref`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.hooks.specs import Reward
from lrmctl.judges.base import describe
from lrmctl.recipe.function_ref import BATCH, GROUP, FunctionRef, check_function
from lrmctl.recipe.schema.recipes import Component
from lrmctl.rewards.base import make_reward
from lrmctl.rewards.values import as_score
from lrmctl.types import Part, Score, Trace

_loading = threading.Lock()


def make_component(component: Component) -> Reward:
    """The reward of a component, registered or in a file.

    Raises:
        LrmctlError: unknown name or function, options that it does not take, or code that cannot be loaded.
    """
    if component.fn is None:
        return make_reward(str(component.use), component.options)
    check_function(component.fn, component.options, part=component.part)
    return FunctionReward(component.fn, component.options)


class FunctionReward(Reward):
    """A function as a reward.

    Args:
        fn: `file.py:function`.
        options: its keyword arguments.

    Raises:
        NotFoundError: no such file, or no such function in it.
        RecipeError: the file cannot be run, or the name is not of a function.

    A function may declare its range like other rewards: `score.range = (0.0, 1.0)`.
    """

    def __init__(self, fn: str, options: Mapping[str, Any] | None = None) -> None:
        ref = FunctionRef.parse(fn)
        self._call = function_of(ref)
        self._options = dict(options or {})
        parameters = list(inspect.signature(self._call).parameters)
        self.of_group = parameters[:1] == [GROUP]
        self._batch = self.of_group or parameters[:1] == [BATCH]
        self._asks_part = "part" in parameters
        if (bounds := getattr(self._call, "range", None)) is not None:
            self.range = tuple(bounds)

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        """One score per trace. An exception of the single-trace form fails that trace alone.

        Raises:
            TypeError: the list form returned something other than a list.
        """
        words = {**self._options, "part": part} if self._asks_part else self._options
        if self._batch:
            return [as_score(value) for value in _listed(self._call(list(traces), **words))]
        return [self._one(trace, words) for trace in traces]

    def _one(self, trace: Trace, words: Mapping[str, Any]) -> Score:
        try:
            return as_score(self._call(trace, **words))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a function may also exit, or be cancelled
            return Score(error=describe(error))


def _listed(returned: Any) -> list[Any]:
    """The return value of the list form as a list: any iterable except text and mappings; others check its length."""
    if inspect.iscoroutine(returned):
        returned.close()
        raise TypeError("returned a coroutine: nobody awaits a reward, so make it a plain function")
    if isinstance(returned, (str, bytes, Mapping)) or not hasattr(returned, "__iter__") or not _iterable(returned):
        what = f"returned a {type(returned).__name__}, not a list: a function of `{BATCH}` returns one value for each"
        raise TypeError(what)
    return list(returned)


def _iterable(returned: Any) -> bool:
    """Whether it can be iterated: a zero-dimensional array has the method but cannot."""
    return getattr(returned, "shape", None) != ()


def function_of(ref: FunctionRef) -> Callable[..., Any]:
    """The function itself; its file is executed for this.

    Raises:
        NotFoundError: no such file, or no such function in it.
        RecipeError: the file cannot be run, or the name is not of a function.
    """
    found = getattr(_module(ref.file), ref.name, None)
    if found is None:
        raise NotFoundError(f"there is no function {ref.name!r}", str(ref.file))
    if not callable(found) or isinstance(found, type):
        raise RecipeError(f"{ref.name} is a {type(found).__name__}, not a function", str(ref.file))
    return found  # type: ignore[no-any-return]  # callable() says no more


def _module(file: Path) -> ModuleType:
    """The file as a module, executed once per process and content; it may import its neighbours."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NotFoundError(f"there is no file {file} that can be read: {error.strerror}") from None
    name = f"lrmctl_fn_{file.stem}_{hashlib.sha256(str(file.resolve()).encode() + content).hexdigest()[:12]}"
    with _loading:
        return sys.modules.get(name) or _load(name, file)


def _load(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise RecipeError("is not a Python file", str(file))
    if (folder := str(file.resolve().parent)) not in sys.path:
        sys.path.append(folder)  # last: a neighbour must not hide a package
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        what = f"cannot be loaded: {type(error).__name__}: {error}"
        raise RecipeError(what, _place(error, file), "the file is run once, when the reward is made") from error
    return module


def _place(error: BaseException, file: Path) -> str:
    """`file:line` of the last executed line of the file."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    return f"{file}:{lines[-1]}" if lines else str(file)
