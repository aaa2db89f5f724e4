"""The keys under which statistics are kept: digests of what they are computed from, so that a retrained checkpoint, a changed
corpus or other preprocessing is never answered from old numbers.

    step    one checkpoint over one split of one corpus
    series  one run over one split of one corpus, all steps: what an import or a clustering belongs to
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors.fingerprint import file_fingerprint
from mloscope.adaptors.interface import AdaptorError, Checkpoint
from mloscope.app.errors import from_adaptor
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.workspace.workspace import Workspace

CODE_VERSION = "statistics 2"
"""Part of every key; raise it whenever the same input gives other numbers."""


class Identity:
    """Keys of what a workspace holds. Thread-safe. A corpus is read through once per process, as its adaptor is
    opened once; a run's files at every question."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._corpora: dict[str, tuple[Any, str]] = {}
        self._architectures: dict[str, tuple[Any, str]] = {}

    def step(self, run: str, checkpoint: Checkpoint, corpus: str, split: str) -> str:
        """The key of a checkpoint's statistics, see :meth:`step_keys`."""
        return self.step_keys(self._workspace.opened_run(run), corpus, split)(checkpoint)

    def step_keys(self, run: OpenedRun, corpus: str, split: str) -> Callable[[Checkpoint], str]:
        """The key of each checkpoint's statistics: 64 hexadecimal digits.

        Made of the checkpoint's fingerprint, the architecture (the run's layers and the file or function that the
        user named), the preprocessing with the content of a mean file, how the output is read and matched with the corpus's
        classes, the corpus and the split. It, or the function that it returns, raises :class:`MloscopeError` if the mean or
        the checkpoint cannot be read.
        """
        before = _json(CODE_VERSION, "plane", run.format)[:-1]
        after = _json(
            self._architecture(run),
            _preprocessing(run),
            self._reading(run.name, corpus),
            self.corpus(corpus),
            self._split(corpus, split),
        )[1:]

        def key(checkpoint: Checkpoint) -> str:
            """The digest of all parts in one list, of which all but the fingerprint are the same for each checkpoint."""
            text = f"{before}, {json.dumps(run.fingerprint(checkpoint))}, {after}"
            return hashlib.sha256(text.encode()).hexdigest()

        return key

    def series(self, run: str, corpus: str, split: str) -> str:
        """The key of all that belongs to a run as such, whatever its checkpoints hold: its path, corpus and split."""
        path = str(self._workspace.run(run).path.expanduser().resolve())
        return _digest(CODE_VERSION, "series", path, self.corpus(corpus), self._split(corpus, split))

    def corpus(self, corpus: str) -> str:
        """Of the corpus's names, labels and splits, and of the size and time of change of every file below its path
        that is not hidden. 64 hexadecimal digits."""
        opened = self._workspace.opened_corpus(corpus)
        adaptor = opened.adaptor
        with self._lock:
            known = self._corpora.get(corpus)
            if known is None or known[0] is not adaptor:
                digest = hashlib.sha256()
                digest.update(json.dumps([list(adaptor.names()), list(adaptor.class_names)]).encode())
                digest.update(np.asarray(adaptor.labels, "<i4").tobytes())
                digest.update(json.dumps([[name, s.start, s.stop] for name, s in adaptor.splits.items()]).encode())
                for line in _files(opened.path):
                    digest.update(line.encode("utf-8", "surrogateescape"))
                known = self._corpora[corpus] = (adaptor, digest.hexdigest())
        return known[1]

    def _reading(self, run: str, corpus: str) -> list[Any]:
        """How the network's output is read: layer, rule, and which class of the corpus each output stands for."""
        basis = self._workspace.basis(run, corpus)
        return [basis.output.layer, basis.output.rule, basis.classes.corpus_classes]

    def _split(self, corpus: str, split: str) -> list[Any]:
        positions = self._workspace.opened_corpus(corpus).split(split)
        return [positions.start, positions.stop]

    def _architecture(self, run: OpenedRun) -> str:
        layers = run.layers
        named = _content_of(run.options.architecture)
        known = self._architectures.get(run.name)
        if known is None or known[0] is not layers:
            described = [[x.name, x.kind, x.inputs, x.output_shape, dict(x.hyperparameters)] for x in layers]
            known = self._architectures[run.name] = (layers, _digest(described))
        return _digest(known[1], named, run.options.custom_objects or "")


def _preprocessing(run: OpenedRun) -> list[Any]:
    how = run.preprocessing
    mean = how.mean
    if isinstance(mean, str) and mean != "corpus":
        mean = _content_of(mean)
    return [how.scale, mean, how.channel_order]


def _content_of(named: str | None) -> str | None:
    """Something that changes with the content of the file of this name; the name itself where there is no such file."""
    if named is None or not os.path.isfile(named):
        return named
    try:
        return file_fingerprint(Path(named))
    except AdaptorError as error:
        raise from_adaptor(error) from error


def _files(path: Path) -> Iterator[str]:
    """A line for every file below the path: name, size, time of change; sorted."""
    path = path.expanduser()
    if path.is_file():
        state = path.stat()
        yield f"{path.name}\0{state.st_size}\0{state.st_mtime_ns}\n"
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            try:
                state = os.stat(os.path.join(folder, name))
            except OSError:  # a dangling link, or removed just now
                continue
            yield f"{os.path.relpath(os.path.join(folder, name), path)}\0{state.st_size}\0{state.st_mtime_ns}\n"


def _json(*parts: Any) -> str:
    return json.dumps(parts, default=repr, sort_keys=True)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(_json(*parts).encode()).hexdigest()
