"""The web process's hold on the computation of statistics: a child process ``mloscope statistics ... --json``, started,
paused, resumed and cancelled. Neither a network backend's framework nor Dask is imported here.

    none ──start──► starting ──► running ──► done | failed
                        ▲           │ pause: no more tasks, running ones are waited for
                        └──resume── paused                    cancel: ended at once ──► cancelled

If a server has several processes, each request may reach another one: the progress of a job is therefore also written to
a file, ``<cache folder>/statistics/jobs/<name>.json``, and the other processes pause and cancel it by signals. A job counts as
running only while its child holds ``<name>.lock`` beside that file, whatever the file says after a restart, and a signal is
sent only to a child that is proven to be the recorded one.

Whatever ends the child, finished work stays in the store, and starting again resumes it. The child ends when this process
ends, however that happens: it watches a pipe from us.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.installation import how_to_add
from mloscope.app.errors import BadRequest, Conflict, Unavailable
from mloscope.app.model_service import backends
from mloscope.app.process.this_machine import host, is_alive, is_held, process_name, signal_process, take
from mloscope.app.process.whole_files import write_file

ACTIONS = ("start", "pause", "resume", "cancel", "reorder")
_AT_WORK = ("starting", "running")
_FIELDS = ("done", "of", "rate", "seconds_left", "step", "message")
_STOP_WITHIN_S = 3.0
_CANCELLED = "Cancelled; finished work is kept."
_INTERRUPTED = "Ended with the server that started it; finished work is kept."
_LOCKED_WITHIN_S = 2.0
_MOST_NOTED_BYTES = 16 << 20

_FIRST = ".first"
"""Ending of the file with the step that another process wants next."""

_STOP_SIGNAL = getattr(signal, "SIGUSR1", signal.SIGTERM)


@dataclass
class _Job:
    process: subprocess.Popen[str]
    child: dict[str, Any] | None
    """Which process it is, see :func:`process_name`."""
    said: dict[str, Any] = field(default_factory=dict)
    """The child's last line."""
    state: str = "starting"
    message: str | None = None
    """Ours; None where the child's own is shown."""
    asked_to_stop: bool = False
    more: tuple[str, ...] = ()
    """Words of the command line for what was asked for with it."""


