"""The view: everything that one link holds. Written once here; the browser reads :func:`schema`.

The address of a view is path (which page), search (``?run=&corpus=``: what the page needs in order to exist) and hash: one
readable ``key=value`` each, in the order of :data:`FIELDS`, defaults left out: ``#step=120&layer=conv2&units=0-31&image=test-42``.

Bad entries never fail a page: :func:`parse` gives the default and a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

MAXIMUM_UNIT = 1_000_000
"""A unit number beyond this is a typing error, not a layer; so are more numbers than this, repeated ones counted."""


@dataclass(frozen=True)
class Field:
    """One key of the hash. ``kind`` is one of text, choice, number (whole, 0 or more, or absent), units, flag."""

    key: str
    kind: str
    default: Any
    help: str
    choices: tuple[str, ...] = ()


FIELDS = (
    Field("step", "number", None, "the moment of training; the last checkpoint where absent"),
    Field("layer", "text", "", "name of the selected layer; the first with parameters where absent"),
    Field("unit", "number", 0, "the selected unit: it is outlined and enlarged"),
    Field("units", "units", "", 'the units shown, "0-15,40"; where absent all, or the first page of many'),
    Field("channels", "units", "", "the incoming channels shown of each filter, in the same notation"),
    Field("parameter", "text", "", "which array of the layer: kernel, bias, gamma ...; the first where absent"),
    Field("image", "text", "", "id of the selected image"),
    Field("mode", "choice", "both", "what is drawn", ("parameters", "features", "both")),
    Field(
        "colour",
        "choice",
        "auto",
        "colour table",
        ("auto", "viridis", "cividis", "magma", "grey", "blue-red", "purple-green"),
    ),
    Field("range", "choice", "fixed", "what the ends of the colour scale follow", ("fixed", "step", "unit")),
    Field("symmetric", "choice", "auto", "whether the scale is symmetric about zero", ("auto", "yes", "no")),
    Field("layout", "choice", "tiles", "how dense weights are drawn", ("tiles", "matrix")),
    Field("zoom", "choice", "fit", "screen pixels for each value", ("fit", "1", "2", "4", "8", "16", "32")),
    Field("fold", "text", "", "ids of the graph's blocks that stand open, separated by commas"),
    Field("split", "text", "", "the split that statistics are shown of; test where there is one, else the last"),
    Field("actual", "number", None, "row of the selected cell of the confusion matrix: a class number"),
    Field("predicted", "number", None, "its column: a class number; the number of classes for not predicted"),
    Field("shade", "choice", "count", "what the matrix's shading follows", ("count", "row", "column")),
    Field("diagonal", "choice", "all", "whether the diagonal is shaded too", ("all", "off")),
    Field("order", "choice", "given", "order of the matrix's classes", ("given", "name", "similarity", "group")),
    Field("area", "text", "", "rows and columns of the matrix in view, as positions: 0-19,40-59; all where absent"),
    Field("cell-order", "choice", "confident", "order of a cell's images", ("confident", "unsure", "position")),
    Field("cell-offset", "number", 0, "how many of the cell's images come before the page shown"),
    Field("pairs", "choice", "confused", "which pairs of classes are listed", ("confused", "growing")),
    Field("since", "number", None, "the earlier step of what changed; the checkpoint before where absent"),
    Field("cluster", "number", None, "the selected cluster: its images are listed, and stand out on the map"),
    Field("cluster-order", "choice", "place", "order of the clusters' rows", ("place", "size", "purity", "change")),
    Field("cluster-offset", "number", 0, "how many of the cluster's images come before the page shown"),
    Field("point-colour", "choice", "class", "what a point's colour says", ("class", "prediction", "cluster")),
    Field(
        "map-area",
        "text",
        "",
        "part of the map in view: its middle, from 0 to 1 across and up, and how often magnified: 0.25,0.5,4",
    ),
    Field("lasso", "text", "", "images chosen on the map: step:x,y;x,y;... with corners from 0 (left, below) to 999"),
    Field("b-run", "text", "", "compare: the run on side B; A's own where absent"),
    Field(
        "b-step",
        "number",
        None,
        "compare: B's moment where it is fixed or free; the first of the same run, else the last",
    ),
    Field("b-layer", "text", "", "compare: B's layer; the partner of A's where absent"),
    Field("b-parameter", "text", "", "compare: B's array; the one like A's where absent"),
    Field("b-units", "units", "", "compare: B's units; A's where absent"),
    Field("compare-show", "choice", "parameters", "what is compared", ("parameters", "features", "confusion")),
    Field("compare-mode", "choice", "difference", "how", ("side", "difference", "ratio", "blink", "wipe")),
    Field("compare-follow", "choice", "auto", "how B's moment follows A's", ("auto", "fixed", "lag", "same", "free")),
    Field("compare-lag", "number", 1, "how many checkpoints B is behind"),
    Field(
        "compare-align",
        "choice",
        "step",
        "what the same point of another run is",
        ("step", "epoch", "share", "accuracy"),
    ),
    Field("compare-pairs", "text", "", 'layers paired by hand, such as "conv1:conv1a,conv2:"'),
    Field("compare-panel", "choice", "change", "the panel beside", ("change", "image", "training", "layers")),
    Field(
        "compare-measure", "choice", "norm", "what of each unit is set against the other side's", ("norm", "variance")
    ),
    Field("compare-runs", "text", "", "compare: further runs in the training chart, separated by commas"),
    Field("compare-metric", "text", "", "compare: the metric in the training chart; the first two found where absent"),
    Field("compare-wipe", "number", 50, "where the divider stands, in percent"),
)

_BY_KEY = {field.key: field for field in FIELDS}


def schema() -> list[dict[str, Any]]:
    """:data:`FIELDS` as JSON for ``assets/url_state.js``."""
    return [
        {"key": f.key, "kind": f.kind, "default": f.default, **({"choices": list(f.choices)} if f.choices else {})}
        for f in FIELDS
    ]


def defaults() -> dict[str, Any]:
    return {field.key: field.default for field in FIELDS}


def parse_units(text: str) -> tuple[int, ...]:
    """Numbers of a selection such as ``"0-15,40"``, in the order given, each once.

    Raises ValueError with a sentence where the text is no selection.
    """
    units: dict[int, None] = {}
    total = 0
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = re.fullmatch(r"(\d{1,7})(?:\s*-\s*(\d{1,7}))?", part)
        if match is None:
            raise ValueError(f'"{part}" is not a number or a range of numbers; "0-15,40" would be right.')
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(f'The range "{part}" runs backwards; "{last}-{first}" would be right.')
        if last > MAXIMUM_UNIT or last - first > 100_000:
            raise ValueError(f'The range "{part}" is larger than any layer.')
        total += last - first + 1
        if total > MAXIMUM_UNIT:
            raise ValueError("The selection names more than any layer has.")
        units.update(dict.fromkeys(range(first, last + 1)))
    return tuple(units)


def format_units(units: tuple[int, ...] | list[int]) -> str:
    """The shortest selection that :func:`parse_units` reads back as ``units``, order kept."""
    parts: list[list[int]] = []
    for unit in units:
        if parts and unit == parts[-1][1] + 1:
            parts[-1][1] = unit
        else:
            parts.append([unit, unit])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def _checked(field: Field, text: str) -> Any:
    if field.kind == "number":
        if not re.fullmatch(r"\d{1,15}", text):
            raise ValueError(f'{field.key}="{text}" is not a whole number of 0 or more.')
        return int(text)
    if field.kind == "choice":
        if text not in field.choices:
            raise ValueError(f'{field.key}="{text}" is not one of {", ".join(field.choices)}.')
        return text
    if field.kind == "units":
        try:
            return format_units(parse_units(text))
        except ValueError as error:
            raise ValueError(f"{field.key}: {error}") from None
    if len(text) > 1000 or not text.isprintable():
        raise ValueError(f"{field.key} is too long or not printable.")
    return text


def check(view: Mapping[str, Any]) -> None:
    """Raises ValueError with a sentence unless the view, as ``assets/url_state.js`` keeps it (all but the step), is complete
    and each entry can be."""
    for field in FIELDS:
        if field.key == "step":  # it belongs to the time bus
            continue
        if field.key not in view:
            raise ValueError(f"{field.key} is missing; reload the page, which may be another version's.")
        value = view[field.key]
        if field.kind == "number":
            whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15
            right = whole or (value is None and field.default is None)
        elif field.kind == "flag":
            right = isinstance(value, bool)
        elif field.kind == "choice":
            right = value in field.choices
        else:
            right = isinstance(value, str)
        if not right:
            raise ValueError(f"{field.key} is no {field.kind}.")
        if field.kind == "units":
            parse_units(value)


def parse(hash_text: str) -> tuple[dict[str, Any], list[str]]:
    """A view from a location's hash (with or without ``#``), complete with defaults, and a sentence for each bad entry."""
    view, problems = defaults(), []
    for key, text in parse_qsl(hash_text.lstrip("#"), keep_blank_values=True):
        field = _BY_KEY.get(key)
        if field is None:
            problems.append(f'The address has an entry "{key[:40]}" that means nothing here; it is left out.')
            continue
        try:
            view[key] = _checked(field, text)
        except ValueError as error:
            problems.append(f"{error} The default is used.")
    return view, problems


def format_hash(view: dict[str, Any]) -> str:
    """The hash, without ``#``, that :func:`parse` reads back as ``view``; empty for the default view."""
    return "&".join(
        f"{field.key}={quote(str(view[field.key]), safe=',-_.~/:')}"
        for field in FIELDS
        if view.get(field.key, field.default) not in (field.default, None)
    )
