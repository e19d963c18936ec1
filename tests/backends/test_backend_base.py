"""A backend of a plugin has the defaults of the base class, whether it derives from it or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrmctl.backends.base import Backend, make_backend
from lrmctl.errors import NotFoundError, PluginError
from lrmctl.hooks.adapt import adapted_to


class Alike:
    """Has what every backend needs, and one thing more; derives from nothing."""

    name = "alike"

    def plan(self, job: Any) -> str:
        return f"plan of {job}"

    def launch(self, *_: Any) -> Path:
        return Path("model")

    def ready(self) -> None:
        raise NotFoundError("it is not installed")


def adapted_backend(made: Any) -> Backend:
    backend: Backend = adapted_to(Backend, ("plan", "launch"), made, "backend")
    return backend


def test_what_a_backend_lacks_is_the_default_and_what_it_has_is_its_own() -> None:
    backend = adapted_backend(Alike())
    assert isinstance(backend, Backend)
    assert (backend.name, backend.plan("job")) == ("alike", "plan of job")
    assert backend.check(None) == ()  # type: ignore[arg-type]
    assert (backend.checkpoint(Path()), backend.versions()) == (None, {})
    with pytest.raises(NotFoundError):
        backend.ready()


def test_one_that_derives_from_the_base_is_itself() -> None:
    backend = make_backend("openrlhf")
    assert adapted_backend(backend) is backend
    assert type(backend).__mro__[1] is Backend


def test_one_that_can_do_nothing_is_refused() -> None:
    with pytest.raises(PluginError, match="a backend has a method `plan` or `launch`"):
        adapted_backend(object())
