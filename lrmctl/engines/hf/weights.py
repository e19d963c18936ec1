"""One checkpoint's weights in memory, for all engines of this process that share them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, RLock
from typing import Any
from weakref import WeakValueDictionary


class Weights:
    """A model that is loaded once, however many threads want it.

    Attributes:
        model: None as long as it is not loaded.
        computing: held by whoever computes with it: one batch at a time.
    """

    _shared: WeakValueDictionary[tuple[object, ...], Weights] = WeakValueDictionary()
    _sharing = Lock()

    def __init__(self) -> None:
        self.model: Any = None
        self.computing = RLock()
        self._loading = Lock()

    @classmethod
    def shared(cls, *key: object) -> Weights:
        """The weights of this key, as long as an engine holds them."""
        with cls._sharing:
            weights = cls._shared.get(key) or cls()
            cls._shared[key] = weights
            return weights

    def load(self, load: Callable[[], Any]) -> Any:
        """The model; loaded by the first who asks."""
        if self.model is None:
            with self._loading:
                if self.model is None:
                    self.model = load()
        return self.model

    def drop(self) -> None:
        """Let go of the model; it is loaded again when it is needed."""
        self.model = None
