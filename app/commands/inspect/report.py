"""What a run or a corpus holds, and what of it cannot be read and why, as plain data that ``json.dumps`` takes.

A path may hold a run, a corpus, or both.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors import registry
from mloscope.adaptors.interface import (
    AdaptorError,
    CorpusAdaptor,
    Layer,
    NothingFits,
    RunAdaptor,
    RunOptions,
)
from mloscope.app.evaluation.basis import Basis, basis_of
from mloscope.app.evaluation.trial import NOT_TRIED, Trial
from mloscope.app.workspace.connected import ConnectedRun
from mloscope.app.workspace.entries import CorpusEntry
from mloscope.app.workspace.workspace import Workspace


def inspect(
    path: Path,
    options: RunOptions | None = None,
    format: str | None = None,
    *,
    images: CorpusEntry | None = None,
    attempt: Callable[[ConnectedRun, Basis], Trial] = lambda run, basis: NOT_TRIED,
) -> dict[str, Any]:
    """``{"path", "run": {...} or None, "corpus": {...} or None, "refused": [sentence, ...]}``.

    ``images``: a corpus, to say what numbers of the run over it would rest on. ``attempt`` finds out whether the network can
    be evaluated, as :func:`mloscope.app.evaluation.trial.try_network` does.

    ``format`` is that of a run or of a corpus adaptor; without it whatever fits is opened. ``refused`` says
    what else looked like a run or corpus and could not be opened. Raises :class:`AdaptorError` where there is
    nothing to tell."""
    run: RunAdaptor | None = None
    corpus: CorpusAdaptor | None = None
    failures: list[AdaptorError] = []
    corpus_formats = {registered.name for registered in registry.corpus_adaptors()}
    if format is None or format not in corpus_formats:
        try:
            run = registry.open_run(path, options, format)
        except AdaptorError as error:
            failures.append(error)
    if format is None or format in corpus_formats:
        try:
            corpus = registry.open_corpus(path, format)
        except AdaptorError as error:
            failures.append(error)
    if run is None and corpus is None:
        # "Broken" says more than "not mine"; where nobody knows the path, both say who looked.
        telling = [error for error in failures if not isinstance(error, NothingFits)] or failures
        sentences = list(dict.fromkeys(str(error) for error in telling))
        raise type(telling[0])(" ".join(sentences)) from telling[0]
    return {
        "path": str(path),
        "run": None if run is None else _run(run, path, options or RunOptions(), images, attempt),
        "corpus": None if corpus is None else _corpus(corpus),
        "refused": [str(error) for error in failures if not isinstance(error, NothingFits)],
    }


def _run(
    run: RunAdaptor,
    path: Path,
    options: RunOptions,
    images: CorpusEntry | None,
    attempt: Callable[[ConnectedRun, Basis], Trial],
) -> dict[str, Any]:
    layers = run.layers()
    connected = ConnectedRun("run", path, run, options)
    corpora = Workspace.connect([], [images]).corpora if images is not None else ()
    for corpus in corpora:
        if corpus.problem:
            raise NothingFits(corpus.problem)
    basis = basis_of(connected, corpora[0] if corpora else None)
    trial = attempt(connected, basis)
    return {
        "format": run.format,
        "input_shape": None if run.input_shape is None else list(run.input_shape),
        "class_names": list(run.class_names),
        "basis": basis.json(),
        "basis_lines": basis.lines(),
        "evaluable": trial.possible,
        "evaluation_problem": trial.problem,
        "parameter_count": sum(layer.parameter_count for layer in layers),
        "checkpoints": [
            {
                "step": checkpoint.step,
                "label": checkpoint.label or str(checkpoint.step),
                "epoch": checkpoint.epoch,
                "name": checkpoint.name,
                "problem": checkpoint.problem,
            }
            for checkpoint in run.checkpoints()
        ],
        "layers": [_layer(layer) for layer in layers],
        "problems": list(run.problems()),
    }


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "source_class": layer.source_class,
        "inputs": list(layer.inputs),
        "output_shape": None if layer.output_shape is None else list(layer.output_shape),
        "parameter_count": layer.parameter_count,
        "parameters": [
            {"name": parameter.name, "shape": list(parameter.shape), "axes": list(parameter.axes)}
            for parameter in layer.parameters
        ],
        "problem": layer.problem,
    }


def _corpus(corpus: CorpusAdaptor) -> dict[str, Any]:
    labels = np.asarray(corpus.labels)
    names = corpus.class_names
    splits = {}
    for name, positions in corpus.splits.items():
        own = labels[positions.start : positions.stop]
        splits[name] = {
            "images": len(positions),
            "of_class": np.bincount(own[own >= 0], minlength=len(names)).tolist(),
            "without_label": int((own < 0).sum()),
        }
    return {
        "format": corpus.format,
        "images": len(corpus),
        "image_shape": None if corpus.image_shape is None else list(corpus.image_shape),
        "class_names": list(names),
        "splits": splits,
        "problems": list(corpus.problems()),
    }
