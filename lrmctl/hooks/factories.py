"""How a plugin registers: the callback of a hook, and factories that are imported when first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, runtime_checkable


class LazyFactory(NamedTuple):
    """A factory that is imported when first needed, so that listing names imports none of them.

    Attributes:
        target: `package.module:attribute`.
        arguments: if there are any, the attribute is called with them and returns the factory.
    """

    target: str
    arguments: tuple[Any, ...] = ()

    def load(self) -> Callable[..., Any]:
        """The factory.

        Raises:
            ImportError, AttributeError: there is nothing of this name.
            TypeError: it cannot be called.
        """
        module, _, attribute = self.target.partition(":")
        factory: Any = attrgetter(attribute)(import_module(module))
        factory = factory(*self.arguments) if self.arguments else factory
        if not callable(factory):
            raise TypeError(f"the factory {self.target} is not callable")
        return factory  # type: ignore[no-any-return]


Factory = Callable[..., Any] | LazyFactory | str
"""The factory that makes the object from a recipe's options; or its import path: `package.module:attribute`."""


@runtime_checkable
class OptionsCheck(Protocol):
    """A factory that can also refuse option values before anything is made."""

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise a RecipeError for values that the factory does not take."""


class Register(Protocol):
    """`register(name, factory, summary=...)`: names are lower-case, words joined by `-` or `_`, `/` or `:` allowed.

    A factory given by import path (`"my_package.rewards:Brevity"`) is imported when a recipe needs it; it needs a
    summary.
    """

    def __call__(self, name: str, factory: Factory, *, summary: str = "") -> None: ...
