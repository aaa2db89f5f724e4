"""An image prepared for a network, with the digest under which its results are cached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mloscope.app.cache.content_keys import digest


@dataclass(frozen=True)
class NetworkInput:
    """An image prepared for a network."""

    values: np.ndarray
    """float32 (row, column, channel)"""
    digest: str

    @classmethod
    def of(cls, values: np.ndarray) -> NetworkInput:
        return cls(values, digest(repr(values.shape), values.tobytes()))
