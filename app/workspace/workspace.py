"""What is connected: runs and corpora under URL-safe names, and what both together give: the network's input."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
from cachetools import LRUCache
from PIL import Image

from mloscope.adaptors.interface import (
    AdaptorError,
    CorpusAdaptor,
    HasPixelBlocks,
    HasPixelValues,
    Preprocessing,
    RunAdaptor,
)
from mloscope.app.errors import BadRequest, NotFound, NotPossible, Unrecognised, from_adaptor
from mloscope.app.evaluation.basis import Basis, basis_of
from mloscope.app.evaluation.named_outputs import NamedOutputsStore
from mloscope.app.evaluation.preprocessing import FROM_OPTIONS
from mloscope.app.workspace.answering_disks import AnsweringDisks
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.connecting import Opening
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.mean_file import read_mean_file

_THUMBNAIL_BUDGET_BYTES = 32 << 20
_MOST_WORDS = 32
_MOST_BASES = 256

# ---------------------------------------------------------------------------------------- what to connect


@dataclass(frozen=True)
class Found:
    """A page of a search."""

    positions: tuple[int, ...]
    total: int
    """How many images match in all."""


_Connected = TypeVar("_Connected", ConnectedRun, ConnectedCorpus)


@dataclass(frozen=True)
class _Connections:
    """What is connected at one moment. Replaced as a whole, so that nobody sees half of a change."""

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
        *,
        disks: AnsweringDisks | None = None,
    ) -> None:
        """``disks``: asked whether they answer before anything is read of a run or corpus."""
        self.disks = disks or AnsweringDisks()
        self.named_outputs = named_outputs or NamedOutputsStore(None)
        """What was settled on pages and through REST about the runs' outputs."""
        self._connections = _Connections.of(runs, corpora)
        self._bases: MutableMapping[tuple[str, str | None], tuple[Any, Basis]] = LRUCache(_MOST_BASES)
        self._texts: dict[str, list[str]] = {}
        self._means: dict[tuple[Any, ...], np.ndarray] = {}
        self._lock = threading.Lock()
        self._mean_lock = threading.Lock()
        self._thumbnails = _thumbnail_cache()

    @property
    def runs(self) -> tuple[ConnectedRun, ...]:
        return self._connections.runs

    @property
    def corpora(self) -> tuple[ConnectedCorpus, ...]:
        return self._connections.corpora

    def replace(self, runs: Sequence[ConnectedRun], corpora: Sequence[ConnectedCorpus]) -> None:
        """Connect these instead, all at once; a question that is being answered goes on with what it began with. Raises
        ValueError where two share a name."""
        connections = _Connections.of(runs, corpora)
        changed = any(self._connections.corpus_by_name.get(corpus.name) != corpus for corpus in corpora)
        with self._lock, self._mean_lock:
            self._connections = connections
            if changed:  # what is remembered of images is remembered by the corpus's name
                self._texts, self._means = {}, {}
                self._thumbnails = _thumbnail_cache()

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
        """Open everything. What cannot be opened stays in the list with its problem, and the rest works.

        ``open_run(path, options, format)`` and ``open_corpus(path, format)`` default to the registry's.
        """
        opening = Opening.of([*runs, *corpora], open_run, open_corpus, disks)
        return cls(opening.runs(runs), opening.corpora(corpora), disks=opening.disks)

    def run(self, name: str) -> ConnectedRun:
        """The run of this name, which may have a problem. Raises :class:`NotFound`."""
        return _named(name, self._connections.run_by_name, "run")

    def corpus(self, name: str) -> ConnectedCorpus:
        """The corpus of this name, which may have a problem. Raises :class:`NotFound`."""
        return _named(name, self._connections.corpus_by_name, "corpus")

    def opened_run(self, name: str) -> tuple[ConnectedRun, RunAdaptor]:
        """The run and its adaptor. Raises :class:`NotFound`, :class:`NotPossible` where it could not be opened, and
        :class:`Unavailable` where its disk does not answer just now."""
        run = self.run(name)
        if run.adaptor is None:
            kind = Unrecognised if run.is_foreign else NotPossible
            raise kind(str(run.problem) if run.gone else f'The run "{name}" could not be opened: {run.problem}')
        self.disks.check(run.path, f'The run "{name}"')
        return run, run.adaptor

    def opened_corpus(self, name: str) -> tuple[ConnectedCorpus, CorpusAdaptor]:
        """The corpus and its adaptor. Raises as :meth:`opened_run`."""
        corpus = self.corpus(name)
        if corpus.adaptor is None:
            problem = str(corpus.problem)
            kind = Unrecognised if corpus.is_foreign else NotPossible
            raise kind(problem if corpus.gone else f'The corpus "{name}" could not be opened: {problem}')
        self.disks.check(corpus.path, f'The corpus "{name}"')
        return corpus, corpus.adaptor

    def corpus_of(self, run_name: str) -> str | None:
        """The corpus to show with a run where none is chosen: its own, else the first that could be opened,
        else None."""
        own = self.run(run_name).corpus
        if own is not None and own in self._connections.corpus_by_name:
            return own
        usable = [corpus for corpus in self.corpora if corpus.adaptor is not None]
        return (usable or list(self.corpora) or [None])[0].name if self.corpora else None

    def basis(self, run_name: str, corpus_name: str | None = None) -> Basis:
        """What the numbers of the run over the corpus (default: the run's own, if any can be opened) rest on. Raises
        :class:`NotFound`, and :class:`NotPossible` where the run could not be opened."""
        run, adaptor = self.opened_run(run_name)
        corpus_name = corpus_name or self.corpus_of(run_name)
        corpus = self.corpus(corpus_name) if corpus_name else None
        settled = self.named_outputs.find(run.path)
        made_of = (run, adaptor.checkpoints(), corpus, settled)
        key = (run_name, corpus_name)
        with self._lock:
            known = self._bases.get(key)
        if known is not None and all(old is new or old == new for old, new in zip(known[0], made_of, strict=True)):
            return known[1]
        try:
            found = basis_of(run, corpus, settled)
        except AdaptorError as error:
            raise from_adaptor(error) from error
        with self._lock:
            self._bases[key] = (made_of, found)
        return found

    def version(self, run_name: str) -> str:
        """Another one whenever a file of the run, or what somebody settled of its outputs, is another one; the same in every
        web process."""
        run = self.run(run_name)
        settled = self.named_outputs.find(run.path)
        return run.version if settled is None else f"{run.version}+{settled.version}"

    def class_names(self, run_name: str, corpus_name: str | None = None) -> tuple[str, ...]:
        """Names of the classes that the run's network tells, in the order of its outputs; empty where it tells none."""
        return self.basis(run_name, corpus_name).classes.names

    # --------------------------------------------------------------------------------------------- images

    def position(self, corpus_name: str, image_id: str) -> int:
        """Where the image of this id stands in the corpus. Raises :class:`NotFound`."""
        _, adaptor = self.opened_corpus(corpus_name)
        try:
            return adaptor.position(image_id)
        except AdaptorError as error:
            raise from_adaptor(error) from error

    def pixels(self, corpus_name: str, position: int) -> np.ndarray:
        """uint8 (row, column, channel), channel 1 or 3. Raises :class:`NotPossible` where the picture is
        broken."""
        _, adaptor = self.opened_corpus(corpus_name)
        if not 0 <= position < len(adaptor):
            raise NotFound(
                f'The corpus "{corpus_name}" has no image at position {position}; it has 0 to {len(adaptor) - 1}.'
            )
        try:
            return adaptor.pixels(position)
        except AdaptorError as error:
            raise from_adaptor(error) from error

    def image_digest(self, corpus_name: str, position: int) -> str:
        """Hex digest of the image's shape and of its pixels, and of what its file holds beyond them."""
        pixels = self.pixels(corpus_name, position)
        digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(pixels))
        values = self._values(corpus_name, range(position, position + 1), None)
        if values is not None:
            digest.update(np.ascontiguousarray(values))
        return digest.hexdigest()

    def thumbnail(self, corpus_name: str, position: int, edge_px: int | None = None) -> bytes:
        """The image as PNG, its longer edge at most ``edge_px`` pixels; never enlarged. None: at its own
        size."""
        if edge_px is not None and not 1 <= edge_px <= 4096:
            raise BadRequest(f"edge = {edge_px} cannot be; it must be from 1 to 4096 pixels.")
        key = (corpus_name, position, edge_px)
        with self._lock:
            found = self._thumbnails.get(key)
        if found is None:
            pixels = self.pixels(corpus_name, position)
            picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
            if edge_px is not None and max(picture.size) > edge_px:
                picture.thumbnail((edge_px, edge_px), Image.Resampling.BILINEAR, reducing_gap=None)
            file = io.BytesIO()
            picture.save(file, "PNG", compress_level=1)
            found = file.getvalue()
            with self._lock:
                self._thumbnails[key] = found
        return found

    def search(
        self,
        corpus_name: str,
        text: str = "",
        label: int | str | None = None,
        split: str | None = None,
        offset: int = 0,
        limit: int = 60,
        seed: int | None = None,
    ) -> Found:
        """Positions of the images whose name, id or class name has every word of ``text`` in it, in any case.

        ``label`` is a class's index or name; ``seed`` shuffles them, the same seed always the same way.
        Raises :class:`NotFound` for a split or class that the corpus has not.
        """
        _, adaptor = self.opened_corpus(corpus_name)
        positions: Any = range(len(adaptor))
        if split is not None:
            if split not in adaptor.splits:
                known = ", ".join(adaptor.splits)
                raise NotFound(f'The corpus "{corpus_name}" has no split "{split}"; it has: {known}.')
            positions = adaptor.splits[split]
        if label is not None:
            number = self._class_number(corpus_name, adaptor, label)
            labels = np.asarray(adaptor.labels)[positions.start : positions.stop]
            positions = (np.flatnonzero(labels == number) + positions.start).tolist()
        words = dict.fromkeys(text.casefold().split())
        if len(words) > _MOST_WORDS:
            raise BadRequest(f"The search has {len(words)} words; {_MOST_WORDS} are the most.")
        for word in words:
            texts = self._search_texts(corpus_name, adaptor)
            positions = [position for position in positions if word in texts[position]]
        total = len(positions)
        if seed is not None:
            order = np.random.default_rng(seed % 2**64).permutation(total)[offset : offset + limit]
            return Found(tuple(int(positions[i]) for i in order), total)
        return Found(tuple(positions[offset : offset + limit]), total)

    def _class_number(self, corpus_name: str, adaptor: CorpusAdaptor, label: int | str) -> int:
        names = adaptor.class_names
        if isinstance(label, str) and label in names:
            return names.index(label)
        said = str(label)
        if said.isdecimal() and len(said) < 20 and int(said) < max(len(names), 1 + max(adaptor.labels, default=-1)):
            return int(said)
        raise NotFound(f'The corpus "{corpus_name}" has no class "{label}"; it has: {", ".join(names)}.')

    def _search_texts(self, corpus_name: str, adaptor: CorpusAdaptor) -> list[str]:
        """Lower-case name, id and class name of every image, made once."""
        texts = self._texts.get(corpus_name)
        if texts is None:
            classes = [name.casefold() for name in adaptor.class_names]
            labels = np.asarray(adaptor.labels).tolist()
            texts = [
                f"{name}\n{adaptor.record(i).id}\n".casefold()
                + (classes[labels[i]] if 0 <= labels[i] < len(classes) else "")
                for i, name in enumerate(adaptor.names())
            ]
            with self._lock:
                texts = self._texts.setdefault(corpus_name, texts)
        return texts

    # ---------------------------------------------------------------------------------- the network's input

    def network_input(
        self, run_name: str, corpus_name: str, position: int, how: Preprocessing | None = None
    ) -> np.ndarray:
        """float32 (row, column, channel): the image as the run's network takes it.

        Resized to the run's input (bilinear, antialiased), grey made colour or colour grey, in the run's
        channel order, scaled, and the mean subtracted. ``how`` comes in place of the preprocessing in force. Raises
        :class:`NotPossible` where a mean is asked for that there is not.
        """
        run, adaptor = self.opened_run(run_name)
        if how is not None:
            run = replace(run, options=replace(run.options, preprocessing=how))
        pixels = self.pixels(corpus_name, position)
        values = self._values(corpus_name, range(position, position + 1), adaptor.input_shape)
        if values is not None:
            return self._scaled(run, corpus_name, values[0])
        return self._scaled(run, corpus_name, _fitted(pixels, adaptor.input_shape, run_name))

    def network_inputs(self, run_name: str, corpus_name: str, positions: range) -> np.ndarray:
        """float32 (image, row, column, channel): :meth:`network_input` of consecutive positions, bit for bit.

        A picture that cannot be read is NaN. Quick where the corpus gives blocks
        (:class:`~mloscope.adaptors.interface.HasPixelBlocks`) and no picture has to be resized. Raises
        :class:`NotPossible` where the images do not all come out in one shape, for the network takes any size.
        """
        run, adaptor = self.opened_run(run_name)
        _, corpus = self.opened_corpus(corpus_name)
        shape = adaptor.input_shape
        if not 0 <= positions.start < positions.stop <= len(corpus):
            raise NotFound(
                f'The corpus "{corpus_name}" has {len(corpus)} images; {positions.start} to {positions.stop - 1} '
                "are not all among them."
            )
        exact = self._values(corpus_name, positions, shape)
        if exact is not None:
            return self._scaled(run, corpus_name, exact)
        if isinstance(corpus, HasPixelBlocks):
            try:
                block = corpus.pixel_block(positions)
            except AdaptorError as error:
                raise from_adaptor(error) from error
            if block is not None:
                _, *own = block.shape
                if _is_of_shape(own, shape):
                    return self._scaled(run, corpus_name, block)
        pixels: list[np.ndarray | None] = []
        for position in positions:
            try:
                picture = corpus.pixels(position)
                values = self._values(corpus_name, range(position, position + 1), shape)
                pixels.append(_fitted(picture, shape, run_name) if values is None else values[0])
            except AdaptorError:
                pixels.append(None)
        readable = [picture for picture in pixels if picture is not None]
        shapes = {picture.shape for picture in readable}
        if len(shapes) > 1:
            raise NotPossible(
                f'The network of the run "{run_name}" takes images of any size, and those of the corpus "{corpus_name}" '
                f"at {positions.start} to {positions.stop - 1} differ in theirs, so they cannot be one batch."
            )
        if not readable:
            lost = tuple(length or 1 for length in shape or corpus.image_shape or (1, 1, 1))
            return np.full((len(positions), *lost), np.nan, np.float32)
        nothing = np.zeros(readable[0].shape, np.uint8)
        values = self._scaled(
            run, corpus_name, np.stack([nothing if picture is None else picture for picture in pixels])
        )
        values[[number for number, picture in enumerate(pixels) if picture is None]] = np.nan
        return values

    def _values(
        self, corpus_name: str, positions: range, shape: tuple[int | None, int | None, int] | None
    ) -> np.ndarray | None:
        """What the corpus's files hold where that is more than pixels and has the network's shape already: float32 (image,
        row, column, channel), 0..255. Else None: the network gets the pixels, as whoever resizes them sees them."""
        _, corpus = self.opened_corpus(corpus_name)
        if not isinstance(corpus, HasPixelValues):
            return None
        try:
            values = corpus.pixel_values(positions)
        except AdaptorError as error:
            raise from_adaptor(error) from error
        return values if values is not None and _is_of_shape(values.shape[1:], shape) else None

    def _scaled(self, run: ConnectedRun, corpus_name: str, pixels: np.ndarray) -> np.ndarray:
        """uint8 or float32 (..., row, column, channel) as the run's network takes it, float32, contiguous."""
        how = run.preprocessing
        if how.channel_order == "bgr" and pixels.shape[-1] == 3:
            pixels = pixels[..., ::-1]
        values = np.multiply(pixels, np.float32(how.scale), dtype=np.float32, order="C")
        mean = self._mean(run, corpus_name, pixels.shape[-3:])
        if mean is not None:
            values -= mean
        return values

    def _mean(self, run: ConnectedRun, corpus_name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """float32, to be subtracted from (row, column, channel) in the network's units and channel order."""
        how = run.preprocessing
        if how.mean is None:
            return None
        if isinstance(how.mean, tuple):
            if len(how.mean) not in (1, shape[2]):
                raise NotPossible(
                    f'The mean of the run "{run.name}" has {len(how.mean)} numbers, '
                    f"but its images have {shape[2]} channels."
                )
            return np.asarray(how.mean, np.float32)
        if how.mean != "corpus":
            # What the user named may lie anywhere; a run's files may name only what lies among them.
            folder = None if how.mean_from == FROM_OPTIONS else run.path if run.path.is_dir() else run.path.parent
            key = (how.mean, folder, how.scale, shape)
            mean = self._means.get(key)
            if mean is None:  # read without a lock: a disk that does not answer holds up nobody else
                mean = self._means[key] = read_mean_file(how.mean, shape, run.name, how.scale, folder)
            return mean
        with self._mean_lock:
            key = (how.mean, corpus_name, shape)
            mean = self._means.get(key)
            if mean is None:
                mean = self._means[key] = self._training_mean(run.name, corpus_name, shape)
        mean = mean[..., ::-1] if how.channel_order == "bgr" and shape[2] == 3 else mean
        return mean * np.float32(how.scale)

    def _training_mean(self, run_name: str, corpus_name: str, shape: tuple[int, ...]) -> np.ndarray:
        """float32 mean of the training split's pixels, 0..255, RGB, at the network's size; broken pictures
        left out."""
        _, adaptor = self.opened_corpus(corpus_name)
        split = next((s for name, s in adaptor.splits.items() if name in ("training", "train")), None)
        if not split:
            raise NotPossible(
                f'The run "{run_name}" subtracts the mean image of the training split, but the corpus '
                f'"{corpus_name}" has none; it has: {", ".join(adaptor.splits) or "no split at all"}.'
            )
        total, count = np.zeros(shape, np.float64), 0
        for position in split:
            try:
                pixels = adaptor.pixels(position)
            except AdaptorError:
                continue
            values = self._values(corpus_name, range(position, position + 1), (shape[0], shape[1], shape[2]))
            total += _fitted(pixels, (shape[0], shape[1], shape[2]), run_name) if values is None else values[0]
            count += 1
        if not count:
            raise NotPossible(f'No picture of the training split of the corpus "{corpus_name}" can be read.')
        return (total / count).astype(np.float32)


def _named(name: str, known: Mapping[str, _Connected], what: str) -> _Connected:
    try:
        return known[name]
    except KeyError:
        # A link from when folders of this name were called by it alone.
        called_so = [each for each in known.values() if each.title.rpartition("/")[2] == name]
        if len(called_so) == 1:
            return called_so[0]
        names = ", ".join(known) or "none"
        raise NotFound(f'There is no {what} "{name}"; connected: {names}.') from None


def _is_of_shape(own: Sequence[int], shape: tuple[int | None, int | None, int] | None) -> bool:
    """Whether (row, column, channel) is what the network takes, without resizing and without making grey of colours."""
    return shape is None or all(wanted in (None, has) for wanted, has in zip(shape, own, strict=True))


def _fitted(pixels: np.ndarray, shape: tuple[int | None, int | None, int] | None, run_name: str) -> np.ndarray:
    """The image, uint8 (row, column, channel), at the size and with the channels of the network's input."""
    if shape is None:
        return pixels
    rows, columns = shape[0] or pixels.shape[0], shape[1] or pixels.shape[1]
    channels = shape[2]
    if channels not in (1, 3):
        raise NotPossible(f'The run "{run_name}" takes images of {channels} channels; images of a corpus have 1 or 3.')
    if pixels.shape == (rows, columns, channels):
        return pixels
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if picture.size != (columns, rows):
        picture = picture.resize((columns, rows), Image.Resampling.BILINEAR)
    picture = picture.convert("L" if channels == 1 else "RGB")
    return np.asarray(picture).reshape(rows, columns, channels)


def _thumbnail_cache() -> MutableMapping[Any, bytes]:
    """The most recently used ones, up to a sum of bytes."""
    return LRUCache(_THUMBNAIL_BUDGET_BYTES, getsizeof=lambda png: min(len(png), _THUMBNAIL_BUDGET_BYTES))
