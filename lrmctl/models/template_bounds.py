"""Resource limits for chat templates, which are untrusted code from a model that runs in this process.

jinja's sandbox restricts access and bounds `range`, but neither nested loops nor the size of values. Steps are counted
with `sys.settrace` on the compiled template; operations that build large values in one step are detected in a trial run
before the first use, with the sandbox's operators and calls intercepted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import FrameType
from typing import Any

from lrmctl.errors import LrmctlError

MOST_STEPS = 1_000_000
"""Most executed lines of the compiled template; a conversation of a thousand turns takes about ten thousand."""
_OWN_LENGTH = 1_000_000
"""Most characters that a template may add to a conversation."""
_FIX = "correct chat_template.jinja of the model: it writes a conversation and need not compute"
_COMPILED = "<template>"


class TemplateBoundsError(LrmctlError, RuntimeError):
    """A chat template exceeds its step or size limit."""


def longest(said: int) -> int:
    """Most characters in a rendered conversation of `said` characters."""
    return _OWN_LENGTH + 8 * said


@contextmanager
def bounded() -> Iterator[None]:
    """Limit the steps of templates rendered inside this context, in this thread.

    Raises:
        TemplateBoundsError: there are too many steps.
    """
    steps = 0

    def step(_frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal steps
        if event == "line":
            steps += 1
            if steps > MOST_STEPS:
                raise TemplateBoundsError(f"it goes on for more than {MOST_STEPS:,} steps", fix=_FIX)
        return step

    def enter(frame: FrameType, _event: str, _arg: Any) -> Any:
        return step if frame.f_code.co_filename == _COMPILED else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)


def check_bounds(tokenizer: Any, given: Mapping[str, Any]) -> None:
    """Try a template once per process before its first use.

    Raises:
        TemplateBoundsError: it builds something far larger than a conversation.
    """
    template = tokenizer.chat_template
    for source in template.values() if isinstance(template, Mapping) else [template]:
        words = tuple(sorted((k, v) for k, v in given.items() if isinstance(v, (str, bool, int)) and k != "tokenize"))
        if why := _excess(str(source), words):
            raise TemplateBoundsError(
                f"the chat template builds too much: {why}", str(getattr(tokenizer, "name_or_path", "")), _FIX
            )


@lru_cache(maxsize=64)
def _excess(source: str, given: tuple[tuple[str, Any], ...]) -> str:
    """Why the template exceeds the limits; empty if it does not, or cannot be tried."""
    messages = [{"role": role, "content": "a text"} for role in ("user", "assistant", "user")]
    try:
        template = _watched(source)
        with bounded():
            template.render(messages=messages, **{"bos_token": "", "eos_token": "", **dict(given)})
    except TemplateBoundsError as error:
        return error.what
    except Exception:  # other errors are reported when the template is used
        return ""
    return ""


def _watched(source: str) -> Any:
    """Compile the template as transformers does, in a sandbox that refuses large values."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from transformers.utils import chat_template_utils

    class WatchedTemplate(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(["*", "**", "%"])

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            _refuse_large(operator, left, right)
            return super().call_binop(context, operator, left, right)

        def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
            for value in (*args, *kwargs.values()):
                _refuse_number(value)
            return super().call(context, obj, *args, **kwargs)

    # compile an empty template, because jinja evaluates constants at compile time
    own = chat_template_utils._compile_jinja_template("").environment
    watched = WatchedTemplate(trim_blocks=True, lstrip_blocks=True)
    watched.extensions, watched.filters, watched.globals = own.extensions, dict(own.filters), own.globals
    for name in ("center", "indent", "truncate", "wordwrap"):
        watched.filters[name] = _with_small_numbers(watched.filters[name])
    return watched.from_string(source)


def _with_small_numbers(call: Any) -> Any:
    def checked(*args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            _refuse_number(value)
        return call(*args, **kwargs)

    for mark in ("jinja_pass_arg",):
        if hasattr(call, mark):
            setattr(checked, mark, getattr(call, mark))
    return checked


def _refuse_number(value: Any) -> None:
    if isinstance(value, int) and abs(value) > _OWN_LENGTH:
        raise TemplateBoundsError(f"it asks for {value:,} of something")


def _refuse_large(operator: str, left: Any, right: Any) -> None:
    for many, times in ((left, right), (right, left)):
        repeated = operator == "*" and isinstance(many, (str, list, tuple)) and isinstance(times, int)
        if repeated and len(many) * times > _OWN_LENGTH:
            raise TemplateBoundsError(f"it repeats something {times:,} times")
    if operator == "**" and isinstance(right, int) and abs(right) > 64:
        raise TemplateBoundsError(f"it raises a number to the power {right:,}")
    if operator == "*" and all(isinstance(one, int) and one.bit_length() > 10_000 for one in (left, right)):
        raise TemplateBoundsError("it multiplies numbers of thousands of digits")
    if operator == "%" and isinstance(left, str) and any(len(word) > 6 for word in _digits(left)):
        raise TemplateBoundsError("it pads a text to millions of characters")


def _digits(text: str) -> list[str]:
    return "".join(c if c.isdigit() else " " for c in text).split()
