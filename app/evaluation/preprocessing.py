"""Preprocessing of pixels before evaluation, and the source of each part.

what the user said ──► what the run's files say ──► what the network's own layers and input show ──► 1/255, assumed
"""

from __future__ import annotations

from dataclasses import replace

from mloscope.adaptors.interface import ASSUMED, Layer, Preprocessing, RunAdaptor
from mloscope.app.evaluation.own_preprocessing import OwnPreprocessing, own_preprocessing

ASSUMED_PREPROCESSING = Preprocessing(scale=1 / 255, scale_from=ASSUMED)
"""What is done to pixels where nothing says anything."""
FROM_OPTIONS, FROM_FILES, BY_DEFAULT = "option", "the run's files", "default"


def resolve(said: Preprocessing | None, run: RunAdaptor | None) -> tuple[Preprocessing, OwnPreprocessing | None]:
    """Return the effective preprocessing, each part with its source, and what the network does itself.

    ``said``: by the user. ``run`` None: it could not be opened."""
    own = own_preprocessing(run) if run is not None else None
    in_files = run.preprocessing if run is not None else None
    if said is not None:
        how = _sourced(said if in_files is None else _completed(said, in_files), FROM_OPTIONS)
        if how.scale_from == ASSUMED and how.mean is None:  # the user said something else than a scale
            found = _from_network(run, own)
            how = replace(how, scale=found.scale, scale_from=found.scale_from)
        return how, own
    return (_sourced(in_files, FROM_FILES) if in_files is not None else _from_network(run, own)), own


def _completed(said: Preprocessing, in_files: Preprocessing) -> Preprocessing:
    """Complete the user's settings from the files': a user who sets a scale does not mean to change the channel order
    or drop the mean. A mean of numbers stays in units of pixels if the scale differs from the files'."""
    known = _sourced(in_files, FROM_FILES)
    how = said
    if said.scale_from == ASSUMED:
        how = replace(how, scale=known.scale, scale_from=known.scale_from)
    if said.channel_order_from == BY_DEFAULT:
        how = replace(how, channel_order=known.channel_order, channel_order_from=known.channel_order_from)
    if said.mean is None and known.mean is not None:
        mean = known.mean
        if isinstance(mean, tuple):
            mean = tuple(value * how.scale / known.scale for value in mean)
        how = replace(how, mean=mean, mean_from=known.mean_from)
    return how


def _sourced(how: Preprocessing, source: str) -> Preprocessing:
    return replace(
        how,
        scale_from=how.scale_from or source,
        mean_from=how.mean_from or (source if how.mean is not None else BY_DEFAULT),
        channel_order_from=how.channel_order_from or source,
    )


def _from_network(run: RunAdaptor | None, own: OwnPreprocessing | None) -> Preprocessing:
    dtype = input_dtype(run) if run is not None else None
    if dtype is not None and "int" in dtype:
        how = Preprocessing(1.0, scale_from=f"the network's input is of type {dtype}")
    elif own is not None and own.takes is not None:
        by = ", ".join(own.layers[:3]) + (" ..." if len(own.layers) > 3 else "")
        how = Preprocessing(1.0 if own.takes > 1 else 1 / 255, scale_from=f"the network's own layers ({by})")
    else:
        how = ASSUMED_PREPROCESSING
    return replace(how, mean_from=BY_DEFAULT, channel_order_from=BY_DEFAULT)


def input_dtype(run: RunAdaptor) -> str | None:
    """Return the type that the network's input declares, such as ``uint8``, or None."""
    found: Layer | None = next((layer for layer in run.layers() if layer.kind == "input"), None)
    dtype = found.hyperparameters.get("dtype") if found is not None else None
    return dtype if isinstance(dtype, str) else None
