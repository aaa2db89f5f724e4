"""Memory that is free, given back to the system: glibc keeps what threads have freed, tens of megabytes after a large body."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def give_back() -> None:
    """Give back what is free, where the allocator can be told to."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # of musl
            ctypes.CDLL(None).malloc_trim(0)
