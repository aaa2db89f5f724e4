"""Connect, update and remove runs and corpora while the server is running.

    folder of runs ────┐
    folder of corpora ─┼─ every few seconds: what is there now? ──► Workspace.replace
    named runs ────────┘

Every folder or file directly in a watched folder is one run, or one corpus, named after itself; a link is what it leads to,
under the link's name. Changed entries are opened again, which adds checkpoints that training has saved since and completes entries
that were still being copied. Removed entries stay in the list for a while, marked as removed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mloscope.adaptors import registry
from mloscope.adaptors.interface import AdaptorError, CorpusAdaptor, RunAdaptor
from mloscope.app.workspace.connected import Activity, ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.names import names_of_entries, own_name, title_of
from mloscope.app.workspace.workspace import Workspace

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
_PAUSES_FOR_EACH_LOOK = 9
"""However many files there are, looking at them takes at most a tenth of the time, unless that were too seldom."""
_LONGEST_PAUSE_S = 60.0
_WAIT_FOR_ONE_S = 10.0
"""What takes longer to look at goes on while the others are looked at."""
_MOST_AT_ONCE = 16
_PUBLISH_EVERY_S = 1.0
_WAIT_FOR_THE_FIRST_LOOK_S = 3.0
FORGET_AFTER_S = 3600.0
_DEPTH = 3
_MOST_ENTRIES = 20_000
"""Only this many files of a folder are compared: enough to notice a new checkpoint without waiting long for a disk."""

_Listing = tuple[tuple[str, int, int, int], ...]


@dataclass
class _Watched:
    """What is known of a run or corpus in addition to the workspace's data."""

    entry: Path
    """In the watched folder, or as it was named."""
    in_folder: bool
    was_looked_at: bool = False
    state: _Listing | str | None = None
    """What was there when it was last looked at: files; or a sentence why they cannot be read; or nothing."""
    gone_since_s: float | None = None
    own: str | None = None
    """What it is called in the watched folder, of a file without its ending."""
    looking: _Look | None = None
    """What is under way, where that takes long."""


