"""What every command does with its terminal."""

from __future__ import annotations

import sys


class Terminated(SystemExit):
    """Somebody sent SIGTERM: unwinds like Ctrl-C, so that whatever was started is stopped."""


def write(text: str) -> None:
    """Print at once, with what the terminal's encoding lacks replaced."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()
