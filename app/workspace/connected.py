"""Runs and corpora under their names: opened, or with the problem that prevented it."""

from __future__ import annotations

import functools
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mloscope.adaptors.interface import CorpusAdaptor, Preprocessing, RunAdaptor, RunOptions
from mloscope.app.evaluation.own_preprocessing import OwnPreprocessing
from mloscope.app.evaluation.preprocessing import resolve
from mloscope.app.runs.architecture import KnownArchitecture

_LIVE_FOR_AT_LEAST_S, _LIVE_FOR_AT_MOST_S, _LIVE_PAUSES = 600.0, 6 * 3600.0, 3
_LAST_CHANGES = 20


@dataclass(frozen=True)
class Activity:
    """When a run's files changed."""

    changed_s: float
    """The last time, in Unix time."""
    pause_s: float = 0.0
    """How long it usually takes from one change to the next: the median of the last ones."""

    @classmethod
    def of(cls, times_s: Sequence[float]) -> Activity | None:
        """``times_s``: when each file changed; None where there is none."""
        last = sorted(times_s)[-_LAST_CHANGES:]
        pauses = [later - earlier for earlier, later in itertools.pairwise(last)]
        return cls(last[-1], statistics.median(pauses) if pauses else 0.0) if last else None

    def is_live(self, now_s: float) -> bool:
        """Whether the next change may still come: it is not overdue by more than two usual pauses, and never by hours."""
        patience_s = min(max(_LIVE_FOR_AT_LEAST_S, _LIVE_PAUSES * self.pause_s), _LIVE_FOR_AT_MOST_S)
        return 0 <= now_s - self.changed_s < patience_s


class _Connected:
    """What runs and corpora under their names have in common."""

    name: str
    title: str
    adaptor: RunAdaptor | CorpusAdaptor | None
    asked_format: str | None

    @property
    def format(self) -> str | None:
        """The format it was opened with, or the requested one if it could not be opened."""
        return self.adaptor.format if self.adaptor is not None else self.asked_format

    @property
    def shown_title(self) -> str:
        """Its title for people; addresses use its name."""
        return self.title or self.name


@dataclass(frozen=True)
class ConnectedRun(_Connected):
    """A run under its name. ``adaptor`` is None exactly if ``problem`` says why it could not be opened."""

    name: str
    path: Path
    adaptor: RunAdaptor | None
    options: RunOptions = field(default_factory=RunOptions)
    problem: str | None = None
    corpus: str | None = None
    """The corpus that the user gave this run, None where nothing was said."""
    asked_format: str | None = None
    gone: bool = False
    """Whether it was there once; ``problem`` says so then, by name."""
    version: str = ""
    """Changes whenever any file of the run changes, the same in every web process; empty where nobody looks."""
    is_foreign: bool = False
    """Whether nothing is there, or nothing that any adaptor reads."""
    architecture: KnownArchitecture = field(default_factory=KnownArchitecture, compare=False, repr=False)
    """Its layers and their digest, remembered."""
    title: str = ""
    """What people call it, such as its folder's own name, where that differs from the name; see :attr:`shown_title`."""
    activity: Activity | None = None
    """When its files changed; None where nobody looks."""
    is_being_opened: bool = False
    """Whether it was found and not opened yet; ``problem`` says so then."""
    found_s: float | None = None
    """When it was found in a watched folder, in Unix time; None where it was there when the server started."""

    @functools.cached_property
    def resolved_preprocessing(self) -> tuple[Preprocessing, OwnPreprocessing | None]:
        """The preprocessing of pixels, and what the network does to them itself; computed once."""
        return resolve(self.options.preprocessing, self.adaptor)

    @property
    def preprocessing(self) -> Preprocessing:
        """The user's preprocessing, else the files', else what the network itself shows, else 1/255, each part with its
        source; see :mod:`mloscope.app.evaluation.preprocessing`."""
        return self.resolved_preprocessing[0]


@dataclass(frozen=True)
class ConnectedCorpus(_Connected):
    """A corpus under its name. ``adaptor`` is None exactly if ``problem`` says why it could not be opened."""

    name: str
    path: Path
    adaptor: CorpusAdaptor | None
    problem: str | None = None
    asked_format: str | None = None
    hierarchy: Path | None = None
    gone: bool = False
    """Whether it was there once; ``problem`` says so then, by name."""
    is_foreign: bool = False
    """Whether nothing is there, or nothing that any adaptor reads."""
    title: str = ""
    """As for a :class:`ConnectedRun`."""