class _Look:
    """The check of one entry, in its own thread, because its disk may not answer."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.found: Any = None
        self._done = threading.Event()
        self._work = work
        threading.Thread(target=self._run, name="looking", daemon=True).start()

    def _run(self) -> None:
        try:
            self.found = self._work()
        except Exception:
            logger.exception("An entry of a watched folder could not be read")
        finally:
            self._done.set()

    def is_done(self, wait_s: float) -> bool:
        return self._done.wait(wait_s)


def listing(path: Path) -> _Listing:
    """Return relative name, size in bytes, modification time in ns and mode of everything at and below the path. Raises
    OSError if it does not exist or cannot be read."""
    status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        return (("", status.st_size, status.st_mtime_ns, status.st_mode),)
    os.scandir(path).close()  # below it, what nobody may list is left out
    found: list[tuple[str, int, int, int]] = []
    for entry, name in _below(path, "", _DEPTH):
        if len(found) == _MOST_ENTRIES:
            break
        try:
            about = entry.stat()
        except OSError:
            continue  # it was there a moment ago
        found.append((name, 0 if entry.is_dir() else about.st_size, about.st_mtime_ns, about.st_mode))
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
    """Keeps a workspace in sync with the disk: :meth:`look` once, or :meth:`start` to repeat every few seconds."""

    def __init__(
        self,
        workspace: Workspace,
        runs: Path | None = None,
        corpora: Path | None = None,
        *,
        open_run: Callable[..., RunAdaptor] = registry.open_run,
        open_corpus: Callable[..., CorpusAdaptor] = registry.open_corpus,
        look_every_s: float = LOOK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``runs``, ``corpora``: folders to watch; entries already in the workspace are kept up to date too."""
        self._workspace = workspace
        self._folders = {"run": runs, "corpus": corpora}
        self._open_run, self._open_corpus = open_run, open_corpus
        self._look_every_s, self._clock, self._now = look_every_s, clock, now
        self._has_looked = False
        self._watched: dict[tuple[str, str], _Watched] = {}
        answering = workspace.disks.answering([each.path for each in (*workspace.runs, *workspace.corpora)])
        for what, each in (*(("run", run) for run in workspace.runs), *(("corpus", c) for c in workspace.corpora)):
            answers = each.path in answering
            self._watched[what, each.name] = _Watched(each.path, False, answers, _state(each.path) if answers else None)
        workspace.replace(
            [_as_of(run, self._watched["run", run.name].state) for run in workspace.runs],
            workspace.corpora,
        )
        self._waited_s = 0.0
        """How long the last look waited for what was not done."""
        self._unlisted: set[Path] = set()
        self._told: set[Path] = set()
        self._ending = threading.Event()
        self._looked = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Check now, and then every few seconds until :meth:`stop`. Returns after the first check, or before its end if
        it takes long."""
        self._thread = threading.Thread(target=self._watch, name="watched folders", daemon=True)
        self._thread.start()
        self._looked.wait(_WAIT_FOR_THE_FIRST_LOOK_S)

    def stop(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join(_WAIT_FOR_THE_FIRST_LOOK_S)

    def _watch(self) -> None:
        while not self._ending.is_set():
            began = self._clock()
            try:
                self.look()
            except Exception:  # one strange folder must not end the watch
                logger.exception("The watched folders could not be read")
            self._looked.set()
            took_s = self._clock() - began - self._waited_s  # waiting for a disk is no work for it
            self._ending.wait(max(self._look_every_s, min(_LONGEST_PAUSE_S, _PAUSES_FOR_EACH_LOOK * took_s)))

    def look(self) -> bool:
        """Compare with the disk and connect changes, each as soon as it is opened if that takes long. Returns whether
        anything changed."""
        self._waited_s = 0.0
        before = (self._workspace.runs, self._workspace.corpora)
        runs, corpora = list(before[0]), list(before[1])
        published = self._clock()
        listed = self._listed()
        places = [about.entry for about in self._watched.values()]
        asked = [*listed["run"], *listed["corpus"], *places]
        answering = self._workspace.disks.answering(asked)
        self._waited_s += self._clock() - published if len(answering) < len(set(asked)) else 0.0
        for what, known in (("run", runs), ("corpus", corpora)):
            known[:] = self._called(what, known, listed[what], answering)
        for what, known in (("run", runs), ("corpus", corpora)):
            # New entries first, so that they are shown before slow checks of known ones.
            looked_at = [self._watched[what, connected.name].was_looked_at for connected in known]
            for position in sorted(range(len(known)), key=looked_at.__getitem__):
                if self._ending.is_set():
                    break
                connected = known[position]
                if looked_at[position] and not all(looked_at) and known != list(self._shown(what)):
                    self._workspace.replace(runs, corpora)
                known[position] = self._looked_at(what, connected, answering)
                if known[position] is not connected and self._clock() - published > _PUBLISH_EVERY_S:
                    self._workspace.replace(runs, corpora)
                    published = self._clock()
            known[:] = [connected for connected in known if not self._is_forgotten(what, connected)]
        if (tuple(runs), tuple(corpora)) != (self._workspace.runs, self._workspace.corpora):
            self._workspace.replace(runs, corpora)
        self._has_looked = True
        return (self._workspace.runs, self._workspace.corpora) != before

    def _shown(self, what: str) -> tuple[Any, ...]:
        return self._workspace.runs if what == "run" else self._workspace.corpora

    def _listed(self) -> dict[str, list[Path]]:
        """List each watched folder; use the last known contents of one that does not answer."""
        answering = self._workspace.disks.answering([folder for folder in self._folders.values() if folder])
        return {
            what: self._entries(what)
            if folder in answering
            else [about.entry for (kind, _), about in self._watched.items() if kind == what and about.in_folder]
            for what, folder in self._folders.items()
        }

    def _looked_at(self, what: str, connected: Any, answering: set[Path]) -> Any:
        """Return the run or corpus as it is now, or as last known if its disk does not answer or checking takes
        long."""
        watched = self._watched[what, connected.name]
        if watched.looking is None:
            if watched.entry not in answering:
                if connected.adaptor is not None or connected.gone:
                    return connected
                sentence = self._workspace.disks.sentence(watched.entry, f'The {what} "{connected.name}"')
                return replace(connected, problem=sentence)
            if sum(about.looking is not None for about in self._watched.values()) >= _MOST_AT_ONCE:
                return connected
            watched.looking = _Look(lambda: self._up_to_date(what, connected, watched))
            began = self._clock()
            done = watched.looking.is_done(_WAIT_FOR_ONE_S)
            self._waited_s += 0.0 if done else self._clock() - began
        else:
            done = watched.looking.is_done(0)
        if not done:
            return connected
        found, watched.looking = watched.looking.found, None
        return connected if found is None else replace(found, name=connected.name, title=connected.title)

    def _called(self, what: str, known: list[Any], entries: list[Path], answering: set[Path]) -> list[Any]:
        """Return known entries, and new ones in the watched folder, not yet opened, each with its name among all
        current entries."""
        watched = {name: about for (kind, name), about in self._watched.items() if kind == what}
        entries = _without_named(entries, watched, answering)
        by_entry = {about.entry: about for about in watched.values() if about.in_folder}
        own = {entry: _own_name(entry, by_entry.get(entry), entry in answering) for entry in entries}
        reserved = {name for name, about in watched.items() if not about.in_folder}
        names = names_of_entries(entries, reserved, own.__getitem__)
        found, after = [], {}
        for each in known:
            about = watched[each.name]
            name = names.get(about.entry, each.name) if about.in_folder else each.name
            if about.in_folder and about.entry not in names and name in names.values():
                continue  # it is gone, and a new entry has its name
            if name != each.name:
                sentence = 'The %s "%s" is now named "%s", because another entry would have the same name.'
                logger.info(sentence, what, each.name, name)
            about.own = own.get(about.entry, about.own)
            after[what, name] = about
            found.append(replace(each, name=name) if name != each.name else each)
        seen = {about.entry for about in after.values()}
        for entry, name in names.items():
            if entry not in seen:
                after[what, name] = _Watched(entry, True, own=own[entry])
                new = _being_opened(what, entry, name, own[entry], entry in answering)
                is_late = what == "run" and self._has_looked
                found.append(replace(new, found_s=self._now()) if is_late else new)
        self._watched = {key: about for key, about in self._watched.items() if key[0] != what} | after
        return found

    def _entries(self, what: str) -> list[Path]:
        folder = self._folders[what]
        if folder is None:
            return []
        try:
            entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
        except OSError as error:
            if folder not in self._unlisted:  # once
                reason = error.strerror or error
                what = "runs" if what == "run" else "corpora"
                logger.warning("The folder of %s %s cannot be listed: %s.", what, folder, reason)
            self._unlisted.add(folder)
            return []
        self._unlisted.discard(folder)
        return entries

    def _up_to_date(self, what: str, connected: Any, watched: _Watched) -> Any:
        """Return the current state; None if nothing changed."""
        place = _place(watched.entry) if watched.in_folder else connected.path
        state = _state(place)
        is_first, watched.was_looked_at = not watched.was_looked_at, True
        if not is_first and state == watched.state and (state is None or place == connected.path):
            return None
        watched.state = state
        if state is None and not is_first:
            return self._gone(what, connected, watched)
        adaptor, problem = None, state
        try:
            if not isinstance(state, str):
                adaptor, problem = self._opened(what, place, connected), None
        except AdaptorError as error:
            problem = str(error)
        except Exception as error:  # a stranger's adaptor must not keep the others from being looked at
            problem = f"{place} could not be opened: {type(error).__name__}."
            logger.exception("The %s %s cannot be opened", what, connected.name)
        if problem and is_first:
            logger.warning("The %s %s cannot be opened: %s", what, connected.name, problem)
        opened = replace(connected, path=place, adaptor=adaptor, problem=problem, gone=False)
        return _as_of(opened, state) if what == "run" else opened

    def _gone(self, what: str, connected: Any, watched: _Watched) -> Any:
        how = f"{connected.path} was removed"
        if not os.path.lexists(watched.entry) and os.path.lexists(connected.path):
            how = f"its link to {connected.path} was removed"
        sentence = f'The {what} "{connected.name}" is no longer available: {how}.'
        logger.info("%s", sentence)
        return replace(connected, adaptor=None, problem=sentence, gone=True)

    def _opened(self, what: str, path: Path, connected: Any) -> Any:
        if what == "run":
            return self._open_run(path, connected.options, connected.asked_format)
        return self._open_corpus(path, connected.asked_format)

    def _is_forgotten(self, what: str, connected: Any) -> bool:
        """Return whether it left its watched folder so long ago that it need no longer be listed as removed."""
        watched = self._watched[what, connected.name]
        if not connected.gone or not watched.in_folder or os.path.lexists(watched.entry):
            watched.gone_since_s = None
            return False
        if watched.gone_since_s is None:
            watched.gone_since_s = self._clock()
        if self._clock() - watched.gone_since_s < FORGET_AFTER_S:
            return False
        del self._watched[what, connected.name]
        return True


def _as_of(run: ConnectedRun, state: _Listing | str | None) -> ConnectedRun:
    """Return the run with what its files tell of its version and activity."""
    version = hashlib.blake2b(repr(state).encode(), digest_size=8).hexdigest()
    files = state if isinstance(state, tuple) else ()
    changes_s = [changed_ns / 1e9 for _, _, changed_ns, mode in files if not stat.S_ISDIR(mode)]
    return replace(run, version=version, activity=Activity.of(changes_s), is_being_opened=False)


def _without_named(entries: list[Path], watched: Mapping[str, _Watched], answering: set[Path]) -> list[Path]:
    """Return the entries without those that were named at the server's start and are also here, or linked here: they
    are shown only under that name."""
    named = {
        os.path.realpath(about.entry) for about in watched.values() if not about.in_folder and about.entry in answering
    }
    return [entry for entry in entries if not (named and entry in answering and os.path.realpath(entry) in named)]


def _own_name(entry: Path, about: _Watched | None, answers: bool) -> str:
    known = about.own if about else None
    return own_name(entry, known) if answers else known or entry.name


def _being_opened(what: str, entry: Path, name: str, own: str, answers: bool) -> ConnectedRun | ConnectedCorpus:
    if entry.name not in (name, name + entry.suffix):
        logger.info('%s is shown as the %s "%s", because names appear in addresses.', entry, what, name)
    title, place = title_of(own), _place(entry) if answers else entry
    problem = f'The {what} "{title}" is being opened.'
    if what == "run":
        return ConnectedRun(name, place, None, problem=problem, title=title, is_being_opened=True)
    return ConnectedCorpus(name, place, None, problem=problem, title=title)


def _place(entry: Path) -> Path:
    """Return where the files are: links are followed, because accompanying files are beside the target and not beside
    the link."""
    return Path(os.path.realpath(entry)) if os.path.islink(entry) else entry


def _state(place: Path) -> _Listing | str | None:
    """See :class:`_Watched`."""
    try:
        mode = os.stat(place).st_mode
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            return listing(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"{place} cannot be reached: {error.strerror or error}."
    return f"{place} is neither a file nor a folder."  # a pipe or a device might be read for ever
