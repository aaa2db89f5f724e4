"""Prepare images for a run's network: resized, in its channels and their order, scaled, minus the mean.

corpus ──► pixels ──► fitted to the input's shape ──► scaled ──► mean subtracted ──► float32 (row, column, channel)
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import replace

import numpy as np
from PIL import Image

from mloscope.adaptors.interface import Preprocessing
from mloscope.app.errors import MloscopeError, NotFound, NotPossible
from mloscope.app.evaluation.preprocessing import FROM_OPTIONS
from mloscope.app.images.opened_corpus import InputShape, OpenedCorpus, has_shape
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.workspace.mean_file import read_mean_file

_TRAINING = ("training", "train")


class NetworkInputs:
    """Prepares images for networks. Caches the means. Thread-safe."""

    def __init__(self) -> None:
        self._means: dict[Hashable, np.ndarray] = {}
        self._lock = threading.Lock()

    def one(self, run: OpenedRun, corpus: OpenedCorpus, position: int, how: Preprocessing | None = None) -> np.ndarray:
        """Prepare one image: float32 (row, column, channel).

        Resizing is bilinear and antialiased; grey becomes colour, or colour grey. ``how`` replaces the preprocessing in
        force. Raises :class:`NotPossible` where a mean is to be subtracted that does not exist.
        """
        shape = run.adaptor.input_shape
        pixels = corpus.pixels(position)
        values = corpus.values(range(position, position + 1), shape)
        picture = _fitted(pixels, shape, run.name) if values is None else values[0]
        return self._scaled(run, corpus, picture, how or run.preprocessing)

    def of_pixels(self, run: OpenedRun, corpus: OpenedCorpus | None, pixels: np.ndarray) -> np.ndarray:
        """Prepare a picture that is not in a corpus, uint8 (row, column, 1 or 3), as :meth:`one` does. ``corpus``: whose mean
        is subtracted, where the network wants that."""
        return self._scaled(run, corpus, _fitted(pixels, run.adaptor.input_shape, run.name), run.preprocessing)

    def batch(self, run: OpenedRun, corpus: OpenedCorpus, positions: range) -> np.ndarray:
        """Prepare consecutive images: float32 (image, row, column, channel), bit-identical to :meth:`one`.

        An unreadable picture is NaN. Fast if the corpus returns blocks
        (:class:`~mloscope.adaptors.interface.HasPixelBlocks`) and no picture must be resized. Raises
        :class:`NotPossible` where the network takes any size and the images do not share one.
        """
        if not 0 <= positions.start < positions.stop <= len(corpus):
            raise NotFound(
                f'The corpus "{corpus.name}" has {len(corpus)} images; {positions.start} to {positions.stop - 1} '
                "are not all among them."
            )
        block = self._block(run, corpus, positions)
        if block is not None:
            return self._scaled(run, corpus, block, run.preprocessing)
        pictures = [self._picture(run, corpus, position) for position in positions]
        readable = [picture for picture in pictures if picture is not None]
        if len({picture.shape for picture in readable}) > 1:
            raise NotPossible(
                f'The network of the run "{run.name}" takes images of any size, and those of the corpus "{corpus.name}" '
                f"at {positions.start} to {positions.stop - 1} differ in size, so they cannot be one batch."
            )
        if not readable:
            shape = run.adaptor.input_shape or corpus.adaptor.image_shape or (1, 1, 1)
            return np.full((len(positions), *(length or 1 for length in shape)), np.nan, np.float32)
        nothing = np.zeros(readable[0].shape, np.uint8)
        stacked = np.stack([nothing if picture is None else picture for picture in pictures])
        values = self._scaled(run, corpus, stacked, run.preprocessing)
        values[[number for number, picture in enumerate(pictures) if picture is None]] = np.nan
        return values

    def black(self, run: OpenedRun, corpus: OpenedCorpus, shape: tuple[int, ...]) -> np.ndarray:
        """Prepare a black picture of this shape, (row, column, channel) of the network's input."""
        return self._scaled(run, corpus, np.zeros(shape, np.uint8), run.preprocessing)

    def mean_image(self, run: OpenedRun, corpus: OpenedCorpus, shape: tuple[int, ...]) -> np.ndarray:
        """Prepare the mean of the corpus's training split. Raises :class:`NotPossible` where it has none."""
        how = run.preprocessing
        mean, subtracted = (self._mean(run, corpus, shape, each) for each in (replace(how, mean="corpus"), how))
        assert mean is not None
        return np.ascontiguousarray(mean if subtracted is None else mean - subtracted, np.float32)

    @staticmethod
    def _block(run: OpenedRun, corpus: OpenedCorpus, positions: range) -> np.ndarray | None:
        """Return all images together at the network's size; None if they must be prepared one by one."""
        shape = run.adaptor.input_shape
        exact = corpus.values(positions, shape)
        if exact is not None:
            return exact
        block = corpus.pixel_block(positions)
        return block if block is not None and has_shape(block.shape[1:], shape) else None

    @staticmethod
    def _picture(run: OpenedRun, corpus: OpenedCorpus, position: int) -> np.ndarray | None:
        shape = run.adaptor.input_shape
        try:
            pixels = corpus.pixels(position)
            values = corpus.values(range(position, position + 1), shape)
        except MloscopeError:
            return None
        return _fitted(pixels, shape, run.name) if values is None else values[0]

    def _scaled(
        self, run: OpenedRun, corpus: OpenedCorpus | None, pixels: np.ndarray, how: Preprocessing
    ) -> np.ndarray:
        """Scale uint8 or float32 (..., row, column, channel) to float32, contiguous, and subtract the mean."""
        if how.channel_order == "bgr" and pixels.shape[-1] == 3:
            pixels = pixels[..., ::-1]
        values = np.multiply(pixels, np.float32(how.scale), dtype=np.float32, order="C")
        mean = self._mean(run, corpus, pixels.shape[-3:], how)
        if mean is not None:
            values -= mean
        return values

    def _mean(
        self, run: OpenedRun, corpus: OpenedCorpus | None, shape: tuple[int, ...], how: Preprocessing
    ) -> np.ndarray | None:
        """float32, to be subtracted from (row, column, channel) in the network's units and channel order."""
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
            return self._mean_of_file(run, how, shape)
        if corpus is None:
            raise NotPossible(
                f'The run "{run.name}" subtracts the mean image of its training data, and no corpus is connected.'
            )
        with self._lock:
            key = ("corpus", corpus.name, shape)
            mean = self._means.get(key)
            if mean is None:
                mean = self._means[key] = _training_mean(run, corpus, shape)
        mean = mean[..., ::-1] if how.channel_order == "bgr" and shape[2] == 3 else mean
        return mean * np.float32(how.scale)

    def _mean_of_file(self, run: OpenedRun, how: Preprocessing, shape: tuple[int, ...]) -> np.ndarray:
        # A path from the user may be anywhere; a run's files may only name files among them.
        folder = None if how.mean_from == FROM_OPTIONS else run.path if run.path.is_dir() else run.path.parent
        key = ("file", how.mean, folder, how.scale, shape)
        mean = self._means.get(key)
        if mean is None:  # read without a lock: a disk that does not answer holds up nobody else
            mean = self._means[key] = read_mean_file(str(how.mean), shape, run.name, how.scale, folder)
        return mean


