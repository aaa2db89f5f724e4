"""Define "reading everything" through the public interface, and what a correct read must satisfy."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors import registry
from mloscope.adaptors.files.metric_files import find_metric_files, on_both_axes, read_metric_files
from mloscope.adaptors.interface import AdaptorError, Checkpoint, CorpusAdaptor, HasMetrics, RunAdaptor
from mloscope.adaptors.readers.mean_image import is_mean_image, read_mean_image

MOST_PICTURES = 12


class WrongRead(Exception):
    """A read violates the interface."""


class _Refusals:
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def note(self, sentence: str) -> None:
        _promised(bool(sentence.strip()), "a refusal says nothing")
        self.sentences.append(sentence)

    def asked(self, ask: Callable[[], Any]) -> Any:
        """What is asked for; None where that is refused."""
        try:
            return ask()
        except AdaptorError as error:
            self.note(str(error))
            return None


def read_everything(path: Path, kind: str, format: str) -> list[str]:
    """Return every sentence in which something was refused. Raises WrongRead, and any exception of a reader that is not
    an AdaptorError."""
    refusals = _Refusals()
    if kind == "run":
        run = refusals.asked(lambda: registry.open_run(path, format=format))
        if run is not None:
            _read_run(run, refusals)
    elif kind == "metrics":
        _read_metric_files(path, refusals)
    else:
        corpus = refusals.asked(lambda: registry.open_corpus(path, format=format))
        if corpus is not None:
            _read_corpus(corpus, refusals)
    return refusals.sentences


def _read_run(run: RunAdaptor, refusals: _Refusals) -> None:
    checkpoints, layers = run.checkpoints(), run.layers()
    steps = [checkpoint.step for checkpoint in checkpoints]
    _promised(bool(steps) and steps == sorted(set(steps)), f"the steps are {steps}")
    _promised(all(-(2**63) <= step < 2**63 for step in steps), f"the steps are {steps}")
    known: set[str] = set()
    for layer in layers:
        _promised(layer.name not in known, f"two layers are called {layer.name!r}")
        known.add(layer.name)
        json.dumps(dict(layer.hyperparameters))
        shape = layer.output_shape
        whole = shape is None or all(size is None or _is_whole(size) for size in shape)
        _promised(isinstance(shape, tuple | None) and whole, f"the output shape of {layer.name} is {shape}")
        for parameter in layer.parameters:
            _promised(len(parameter.shape) == len(parameter.axes), f"{layer.name}/{parameter.name} lacks axes")
            whole = all(_is_whole(size) and size >= 0 for size in parameter.shape)
            _promised(whole, f"{layer.name}/{parameter.name} has the shape {parameter.shape}")
    _promised(all(set(layer.inputs) <= known for layer in layers), "a layer's input is no layer")
    _promised(all(map(_is_text, run.class_names)), "a class name is no text")
    for sentence in (*run.problems(), *(each.problem for each in (*checkpoints, *layers) if each.problem)):
        refusals.note(sentence)
    shape, preprocessing = run.input_shape, run.preprocessing
    mean = preprocessing.mean if preprocessing else None
    numbers = [preprocessing.scale, *(mean if isinstance(mean, tuple) else ())] if preprocessing else []
    _promised(all(map(math.isfinite, numbers)), f"images are prepared by {numbers}")
    _promised(all(each.epoch is None or math.isfinite(each.epoch) for each in checkpoints), "an epoch is no number")
    if isinstance(mean, str) and is_mean_image(Path(mean)) and shape and all(shape):
        refusals.asked(lambda: read_mean_image(Path(mean), shape))  # type: ignore[arg-type]
    if isinstance(run, HasMetrics):
        for name, (places, values) in run.metrics().items():
            _promised(places.dtype == np.int64 and values.dtype == np.float64, f"the curve {name} is of {values.dtype}")
            _promised(places.shape == values.shape, f"the curve {name} has {places.shape} steps, {values.shape} values")
            _promised(bool((np.diff(places) >= 0).all()), f"the curve {name} goes back in time")
    for checkpoint in checkpoints:
        refusals.asked(lambda of=checkpoint: run.fingerprint(of))
        for layer in layers:
            arrays = refusals.asked(lambda of=checkpoint, at=layer: run.parameters(of, at))
            if arrays is not None:
                wanted = {parameter.name: parameter.shape for parameter in layer.parameters}
                found = {name: array.shape for name, array in arrays.items()}
                _promised(found == wanted, f"{layer.name} has the arrays {found} where {wanted} are promised")
                odd = [str(array.dtype) for array in arrays.values() if array.dtype.kind not in "fiubc"]
                _promised(not odd, f"{layer.name} holds {odd}")


def _read_corpus(corpus: CorpusAdaptor, refusals: _Refusals) -> None:
    count, labels, names = len(corpus), corpus.labels, corpus.names()
    _promised(labels.dtype == np.int32 and labels.shape == (count,), f"labels are {labels.dtype} {labels.shape}")
    _promised(len(names) == count, f"{len(names)} names for {count} images")
    lowest, highest = int(labels.min(initial=-1)), int(labels.max(initial=-1))
    _promised(lowest >= -1 and highest < max(1, len(corpus.class_names)), f"labels run from {lowest} to {highest}")
    _promised(all(map(_is_text, corpus.class_names)), "a class name is no text")
    _promised(sum(len(places) for places in corpus.splits.values()) == count, "the splits do not hold all images")
    shape = corpus.image_shape
    for position in sorted({*range(min(count, MOST_PICTURES // 2)), *range(max(0, count - MOST_PICTURES // 2), count)}):
        record = corpus.record(position)
        _promised(corpus.position(record.id) == position, f"the id {record.id} leads elsewhere")
        _promised(isinstance(record.name, str), "an image's name is no text")
        pixels = refusals.asked(lambda at=position: corpus.pixels(at))
        if pixels is not None:
            is_picture = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (1, 3)
            _promised(is_picture, f"a picture is {pixels.dtype} {pixels.shape}")
            _promised(shape in (None, pixels.shape), f"a picture is {pixels.shape} where {shape} is promised")
    for sentence in corpus.problems():
        refusals.note(sentence)


def _read_metric_files(path: Path, refusals: _Refusals) -> None:
    curves, problems = read_metric_files(find_metric_files(path))
    checkpoints = [Checkpoint(step, f"epoch_{step}") for step in range(1, 4)]
    both, said = on_both_axes(curves, checkpoints)
    with_epochs, _ = on_both_axes(curves, [Checkpoint(10 * step, f"epoch_{step}", epoch=step) for step in range(1, 4)])
    for curve in (*curves, *both, *with_epochs):
        _promised(curve.x.shape == curve.y.shape, f"{curve.name} has {curve.x.shape} places, {curve.y.shape} values")
        _promised(bool((curve.x[1:] > curve.x[:-1]).all()), f"{curve.name} goes back in time")
        _promised(curve.y.dtype == np.float64, f"{curve.name} is of {curve.y.dtype}")
    for sentence in (*problems, *said):
        refusals.note(sentence)


def _is_whole(size: object) -> bool:
    return isinstance(size, int) and not isinstance(size, bool)


def _is_text(name: object) -> bool:
    return isinstance(name, str) and all(ord(letter) < 0xD800 or 0xDFFF < ord(letter) < 0x110000 for letter in name)


def _promised(kept: bool, otherwise: str) -> None:
    if not kept:
        raise WrongRead(otherwise[:500])
