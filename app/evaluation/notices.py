"""What readers of a number must know: sentences, each of a kind."""

from __future__ import annotations

from dataclasses import dataclass

WARNING, IS_ASSUMED, LEFT_OUT, NOTE = "warning", "assumed", "left out", "note"
KINDS = (WARNING, IS_ASSUMED, LEFT_OUT, NOTE)
"""Kinds of notices, the gravest first."""


@dataclass(frozen=True)
class Notice:
    """One fact that readers of the numbers must know."""

    kind: str
    """One of :data:`KINDS`."""
    sentence: str


class Noticed:
    """What carries notices."""

    notices: tuple[Notice, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Those of the notices."""
        return tuple(notice.sentence for notice in self.notices)
