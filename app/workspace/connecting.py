"""Open entries as connected runs and corpora, each with its adaptor or its problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mloscope.adaptors.interface import AdaptorError, CorpusAdaptor, NothingFits, NothingThere, RunAdaptor, Unreadable
from mloscope.app.workspace.answering_disks import AnsweringDisks
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.names import names_of_paths


@dataclass(frozen=True)
class Opening:
    """Opens entries whose disks answer."""

    open_run: Callable[..., RunAdaptor]
    open_corpus: Callable[..., CorpusAdaptor]
    disks: AnsweringDisks
    answering: frozenset[Path]
    """Paths whose disks answer."""

    @classmethod
    def of(
        cls,
        entries: Sequence[RunEntry | CorpusEntry],
        open_run: Callable[..., RunAdaptor] | None,
        open_corpus: Callable[..., CorpusAdaptor] | None,
        disks: AnsweringDisks | None,
    ) -> Self:
        """Check concurrently whether all disks answer. The opening functions default to the registry's."""
        if open_run is None or open_corpus is None:
            from mloscope.adaptors import registry

            open_run, open_corpus = open_run or registry.open_run, open_corpus or registry.open_corpus
        disks = disks or AnsweringDisks()
        return cls(open_run, open_corpus, disks, frozenset(disks.answering([Path(entry.path) for entry in entries])))

    def runs(self, entries: Sequence[RunEntry]) -> list[ConnectedRun]:
        """Open the runs; a run that cannot be opened has a problem instead of an adaptor."""
        connected = []
        for entry, (name, title) in zip(entries, _names(entries), strict=True):
            path = Path(entry.path)
            found = self._opened(
                path, f'The run "{name}"', lambda e=entry, p=path: self.open_run(p, e.options, e.format)
            )
            connected.append(
                ConnectedRun(
                    name,
                    path,
                    found.adaptor,
                    entry.options,
                    found.problem,
                    entry.corpus,
                    entry.format,
                    is_foreign=found.is_foreign,
                    title=title,
                )
            )
        return connected

    def corpora(self, entries: Sequence[CorpusEntry]) -> list[ConnectedCorpus]:
        """Open the corpora, as :meth:`runs` does."""
        connected = []
        for entry, (name, title) in zip(entries, _names(entries), strict=True):
            path = Path(entry.path)
            found = self._opened(path, f'The corpus "{name}"', lambda e=entry, p=path: self.open_corpus(p, e.format))
            connected.append(
                ConnectedCorpus(
                    name,
                    path,
                    found.adaptor,
                    found.problem,
                    entry.format,
                    entry.hierarchy,
                    is_foreign=found.is_foreign,
                    title=title,
                )
            )
        return connected

    def _opened(self, path: Path, what: str, open_it: Callable[[], Any]) -> _Opened:
        try:
            if path not in self.answering:
                raise Unreadable(self.disks.sentence(path, what))
            return _Opened(open_it(), None)
        except AdaptorError as error:
            return _Opened(None, str(error), isinstance(error, NothingThere | NothingFits))


@dataclass(frozen=True)
class _Opened:
    adaptor: Any
    problem: str | None
    is_foreign: bool = False


def _names(entries: Sequence[RunEntry] | Sequence[CorpusEntry]) -> list[tuple[str, str]]:
    """Return name and title of each entry: as given by the user, else derived from its path."""
    found = iter(names_of_paths([Path(e.path) for e in entries if not e.name], {e.name for e in entries if e.name}))
    return [(entry.name, "") if entry.name else next(found) for entry in entries]
