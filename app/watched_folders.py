"""Runs and corpora that come, grow and go while the server is up.

    folder of runs ────┐
    folder of corpora ─┼─ every few seconds: what is there now? ──► Workspace.replace
    named runs ────────┘

Every folder or file directly in a watched folder is one run, or one corpus, named after itself. What changed is opened anew, so that
checkpoints that training has saved since are there; what vanished stays in the list and says that it is gone.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mloscope.adaptors import registry
from mloscope.adaptors.interface import AdaptorError, CorpusAdaptor, RunAdaptor
from mloscope.app.workspace import ConnectedCorpus, ConnectedRun, Workspace, unique_name, url_safe

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
_DEPTH = 3
_MOST_ENTRIES = 20_000
"""Beyond so many files a folder is compared by those alone: enough to see a checkpoint come, without hanging on a disk."""

_Listing = tuple[tuple[str, int, int], ...]


def listing(path: Path) -> _Listing | None:
    """Relative name, size in bytes and time of change in ns of what lies at and below the path; None where nothing does."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if not path.is_dir():
        return (("", status.st_size, status.st_mtime_ns),)
    found: list[tuple[str, int, int]] = []
    for entry, name in _below(path, "", _DEPTH):
        if len(found) == _MOST_ENTRIES:
            break
        try:
            about = entry.stat()
        except OSError:
            continue  # it was there a moment ago
        found.append((name, 0 if entry.is_dir() else about.st_size, about.st_mtime_ns))
    return tuple(sorted(found))


def _below(path: Path | str, prefix: str, depth: int) -> Iterator[tuple[os.DirEntry[str], str]]:
    try:
        entries = list(os.scandir(path))
    except OSError:
        return
    for entry in entries:
        yield entry, prefix + entry.name
        if depth > 1 and entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path, f"{prefix}{entry.name}/", depth - 1)


class WatchedFolders:
    """Keeps a workspace up to date with the disk. :meth:`look` once, or :meth:`start` for every few seconds."""

    def __init__(
        self,
        workspace: Workspace,
        runs: Path | None = None,
        corpora: Path | None = None,
        *,
        open_run: Callable[..., RunAdaptor] = registry.open_run,
        open_corpus: Callable[..., CorpusAdaptor] = registry.open_corpus,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """``runs``, ``corpora``: folders to watch; what the workspace holds already is kept up to date as well."""
        self._workspace = workspace
        self._folders = {"run": runs, "corpus": corpora}
        self._open_run = open_run
        self._open_corpus = open_corpus
        self._look_every_s = look_every_s
        self._seen: dict[Path, _Listing | None] = {
            connected.path: listing(connected.path) for connected in (*workspace.runs, *workspace.corpora)
        }
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look now, and then every few seconds until :meth:`stop`."""
        self.look()
        self._thread = threading.Thread(target=self._watch, name="watched folders", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._ending.wait(self._look_every_s):
            try:
                self.look()
            except Exception:  # one strange folder must not end the watch
                logger.exception("The watched folders could not be looked at")

    def look(self) -> bool:
        """Compare with the disk and connect what changed. Whether anything did."""
        runs = self._up_to_date("run", self._workspace.runs, self._opened_run)
        corpora = self._up_to_date("corpus", self._workspace.corpora, self._opened_corpus)
        if runs == self._workspace.runs and corpora == self._workspace.corpora:
            return False
        self._workspace.replace(runs, corpora)
        return True

    def _up_to_date(self, what: str, connected: tuple[Any, ...], opened: Callable[[Any], Any]) -> tuple[Any, ...]:
        known = {each.path for each in connected}
        names = {each.name for each in connected}
        found = list(connected)
        for path in self._new_in(what, known):
            name = unique_name(url_safe(path.stem if path.is_file() else path.name), names)
            found.append(ConnectedRun(name, path, None) if what == "run" else ConnectedCorpus(name, path, None))
        return tuple(self._one(what, each, opened) for each in found)

    def _new_in(self, what: str, known: set[Path]) -> list[Path]:
        folder = self._folders[what]
        if folder is None:
            return []
        try:
            entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
        except OSError as error:
            if folder not in self._seen:  # once
                logger.warning("The folder of %ss %s cannot be listed: %s.", what, folder, error.strerror or error)
            self._seen[folder] = None
            return []
        return [entry for entry in entries if entry not in known]

    def _one(self, what: str, connected: Any, opened: Callable[[Any], Any]) -> Any:
        now = listing(connected.path)
        is_new = connected.path not in self._seen
        if not is_new and now == self._seen[connected.path]:
            return connected
        self._seen[connected.path] = now
        if now is None:
            logger.info("The %s %s is gone", what, connected.name)
            return replace(
                connected, adaptor=None, problem=f'The {what} "{connected.name}" is gone: {connected.path} was removed.'
            )
        try:
            return replace(connected, adaptor=opened(connected), problem=None)
        except AdaptorError as error:
            if is_new:
                logger.warning("The %s %s cannot be opened: %s", what, connected.name, error)
            return replace(connected, adaptor=None, problem=str(error))

    def _opened_run(self, run: ConnectedRun) -> RunAdaptor:
        return self._open_run(run.path, run.options, run.asked_format)

    def _opened_corpus(self, corpus: ConnectedCorpus) -> CorpusAdaptor:
        return self._open_corpus(corpus.path, corpus.asked_format)
