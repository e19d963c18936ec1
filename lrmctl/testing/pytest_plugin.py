"""Fixtures for the tests of plugins. pytest loads this wherever lrmctl is installed, so it imports lrmctl on use only.

`pytest -p no:lrmctl.testing.pytest_plugin` leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lrmctl.testing.client import RewardClient
    from lrmctl.types import Trace


@pytest.fixture
def lrmctl_traces() -> dict[str, Trace]:
    """Traces in every thinking format and state, by `format/state`: see `lrmctl.testing.named_traces`."""
    from lrmctl.testing.traces import named_traces

    return named_traces()


@pytest.fixture(scope="session")
def lrmctl_tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny reasoning model (`lab:tiny`) with its tokenizer; a copy for all tests of a session.

    The test is skipped without torch and transformers.
    """
    import shutil
    from importlib.util import find_spec

    if missing := [package for package in ("torch", "transformers") if find_spec(package) is None]:
        pytest.skip(f"{' and '.join(missing)} is not installed")
    from lrmctl.models.shipped import base_path

    return Path(shutil.copytree(base_path(), tmp_path_factory.mktemp("lrmctl") / "tiny"))


@pytest.fixture
def lrmctl_reward_client() -> Callable[..., AbstractContextManager[RewardClient]]:
    """A reward behind the real reward service: `with lrmctl_reward_client("brevity") as client: client.score(traces)`.

    See `lrmctl.testing.reward_client`.
    """
    from lrmctl.testing.client import reward_client

    return reward_client
