"""The details of the selected layer and unit, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from mloscope.adaptors.interface import Layer


def shape_text(shape: Sequence[int | None] | None) -> str:
    """``(28, 28, 6)`` as ``28×28×6``; an open extent as ``?``; nothing known as an en dash."""
    if shape is None:
        return "–"
    return "×".join("?" if extent is None else f"{extent}" for extent in shape) or "1"


def count_text(count: int) -> str:
    """Whole number with thin spaces between thousands."""
    return f"{count:,}".replace(",", "\u2009")


def number_text(value: float | None, digits: int = 4) -> str:
    """So many significant digits, or what it is where it is no number."""
    if value is None:
        return "–"
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{digits}g}"
    if "e" in text:  # short of one digit: four such numbers stand side by side
        mantissa, exponent = f"{value:.{max(0, digits - 2)}e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


def _number(value: float | None) -> html.Td:
    return html.Td(number_text(value), title=number_text(value, 9))


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
        ("parameters", count_text(layer.parameter_count)),
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


def parameter_statistics(step_label: str, statistics: Sequence[Mapping[str, Any]], unit: int | None) -> html.Div:
    """One table: a row for each parameter, at one step. Keys of each mapping as in ``app.runs.parameters.parameter_details``."""
    columns = (
        ("min", "minimum"),
        ("max", "maximum"),
        ("norm", "L2 norm"),
        ("zeros", "share of values that are exactly 0"),
    )
    head = html.Tr([html.Th("", scope="col"), *(html.Th(name, scope="col", title=tip) for name, tip in columns)])
    body, remarks = [], []
    for row in statistics:
        body.append(
            html.Tr(
                [
                    html.Th(row["parameter"], scope="row"),
                    _number(row["min"]),
                    _number(row["max"]),
                    _number(row["norm"]),
                    html.Td(f"{100 * row['share_of_zeros']:.3g} %"),
                ]
            )
        )
        if row.get("nan") or row.get("infinite"):
            remarks.append(
                f"{row['parameter']}: {count_text(row.get('nan', 0))} NaN and {count_text(row.get('infinite', 0))} infinite "
                f"of {count_text(row['count'])} values; the figures above are of the others."
            )
        if unit is not None and row.get("unit_norm") is not None:
            body.append(
                html.Tr(
                    [
                        html.Th(f"unit {unit}", scope="row", className="details-unit"),
                        _number(row.get("unit_min")),
                        _number(row.get("unit_max")),
                        _number(row["unit_norm"]),
                        html.Td(
                            "–"
                            if row.get("unit_share_of_zeros") is None
                            else f"{100 * row['unit_share_of_zeros']:.3g} %"
                        ),
                    ]
                )
            )
    return html.Div(
        [
            html.H3(f"at step {step_label}", className="details-subtitle"),
            html.Table([html.Thead(head), html.Tbody(body)], className="details-table"),
            *(html.P(remark, className="warning-text") for remark in remarks),
        ]
    )
