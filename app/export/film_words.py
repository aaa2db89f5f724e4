"""What a saved film says of itself: what is shown, what its units are called, and the name of its file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mloscope.app.errors import MloscopeError
from mloscope.app.films.kinds import FilmKind, FilmQuestion
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.runs.unit_selection import format_units

HANDS_ON = {"activation", "softmax", "flatten", "reshape", "dropout", "squeeze", "identity"}
"""Kinds of layers whose units are those of the layer before them."""


def caption(question: FilmQuestion, kind: FilmKind, header: Mapping[str, Any]) -> str:
    """``lenet · conv2 · kernel · 16 units · 6 channels · 5 × 5``"""
    rows, columns = header["rows"], header["columns"]
    size = f"{columns} values each" if rows == 1 < columns else f"{rows} × {columns}" if columns > 1 else ""
    channels = len(header["channels"]) > 1 or header["channel_total"] > 1
    words = (
        question.run.name,
        header["layer"],
        header["parameter"] or kind.title.lower(),
        f"of {question.image}" if kind.needs_image and question.image else "",
        _numbered("unit", header["units"], header["unit_total"]),
        _numbered("channel", header["channels"], header["channel_total"]) if channels else "",
        f"{size} × RGB" if header["components"] == 3 else size,
    )
    return " · ".join(filter(None, words))


def unit_names(run: OpenedRun, corpus: str | None, header: Mapping[str, Any]) -> list[str]:
    """Return what each unit is called: its number, and its class where the layer gives the classes or leads straight to the layer
    that does."""
    units = header["units"]
    try:
        basis = run.basis(corpus)
    except MloscopeError:
        return [str(unit) for unit in units]
    names = basis.classes.names
    if len(names) != header["unit_total"] or not _gives_classes(run, header["layer"], basis.output.layer):
        return [str(unit) for unit in units]
    return [str(unit) if names[unit] in (str(unit), f"output {unit}") else f"{unit} {names[unit]}" for unit in units]


def file_name(question: FilmQuestion, steps: Sequence[int], ending: str) -> str:
    """``lenet-conv2-parameters-0-to-2000.mp4``"""
    words = f"{question.run.name}-{question.layer.name}-{question.kind}-{steps[0]}-to-{steps[-1]}"
    return re.sub(r"[^\w.-]+", "-", words, flags=re.ASCII) + f".{ending}"


def _gives_classes(run: OpenedRun, layer: str, output: str | None) -> bool:
    by_name = {known.name: known for known in run.layers}
    known = by_name.get(output or "")
    while known is not None and known.name != layer and known.kind in HANDS_ON and len(known.inputs) == 1:
        known = by_name.get(known.inputs[0])
    return known is not None and known.name == layer


def _numbered(word: str, numbers: Sequence[int], total: int) -> str:
    if len(numbers) == total:
        return f"{total} {word}{'' if total == 1 else 's'}"
    return f"{word}s {format_units(numbers)} of {total}"