def _training_mean(run: OpenedRun, corpus: OpenedCorpus, shape: tuple[int, ...]) -> np.ndarray:
    """Return the float32 mean of the training split's pixels, 0..255, RGB, at the network's size, without damaged
    pictures."""
    splits = corpus.adaptor.splits
    split = next((positions for name, positions in splits.items() if name in _TRAINING), None)
    if not split:
        raise NotPossible(
            f'The run "{run.name}" subtracts the mean image of the training split, but the corpus '
            f'"{corpus.name}" has none; it has: {", ".join(splits) or "no split at all"}.'
        )
    size = (shape[0], shape[1], shape[2])
    total, count = np.zeros(shape, np.float64), 0
    for position in split:
        try:
            pixels = corpus.pixels(position)
        except MloscopeError:
            continue
        values = corpus.values(range(position, position + 1), size)
        total += _fitted(pixels, size, run.name) if values is None else values[0]
        count += 1
    if not count:
        raise NotPossible(f'No picture in the training split of the corpus "{corpus.name}" can be read.')
    return (total / count).astype(np.float32)


def _fitted(pixels: np.ndarray, shape: InputShape | None, run_name: str) -> np.ndarray:
    """Return the image, uint8 (row, column, channel), with the size and channels of the network's input."""
    if shape is None:
        return pixels
    rows, columns = shape[0] or pixels.shape[0], shape[1] or pixels.shape[1]
    channels = shape[2]
    if channels not in (1, 3):
        raise NotPossible(f'The run "{run_name}" needs images with {channels} channels; those of a corpus have 1 or 3.')
    if pixels.shape == (rows, columns, channels):
        return pixels
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if picture.size != (columns, rows):
        picture = picture.resize((columns, rows), Image.Resampling.BILINEAR)
    picture = picture.convert("L" if channels == 1 else "RGB")
    return np.asarray(picture).reshape(rows, columns, channels)