class StatisticsJobs:
    """One computation at a time per run, corpus and split. Thread-safe; a ``mloscope.app.statistics.queries.Jobs``.

    ``command(run, corpus, split)``: the command line for them, see :attr:`RunStatistics.command`. ``cache_folder``:
    where the child keeps statistics. ``dask_address``: of the cluster whose workers evaluate; None: this machine does.
    ``program``: what takes the place of the line's first word. ``missing``: why no network can be evaluated in this
    installation, None where some can be.
    """

    def __init__(
        self,
        command: Callable[[str, str, str], str],
        cache_folder: str | Path,
        *,
        dask_address: str | None = None,
        program: Sequence[str] = (sys.executable, "-m", "mloscope.app.commands.cli"),
        find_spec: Callable[[str], Any] = importlib.util.find_spec,
        missing: Callable[[], str | None] = backends.missing,
    ) -> None:
        self._command, self._cache_folder, self._program = command, str(cache_folder), list(program)
        self._dask_address, self._find_spec, self._missing = dask_address, find_spec, missing
        self._lock = threading.Lock()
        self._jobs: dict[tuple[str, str, str], _Job] = {}
        self._token = secrets.token_hex(8)
        self._server = process_name(os.getpid())

    def state(self, run: str, corpus: str, split: str) -> dict[str, Any]:
        """``state`` (``none``, ``starting``, ``running``, ``paused``, ``done``, ``failed`` or ``cancelled``), ``done`` and
        ``of`` (evaluations: image x checkpoint), ``rate`` (evaluations per second), ``seconds_left``, ``step`` (the checkpoint
        being evaluated), ``message``, and at the end ``notices`` (sentences about checkpoints); None if not known."""
        subject = (run, corpus, split)
        with self._lock:
            job = self._jobs.get(subject)
            if job is None or job.state not in _AT_WORK:  # while ours is running, no other can start
                elsewhere = self._elsewhere(subject)
                if elsewhere is not None:
                    return elsewhere["told"]
            return _told(job)

    def act(
        self,
        action: str,
        run: str,
        corpus: str,
        split: str,
        maps: Sequence[str] = (),
        step: int | None = None,
        patches: bool = False,
    ) -> dict[str, Any]:
        """``start``, ``pause``, ``resume`` (the same as ``start``, with what was asked for before), ``cancel`` or ``reorder``; the
        state afterwards. ``maps``: kinds of map to compute besides
        (:data:`mloscope.app.statistics.clusters.map_kinds.MAP_KINDS`). ``patches``: and top patches of units.
        ``step``: the checkpoint to begin with, or to go on with. Raises :class:`BadRequest` for any other action,
        :class:`Conflict` if the state does not allow it, and :class:`Unavailable` if this machine cannot compute statistics."""
        subject = (run, corpus, split)
        if action in ("start", "resume"):
            more = tuple(word for kind in maps for word in ("--map", kind)) + (("--top-patches",) if patches else ())
            self._start(subject, more, step, is_resumed=action == "resume")
        elif action == "reorder":
            self._reorder(subject, step)
        elif action == "pause":
            self._pause(subject)
        elif action == "cancel":
            self._cancel(subject)
        else:
            raise BadRequest(f'There is no action "{action}"; the actions are {", ".join(ACTIONS)}.')
        return self.state(*subject)

    def subjects(self) -> tuple[tuple[str, str, str], ...]:
        """Run, corpus and split of all computations started here, in the order of their first start, followed by those that
        other living processes of this machine have started."""
        with self._lock:
            known = dict.fromkeys(self._jobs)
        for file in sorted((Path(self._cache_folder) / "statistics" / "jobs").glob("*.json")):
            noted = self._noted(file)
            if noted is not None:
                known.setdefault(noted["subject"])
        return tuple(known)

    def stop(self) -> None:
        """End all running computations, and record that they ended. Finished work is kept."""
        with self._lock:
            jobs = dict(self._jobs)
            for subject, job in jobs.items():
                if job.state in _AT_WORK:
                    job.state, job.message = "cancelled", _INTERRUPTED
                    self._note(subject, job)
                    job.process.terminate()
        for job in jobs.values():
            _end(job.process)

    def _start(self, subject: tuple[str, str, str], more: tuple[str, ...], step: int | None, is_resumed: bool) -> None:
        if self._find_spec("distributed") is None:
            raise Unavailable(f"Statistics need distributed, missing in this installation: {how_to_add('statistics')}")
        if self._dask_address is None and (missing := self._missing()) is not None:
            raise Unavailable(missing)
        words = [*self._program, *shlex.split(self._command(*subject))[1:], "--json", "--supervised"]
        if step is not None:
            words += ["--first", str(step)]
        if self._dask_address:
            words += ["--dask", self._dask_address]
        with self._lock:
            known, elsewhere = self._jobs.get(subject), self._elsewhere(subject)
            if (known is not None and known.state in _AT_WORK) or (
                elsewhere is not None and elsewhere["told"]["state"] in _AT_WORK
            ):
                raise Conflict(_under_way(subject))
            if is_resumed and known is not None:
                more = more or known.more
            words += more
            log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the thread that watches
            with self._locked(subject) as lock:
                with contextlib.suppress(OSError):
                    self._file(subject).with_suffix(_FIRST).unlink(missing_ok=True)  # of a job before this one
                process = subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                    env={**os.environ, "MLOSCOPE_CACHE_FOLDER": self._cache_folder},
                    start_new_session=True,  # Ctrl+C in the terminal is ours to handle
                    pass_fds=lock,  # which is held from now on until the child has ended, and we let go
                )  # fmt: skip
            job = self._jobs[subject] = _Job(process, process_name(process.pid), more=more)
            self._note(subject, job)
        threading.Thread(target=self._watch, args=(subject, job, log), name="statistics job", daemon=True).start()

    def _pause(self, subject: tuple[str, str, str]) -> None:
        with self._lock:
            job = self._jobs.get(subject)
            if job is None or job.state not in _AT_WORK:
                if self._signalled(subject, _STOP_SIGNAL):
                    return
                raise Conflict("Nothing is being computed, so there is nothing to pause.")
            job.asked_to_stop = True
            job.message = "Stopping after the tasks in hand"
            self._note(subject, job)
            _say(job.process, "stop")

    def _reorder(self, subject: tuple[str, str, str], step: int | None) -> None:
        """A computation that another process of this server has started hears of it through a file."""
        if step is None:
            raise BadRequest('"reorder" needs the step to go on with, as in {"action": "reorder", "step": 2000}.')
        with self._lock:
            job = self._jobs.get(subject)
            if job is not None and job.state in _AT_WORK:
                _say(job.process, f"first {step}")
            elif (elsewhere := self._elsewhere(subject)) and elsewhere["told"]["state"] in _AT_WORK:
                with contextlib.suppress(OSError):  # then the order stays as it is
                    write_file(self._file(subject).with_suffix(_FIRST), str(step).encode())

    def _cancel(self, subject: tuple[str, str, str]) -> None:
        with self._lock:
            job = self._jobs.get(subject)
            if job is None or job.state not in (*_AT_WORK, "paused"):
                if self._signalled(subject, signal.SIGTERM):
                    return
                raise Conflict("Nothing is being computed, so there is nothing to cancel.")
            job.state, job.message = "cancelled", _CANCELLED
            self._note(subject, job)
        _end(job.process)

    def _watch(self, subject: tuple[str, str, str], job: _Job, log: Any) -> None:
        """Follow the child to its end."""
        assert job.process.stdout is not None
        for line in job.process.stdout:
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, Mapping):
                    self._heard(subject, job, dict(said))
        code = job.process.wait()
        with self._lock, log:
            if job.state in _AT_WORK:
                if (code == 0 and job.asked_to_stop) or code == -_STOP_SIGNAL:
                    job.state = "paused"
                elif code in (-signal.SIGTERM, 128 + signal.SIGTERM):
                    job.state, job.message = "cancelled", _CANCELLED
                else:
                    job.state = "failed"
                    job.message = _last_words(log) or f"The computation ended at once, with the code {code}."
                self._note(subject, job)
        _end(job.process)

    def _heard(self, subject: tuple[str, str, str], job: _Job, said: dict[str, Any]) -> None:
        with self._lock:
            job.said = said
            if job.state in _AT_WORK and said.get("state") in ("starting", "running", "paused", "done", "failed"):
                job.state = said["state"]
            if job.state not in (*_AT_WORK, "cancelled"):
                job.message = None
            self._note(subject, job)
            self._pass_on(subject, job)

    def _pass_on(self, subject: tuple[str, str, str], job: _Job) -> None:
        """Tell the child of the step that another process of this server wants next."""
        wanted = self._file(subject).with_suffix(_FIRST)
        with contextlib.suppress(OSError, ValueError):  # mostly there is none
            step = int(read_regular(wanted, _MOST_NOTED_BYTES))
            wanted.unlink()
            _say(job.process, f"first {step}")

    # ------------------------------------------------------------------------------- several processes of a server

    def _file(self, subject: tuple[str, str, str]) -> Path:
        name = hashlib.sha256(json.dumps(subject).encode()).hexdigest()[:32]
        return Path(self._cache_folder) / "statistics" / "jobs" / f"{name}.json"

    @contextlib.contextmanager
    def _locked(self, subject: tuple[str, str, str]) -> Iterator[tuple[int, ...]]:
        """The open lock of a job, to be handed to its child; none where the disk has no locks. Raises :class:`Conflict`
        where another child holds it."""
        path = self._file(subject).with_suffix(".lock")
        with contextlib.ExitStack() as stack:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                lock = stack.enter_context(path.open("ab"))
                patience = time.monotonic() + _LOCKED_WITHIN_S
                while not take(lock):  # whoever only looks whether it is held lets go at once
                    if time.monotonic() > patience:
                        raise Conflict(_under_way(subject))
                    time.sleep(0.02)
            except OSError:
                yield ()
                return
            yield (lock.fileno(),)

    def _note(self, subject: tuple[str, str, str], job: _Job) -> None:
        """Tell the others. Where it cannot be written, they know nothing, and nothing else is lost. Whoever wrote last knows
        best, which no clock has to say."""
        noted = {
            "token": self._token, "host": host(), "server": self._server, "child": job.child, "subject": subject,
            "told": _told(job),
        }  # fmt: skip
        file, text = self._file(subject), json.dumps(noted).encode()
        try:
            write_file(file, text)
        except OSError:  # a full disk has room for what is there already; that the job failed for it is to be known
            with contextlib.suppress(OSError), open(file, "r+b") as there:
                there.write(text)
                there.truncate()

    def _elsewhere(self, subject: tuple[str, str, str]) -> dict[str, Any] | None:
        return self._noted(self._file(subject))

    def _noted(self, file: Path) -> dict[str, Any] | None:
        """What another process noted last, as far as it is still so: of a job at work while its lock is held, and of what
        came of one while the server lives that knows."""
        try:
            noted = json.loads(read_regular(file, _MOST_NOTED_BYTES))
            if noted["token"] == self._token:
                return None
            run, corpus, split = noted["subject"]
            told = dict(noted["told"])
            lives = is_alive(noted["server"])
            if told["state"] in _AT_WORK and not is_held(file.with_suffix(".lock")) and not lives:
                told |= {"state": "cancelled", "message": _INTERRUPTED, "rate": None, "seconds_left": None}
            elif told["state"] not in _AT_WORK and not lives:
                return None
            return {"subject": (run, corpus, split), "host": noted["host"], "child": noted["child"], "told": told}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _signalled(self, subject: tuple[str, str, str], number: int) -> bool:
        """Whether a job of another process was there to be sent the signal. Raises :class:`Conflict` where there is one
        that cannot be reached from here."""
        elsewhere = self._elsewhere(subject)
        if elsewhere is None or elsewhere["told"]["state"] not in _AT_WORK:
            return False
        if signal_process(elsewhere["child"], number):
            return True
        if not is_held(self._file(subject).with_suffix(".lock")):
            return False  # it has ended just now
        raise Conflict(f"It is being computed by another server, on {elsewhere['host']}; pause or cancel it there.")


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # it has ended just now
        process.stdin.write(line + "\n")
        process.stdin.flush()


def _under_way(subject: tuple[str, str, str]) -> str:
    run, corpus, split = subject
    return (
        f'The statistics of the run "{run}" over the split "{split}" of the corpus "{corpus}" are being '
        "computed already; pause or cancel that first."
    )


def _told(job: _Job | None) -> dict[str, Any]:
    """What :meth:`StatisticsJobs.state` gives."""
    if job is None:
        return {"state": "none", **dict.fromkeys(_FIELDS), "notices": []}
    said = {name: job.said.get(name) for name in _FIELDS}
    if job.message is not None:
        said["message"] = job.message
    return {"state": job.state, **said, "notices": list(job.said.get("notices", ()))}


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    with contextlib.suppress(OSError, ValueError):
        assert process.stdin is not None
        process.stdin.close()


def _last_words(log: Any) -> str:
    """The sentence that the command line ends with where something is wrong."""
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - 4096))
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("mloscope: ") if lines else ""
