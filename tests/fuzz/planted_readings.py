"""Readers with a fault each, which the watch must tell."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from mloscope.adaptors.interface import AdaptorError

KEPT = b"digits"


def healthy(path: Path, kind: str, format: str) -> list[str]:
    return []


def refusing(path: Path, kind: str, format: str) -> list[str]:
    return ["It is broken."]


def toiling(path: Path, kind: str, format: str) -> list[str]:
    while True:
        pass


def hanging(path: Path, kind: str, format: str) -> list[str]:
    time.sleep(60)
    return []


def crashing(path: Path, kind: str, format: str) -> list[str]:
    os.abort()


def greedy(path: Path, kind: str, format: str) -> list[str]:
    """Lets go of it before anybody looks."""
    np.ones(300 * 1024 * 1024, np.uint8)
    return []


def greedier(path: Path, kind: str, format: str) -> list[str]:
    """Would go on until the machine has no more."""
    held = []
    for _ in range(1000):
        held.append(np.ones(16 * 1024 * 1024, np.uint8))
        time.sleep(0.01)
    return []


def escaping(path: Path, kind: str, format: str) -> list[str]:
    raise ValueError("nobody expected this")


def raising_its_own(path: Path, kind: str, format: str) -> list[str]:
    raise AdaptorError("This should have been caught where everything is read.")


def touchy(path: Path, kind: str, format: str) -> list[str]:
    """Cannot stand another first word."""
    if not (path / "plain").read_bytes().startswith(KEPT):
        raise ValueError("the first word is another")
    return []
