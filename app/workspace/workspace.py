"""The connected runs and corpora under URL-safe names; every question about one starts with its handle."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
from cachetools import LRUCache

from mloscope.adaptors.interface import (
    CorpusAdaptor,
    RunAdaptor,
)
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import BadRequest, NotFound, NotPossible, Unrecognised, of_adaptors
from mloscope.app.evaluation.basis import Basis, basis_of
from mloscope.app.evaluation.named_outputs import NamedOutputsStore
from mloscope.app.evaluation.network_input import NetworkInput
from mloscope.app.images.changes import Reference
from mloscope.app.images.image_index import ImageIndex
from mloscope.app.images.opened_corpus import OpenedCorpus
from mloscope.app.images.own_images import OwnImages, is_own
from mloscope.app.images.thumbnails import Thumbnails, png
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.workspace.answering_disks import AnsweringDisks
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.connecting import Opening
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.network_inputs import NetworkInputs
from mloscope.app.workspace.run_labels import RunLabelsStore
from mloscope.app.workspace.saved_views import SavedViews

_MOST_BASES = 256
_OWN_IMAGES_BYTES = 64 << 20
_NAMED = 12
"""How many names an error lists."""


_Connected = TypeVar("_Connected", ConnectedRun, ConnectedCorpus)


@dataclass(frozen=True)
class _Connections:
    """What is connected at one moment. Replaced as a whole, so that no reader sees half of a change."""

    runs: tuple[ConnectedRun, ...]
    corpora: tuple[ConnectedCorpus, ...]
    run_by_name: Mapping[str, ConnectedRun]
    corpus_by_name: Mapping[str, ConnectedCorpus]

    @classmethod
    def of(cls, runs: Sequence[ConnectedRun], corpora: Sequence[ConnectedCorpus]) -> Self:
        found = cls(
            tuple(runs), tuple(corpora), {run.name: run for run in runs}, {corpus.name: corpus for corpus in corpora}
        )
        if len(found.run_by_name) != len(runs) or len(found.corpus_by_name) != len(corpora):
            raise ValueError("names must be unique")
        return found


class Workspace:
    """The connected runs and corpora. Thread-safe."""

    def __init__(
        self,
        runs: Sequence[ConnectedRun],
        corpora: Sequence[ConnectedCorpus] = (),
        named_outputs: NamedOutputsStore | None = None,
        saved_views: SavedViews | None = None,
        *,
        disks: AnsweringDisks | None = None,
    ) -> None:
        """``disks``: checked before anything of a run or corpus is read."""
        self.disks = disks or AnsweringDisks()
        self.named_outputs = named_outputs or NamedOutputsStore(None)
        """What was settled on pages and through REST about the runs' outputs."""
        self.labels = RunLabelsStore(None)
        """Tags and groups of the runs."""
        self.saved_views = saved_views or SavedViews(None)
        self._connections = _Connections.of(runs, corpora)
        self._bases: MutableMapping[tuple[str, str | None], tuple[Any, Basis]] = LRUCache(_MOST_BASES)
        self._image_indexes: dict[str, ImageIndex] = {}
        self._lock = threading.Lock()
        self.inputs = NetworkInputs()
        """Images as networks take them."""
        self._thumbnails = Thumbnails()
        self.own_images = OwnImages(ResultCache.from_settings(None, _OWN_IMAGES_BYTES))
        """What people brought along; processes that serve together share a cache of them."""

    @property
    def runs(self) -> tuple[ConnectedRun, ...]:
        return self._connections.runs

    @property
    def corpora(self) -> tuple[ConnectedCorpus, ...]:
        return self._connections.corpora

    def replace(self, runs: Sequence[ConnectedRun], corpora: Sequence[ConnectedCorpus]) -> None:
        """Replace all connections atomically; questions in progress continue with the old ones. Raises ValueError if
        two share a name."""
        connections = _Connections.of(runs, corpora)
        changed = any(self._connections.corpus_by_name.get(corpus.name) != corpus for corpus in corpora)
        with self._lock:
            self._connections = connections
            if changed:  # what is remembered of images is remembered by the corpus's name
                self._image_indexes = {}
                self.inputs, self._thumbnails = NetworkInputs(), Thumbnails()

    @classmethod
    def connect(
        cls,
        runs: Sequence[RunEntry],
        corpora: Sequence[CorpusEntry] = (),
        *,
        open_run: Callable[..., RunAdaptor] | None = None,
        open_corpus: Callable[..., CorpusAdaptor] | None = None,
        disks: AnsweringDisks | None = None,
    ) -> Workspace:
        """Open everything. Entries that cannot be opened stay in the list with their problem.

        ``open_run(path, options, format)`` and ``open_corpus(path, format)`` default to the registry's.
        """
        opening = Opening.of([*runs, *corpora], open_run, open_corpus, disks)
        return cls(opening.runs(runs), opening.corpora(corpora), disks=opening.disks)

    def run(self, name: str) -> ConnectedRun:
        """Return the run of this name, which may have a problem. Raises :class:`NotFound`."""
        return _named(name, self._connections.run_by_name, "run")

    def corpus(self, name: str) -> ConnectedCorpus:
        """Return the corpus of this name, which may have a problem. Raises :class:`NotFound`."""
        return _named(name, self._connections.corpus_by_name, "corpus")

    def opened_run(self, name: str) -> OpenedRun:
        """Return the handle of the run. Raises :class:`NotFound`, :class:`NotPossible` if it could not be opened, and
        :class:`Unavailable` if its disk does not answer at the moment."""
        run = self.run(name)
        if run.adaptor is None:
            raise _not_opened(run, "run")
        self.disks.check(run.path, f'The run "{name}"')
        return OpenedRun(run, run.adaptor, self._corpus_of(run), functools.partial(self._basis, run))

    def opened_corpus(self, name: str) -> OpenedCorpus:
        """Return the handle of the corpus. Raises as :meth:`opened_run`."""
        corpus = self.corpus(name)
        if corpus.adaptor is None:
            raise _not_opened(corpus, "corpus")
        self.disks.check(corpus.path, f'The corpus "{name}"')
        return OpenedCorpus(corpus, corpus.adaptor)

    def corpus_for(self, run: OpenedRun, name: str | None = None) -> OpenedCorpus:
        """Return the corpus of this name, or the run's default. Raises :class:`NotPossible` if there is none."""
        name = name or run.corpus
        if name is None:
            raise NotPossible("No corpus is connected; mloscope serve RUN --images PATH connects one.")
        return self.opened_corpus(name)

    def network_input(self, run: OpenedRun, corpus: str | None, image: str | None) -> NetworkInput:
        """Return the image of this id as input of the run's network. ``corpus`` defaults to the run's. Raises
        :class:`BadRequest` without an image."""
        if not image:
            raise BadRequest("Feature maps and predictions need an image: add image=ID.")
        needs_corpus = not is_own(image) or corpus or run.corpus
        images = self.corpus_for(run, corpus) if needs_corpus else None
        position, reference = self.located(images, image)
        if images is not None and position is not None and not reference.changes:
            return NetworkInput.of(self.inputs.one(run, images, position))
        return NetworkInput.of(self.inputs.of_pixels(run, images, self.pixels(images, image)))

    def located(self, corpus: OpenedCorpus | None, image: str) -> tuple[int | None, Reference]:
        """Return where the image stands in the corpus, None for somebody's own, and what is changed in it. The longest id
        that exists is meant: that of a file may look like a reference. Raises :class:`NotFound`."""
        if corpus is None or is_own(image):
            return None, Reference.parse(image)
        not_found: NotFound | None = None
        for reference in Reference.readings(image):
            try:
                return corpus.position(reference.id), reference
            except NotFound as error:
                not_found = error
        assert not_found is not None
        raise not_found

    def pixels(self, corpus: OpenedCorpus | None, image: str) -> np.ndarray:
        """Return the pixels of an image or a reference to one (:mod:`mloscope.app.images.changes`), uint8 (row, column, 1 or
        3). ``corpus``: not needed for somebody's own image. Raises :class:`NotFound`."""
        position, reference = self.located(corpus, image)
        is_in_corpus = corpus is not None and position is not None
        found = corpus.pixels(position) if is_in_corpus else self.own_images.pixels(reference.id)
        return reference.apply(found)

    def corpus_of(self, run_name: str) -> str | None:
        """Return the default corpus of a run: its own, else the first that could be opened, else None."""
        return self._corpus_of(self.run(run_name))

    def _corpus_of(self, run: ConnectedRun) -> str | None:
        if run.corpus is not None and run.corpus in self._connections.corpus_by_name:
            return run.corpus
        usable = [corpus for corpus in self.corpora if corpus.adaptor is not None]
        return next((corpus.name for corpus in (*usable, *self.corpora)), None)

    def basis(self, run_name: str, corpus_name: str | None = None) -> Basis:
        """Return the basis of the run's numbers over the corpus (default: the run's own, if any can be opened). Raises
        :class:`NotFound`, and :class:`NotPossible` if the run could not be opened."""
        return self.opened_run(run_name).basis(corpus_name)

    def _basis(self, run: ConnectedRun, corpus_name: str | None) -> Basis:
        corpus_name = corpus_name or self._corpus_of(run)
        corpus = self.corpus(corpus_name) if corpus_name else None
        settled = self.named_outputs.find(run.path)
        assert run.adaptor is not None
        with of_adaptors():
            made_of = (run, run.adaptor.checkpoints(), corpus, settled)
            key = (run.name, corpus_name)
            with self._lock:
                known = self._bases.get(key)
            if known is not None and all(old is new or old == new for old, new in zip(known[0], made_of, strict=True)):
                return known[1]
            found = basis_of(run, corpus, settled)
        with self._lock:
            self._bases[key] = (made_of, found)
        return found

    def version(self, run_name: str) -> str:
        """Return a version that changes with any file of the run and with its saved outputs; the same in every web
        process."""
        run = self.run(run_name)
        settled = self.named_outputs.find(run.path)
        return run.version if settled is None else f"{run.version}+{settled.version}"

    def class_names(self, run_name: str, corpus_name: str | None = None) -> tuple[str, ...]:
        """Return the names of the run's classes, in the order of its network's outputs; empty if it gives none."""
        return self.basis(run_name, corpus_name).classes.names

    # --------------------------------------------------------------------------------------------- images

    def thumbnail(self, corpus_name: str, position: int, edge_px: int | None = None) -> bytes:
        """Return the image as PNG; see :class:`mloscope.app.images.thumbnails.Thumbnails`."""
        return self._thumbnails.png(self.opened_corpus(corpus_name), position, edge_px)

    def picture(self, corpus_name: str, image: str, edge_px: int | None = None) -> bytes:
        """Return an image, or a reference to one, as PNG."""
        corpus = self.opened_corpus(corpus_name)
        position, reference = self.located(corpus, image)
        if position is not None and not reference.changes:
            return self._thumbnails.png(corpus, position, edge_px)
        return png(self.pixels(corpus, image), edge_px)

    def image_index(self, corpus_name: str) -> ImageIndex:
        """Return the search index of the corpus, kept while it is connected. Raises as :meth:`opened_corpus`."""
        corpus = self.opened_corpus(corpus_name)
        with self._lock:
            return self._image_indexes.setdefault(corpus_name, ImageIndex(corpus_name, corpus.adaptor))


def _named(name: str, known: Mapping[str, _Connected], what: str) -> _Connected:
    try:
        return known[name]
    except KeyError:
        # A link from an older version, which used the plain folder name.
        called_so = [each for each in known.values() if each.title.rpartition("/")[2] == name]
        if len(called_so) == 1:
            return called_so[0]
        more = len(known) - _NAMED
        names = ", ".join(list(known)[:_NAMED]) + (f" and {more} more" if more > 0 else "") or "none"
        raise NotFound(f'There is no {what} "{name}"; connected: {names}.') from None


def _not_opened(connected: ConnectedRun | ConnectedCorpus, what: str) -> NotPossible:
    kind = Unrecognised if connected.is_foreign else NotPossible
    problem = str(connected.problem)
    return kind(problem if connected.gone else f'The {what} "{connected.name}" could not be opened: {problem}')
