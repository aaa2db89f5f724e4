"""How far training is, on a terminal or in a log."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TextIO


class Progress:
    """One line that is drawn again in a terminal; a line every tenth of the way elsewhere."""

    def __init__(
        self, stream: TextIO, total: int, *, what: str = "step", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self._total, self._what, self._clock = stream, total, what, clock
        self._live = stream.isatty()
        self._began = clock()
        self._drawn_at, self._tenth = float("-inf"), -1
        encoding = getattr(stream, "encoding", None) or "ascii"
        try:
            "━─".encode(encoding)
            self._full, self._empty = "━", "─"
        except (UnicodeEncodeError, LookupError):
            self._full, self._empty = "#", "."

    def say(self, sentence: str) -> None:
        """A line that stays."""
        self._stream.write(f"\r\x1b[K{sentence}\n" if self._live else f"{sentence}\n")
        self._stream.flush()

    def update(self, done: int, remark: str = "") -> None:
        now = self._clock()
        left = f"{(now - self._began) / done * (self._total - done):.0f} s left" if done else ""
        if self._live and (now - self._drawn_at >= 0.1 or done == self._total):
            self._drawn_at = now
            count = f"{done:>{len(str(self._total))}} of {self._total} {self._what}s"
            words = "  ".join(filter(None, (count, remark, left)))
            # A line longer than the terminal could not be drawn over.
            columns = shutil.get_terminal_size().columns - 1
            width = min(40, columns - len(words) - 2)
            if width >= 6:
                filled = round(width * done / self._total)
                words = self._full * filled + self._empty * (width - filled) + "  " + words
            self._stream.write("\r\x1b[K" + words[:columns])
            self._stream.flush()
        elif not self._live and (tenth := 10 * done // self._total) > self._tenth:
            self._tenth = tenth
            self.say(", ".join(filter(None, (f"{self._what} {done} of {self._total}", remark, left))))
