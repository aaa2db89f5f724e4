"""Keras and TensorFlow, imported when a test first uses them: that takes 5 s and 500 MB, and of two processes that share the
tests one needs neither."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest


class Deferred:
    """A module that is imported when it is first asked for something."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_") and attribute != "__version__":  # pytest asks of whatever the tests' modules hold
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)


keras: Any = Deferred("keras")
layers: Any = Deferred("keras.layers")
tensorflow: Any = Deferred("tensorflow")

needs_tensorflow = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("tensorflow", "keras")),
    reason="TensorFlow is not installed: make test does it",
)
