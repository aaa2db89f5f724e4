"""The details of the selected layer and unit, in words and numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dash import html

from mloscope.adaptors.interface import Layer
from mloscope.components.glossary import WORDS, explained
from mloscope.components.numbers import grouped, number_text, percent


def shape_text(shape: Sequence[int | None] | None) -> str:
    """``(28, 28, 6)`` as ``28×28×6``; an open extent as ``?``; nothing known as an en dash."""
    if shape is None:
        return "–"
    return "×".join("?" if extent is None else f"{extent}" for extent in shape) or "1"


def _number(value: float | None) -> html.Td:
    return html.Td(number_text(value, 3), title=number_text(value, 9))


def _rows(pairs: Sequence[tuple[str, Any]]) -> html.Dl:
    return html.Dl(
        [child for name, value in pairs for child in (html.Dt(name), html.Dd(value))],
        className="details-list",
    )


def layer_facts(layer: Layer) -> html.Div:
    """What does not change with time: kind, hyper-parameters, shapes, number of parameters."""
    facts: list[tuple[str, Any]] = [
        ("kind", f"{layer.kind} ({layer.source_class})" if layer.source_class else layer.kind),
        ("output", shape_text(layer.output_shape)),
        ("parameters", grouped(layer.parameter_count)),
        *((p.name, shape_text(p.shape)) for p in layer.parameters),
    ]
    shown = {k: v for k, v in layer.hyperparameters.items() if v is not None and not isinstance(v, dict)}
    children: list[Any] = [html.H2(layer.name, className="details-title"), _rows(facts)]
    if layer.problem:
        children.append(html.P(layer.problem, className="warning-text"))
    if shown:
        children.append(
            html.Details(
                [
                    html.Summary("hyper-parameters"),
                    _rows([(k.replace("_", " "), _hyperparameter_text(v)) for k, v in shown.items()]),
                ],
                open=False,
            )
        )
    return html.Div(children)


def _hyperparameter_text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "×".join(str(v) for v in value)
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


_COLUMNS = (
    ("min", "minimum"),
    ("max", "maximum"),
    ("norm", "L2 norm"),
    ("zeros", "share of values that are exactly 0"),
)


def parameter_statistics(
    step_label: str, statistics: Sequence[Mapping[str, Any]], unit: int | None, slots: Collection[str] = ()
) -> html.Div:
    """One table at one step: each parameter's name above its numbers and those of the unit; optimiser ``slots`` folded away.

    Keys of each mapping as in ``app.runs.parameters.parameter_details``.
    """
    weights = [row for row in statistics if row["parameter"] not in slots]
    folded = [row for row in statistics if row["parameter"] in slots]
    children: list[Any] = [html.H3(f"at step {step_label}", className="details-subtitle"), *_table(weights, unit)]
    if folded:
        children.append(
            html.Details([html.Summary(f"optimiser slots ({len(folded)})"), *_table(folded, unit)], open=False)
        )
    return html.Div(children)


def _table(statistics: Sequence[Mapping[str, Any]], unit: int | None) -> list[Any]:
    """Return the table in a frame that scrolls by itself, and what has to be said of it."""
    head = html.Tr([html.Td(), *(_heading(name, tip) for name, tip in _COLUMNS)])
    body, remarks = [], []
    for row in statistics:
        body.append(html.Tr(html.Th(row["parameter"], scope="rowgroup", colSpan=5, className="details-parameter")))
        body.append(_numbers("all", row, "", ""))
        if remark := _not_finite(row):
            remarks.append(f"{row['parameter']}: {remark}")
        if unit is not None and row.get("unit_norm") is not None:
            body.append(_numbers(f"unit {unit}", row, "unit_", "details-unit"))
    table = html.Table([html.Thead(head), html.Tbody(body)], className="details-table")
    frame = html.Div(table, className="details-scroll", tabIndex=0, role="region", **{"aria-label": "Statistics"})
    return [frame, *(html.P(remark, className="warning-text") for remark in remarks)]


def _heading(name: str, tip: str) -> html.Th:
    return html.Th([name, explained(name)] if name in WORDS else name, scope="col", title=tip)


def _numbers(label: str, row: Mapping[str, Any], prefix: str, class_name: str) -> html.Tr:
    zeros = row.get(f"{prefix}share_of_zeros")
    known = zeros is not None and row.get(f"{prefix}norm") is not None
    share = percent(zeros, ".3g") if known else "–"
    values = (_number(row.get(f"{prefix}{name}")) for name in ("min", "max", "norm"))
    return html.Tr([html.Th(label, scope="row", className=class_name), *values, html.Td(share)])


def _not_finite(row: Mapping[str, Any]) -> str:
    """Say how many values are no finite numbers; empty if all are."""
    count = row["count"]
    sentences = []
    for key, name in (("nan", "NaN"), ("infinite", "infinite")):
        found = row.get(key) or 0
        if found and found == count:
            return f"{'all ' if count > 1 else 'the '}{_values(count)} {name}."
        if found:
            sentences.append(f"{grouped(found)} of {_values(count)} {name}")
    return f"{', '.join(sentences)}; excluded above." if sentences else ""


def _values(count: int) -> str:
    return f"{grouped(count)} values are" if count > 1 else "only value is"
