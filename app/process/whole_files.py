"""Files that are replaced as a whole, so that no reader sees half of one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def temporary(path: Path) -> Path:
    """A name beside the path that no other process uses."""
    return path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def write_file(path: Path, data: bytes, private: bool = False) -> None:
    """Replace a file as a whole; a reader sees the old content or the new one. ``private``: only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = temporary(path)
    try:
        made.touch(0o600 if private else 0o666)
        made.write_bytes(data)
        os.replace(made, path)
    finally:
        made.unlink(missing_ok=True)
