"""What a place for results must do: this process's memory and Redis do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Store(Protocol):
    """Where results are kept. Every method is thread-safe and none raises because the store is unwell."""

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values that are there, by key; what is not there is absent."""
        ...

    def has_all(self, keys: Sequence[str]) -> bool:
        """Whether all the values are there; it counts as using them."""
        ...

    def set_many(self, values: Mapping[str, bytes]) -> None:
        """Keep the values if there is room."""
        ...

    def claim(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that this process may now compute; the others are being computed by another
        process.

        A store that no other process sees, or that cannot be reached, grants all."""
        ...

    def release(self, keys: Sequence[str]) -> None:
        """Give up claims, after the values were set or the computation failed."""
        ...

    def status(self) -> dict[str, Any]:
        """JSON-able: ``kind``, ``available`` and what the kind of store knows of itself."""
        ...
