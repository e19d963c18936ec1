"""One checkpoint's weights in memory, shared by the engines of this process."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, RLock
from typing import Any
from weakref import WeakValueDictionary


class Weights:
    """A model that is loaded once, by whichever thread needs it first.

    Attributes:
        model: None until it is loaded.
        computing: held while computing with the model: one batch at a time.
    """

    _shared: WeakValueDictionary[tuple[object, ...], Weights] = WeakValueDictionary()
    _sharing = Lock()

    def __init__(self) -> None:
        self.model: Any = None
        self.computing = RLock()
        self._loading = Lock()

    @classmethod
    def shared(cls, *key: object) -> Weights:
        """The weights for this key, kept while an engine holds them."""
        with cls._sharing:
            weights = cls._shared.get(key) or cls()
            cls._shared[key] = weights
            return weights

    def load(self, load: Callable[[], Any]) -> Any:
        """The model, loaded on first use."""
        if self.model is None:
            with self._loading:
                if self.model is None:
                    self.model = load()
        return self.model

    def drop(self) -> None:
        """Release the model; it is loaded again when needed."""
        self.model = None
