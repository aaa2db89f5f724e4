"""An image as a network takes it, with the digest under which results for it are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mloscope.app.cache.content_keys import digest


@dataclass(frozen=True)
class NetworkInput:
    """An image as a network takes it."""

    values: np.ndarray
    """float32 (row, column, channel)"""
    digest: str

    @classmethod
    def of(cls, values: np.ndarray) -> NetworkInput:
        return cls(values, digest(repr(values.shape), values.tobytes()))
