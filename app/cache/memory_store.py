"""Results in this process's memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

_ENTRY_OVERHEAD_BYTES = 250
"""What an entry costs beyond the bytes of its key and value: two object headers, a dictionary slot and its
links."""


class MemoryStore:
    """The most recently used values of this process, within a budget of bytes, keys and bookkeeping
    counted."""

    def __init__(self, budget_bytes: int) -> None:
        if budget_bytes < 0:
            raise ValueError(f"The budget of a memory store is {budget_bytes} bytes; it must not be negative.")
        self.budget_bytes = budget_bytes
        self._values: OrderedDict[str, bytes] = OrderedDict()
        self._used_bytes = 0
        self._lock = threading.Lock()

    @staticmethod
    def _cost(key: str, value: bytes) -> int:
        return len(key) + len(value) + _ENTRY_OVERHEAD_BYTES

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        with self._lock:
            found = {key: self._values[key] for key in keys if key in self._values}
            for key in found:
                self._values.move_to_end(key)
        return found

    def has_all(self, keys: Sequence[str]) -> bool:
        return len(self.get_many(keys)) == len(set(keys))

    def set_many(self, values: Mapping[str, bytes]) -> None:
        with self._lock:
            for key, value in values.items():
                replaced = self._values.pop(key, None)
                if replaced is not None:
                    self._used_bytes -= self._cost(key, replaced)
                cost = self._cost(key, value)
                if cost > self.budget_bytes:
                    continue  # it would push everything else out and still not fit
                self._values[key] = bytes(value)
                self._used_bytes += cost
                while self._used_bytes > self.budget_bytes:
                    oldest, dropped = self._values.popitem(last=False)
                    self._used_bytes -= self._cost(oldest, dropped)

    def claim(self, keys: Sequence[str]) -> frozenset[str]:
        return frozenset(keys)

    def release(self, keys: Sequence[str]) -> None:
        pass

    def status(self) -> dict[str, Any]:
        with self._lock:
            return {
                "kind": "memory",
                "available": True,
                "entries": len(self._values),
                "used_bytes": self._used_bytes,
                "budget_bytes": self.budget_bytes,
            }
