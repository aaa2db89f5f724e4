"""The report of :mod:`mloscope.app.commands.inspect.report` as aligned text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mloscope.app.process.terminal import printable

_LISTED_WHOLE = 60
_LISTED_FIRST, _LISTED_LAST = 20, 5


def as_text(report: dict[str, Any]) -> str:
    """The report for people; ends with a newline."""
    parts = []
    if report["run"] is not None:
        parts.append(_run_text(report["path"], report["run"]))
    if report["corpus"] is not None:
        parts.append(_corpus_text(report["path"], report["corpus"]))
    if report["refused"]:
        parts.append(_problem_lines("Could not be opened", report["refused"]))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _run_text(path: str, run: dict[str, Any]) -> list[str]:
    checkpoints, layers = run["checkpoints"], run["layers"]
    broken = sum(bool(checkpoint["problem"]) for checkpoint in checkpoints)
    lines = [f"Run {printable(path)}, format {run['format']}"]
    evaluable = {True: "can be evaluated (tested)", False: "cannot be evaluated", None: "not tried"}[run["evaluable"]]
    lines += _pairs(
        ("input", _shape(run["input_shape"]) if run["input_shape"] else "not known"),
        ("classes", _classes(run["class_names"])),
        ("network", f"{len(layers)} layers, {run['parameter_count']:,} parameters; {evaluable}"),
    )
    if run["evaluation_problem"]:
        lines.append(f"           {printable(run['evaluation_problem'])}")
    lines += ["", "What its numbers rest on", *(f"  {printable(line)}" for line in run["basis_lines"])]
    span = f", steps {checkpoints[0]['step']} to {checkpoints[-1]['step']}" if checkpoints else ""
    lines += ["", f"Checkpoints: {len(checkpoints)}{span}" + (f", {broken} unreadable" if broken else "")]
    lines += _table(
        ("step", "epoch", "file", ""),
        [_checkpoint_row(checkpoint) for checkpoint in _shortened(checkpoints)],
        right=(0, 1),
    )
    lines += ["", f"Layers: {len(layers)}"]
    lines += _table(
        ("layer", "kind", "output shape", "parameters", ""),
        [
            (
                layer["name"],
                layer["kind"],
                _shape(layer["output_shape"]) if layer["output_shape"] is not None else "not known",
                f"{layer['parameter_count']:,}" if layer["parameter_count"] else "",
                layer["problem"] or ", ".join(f"{p['name']} {_shape(p['shape'])}" for p in layer["parameters"]),
            )
            for layer in layers
        ],
        right=(3,),
    )
    return lines


def _checkpoint_row(checkpoint: dict[str, Any] | int) -> tuple[str, str, str, str]:
    if isinstance(checkpoint, int):
        return "...", "", f"({checkpoint} more; --json lists them all)", ""
    epoch = "" if checkpoint["epoch"] is None else f"{checkpoint['epoch']:.2f}"
    return checkpoint["label"], epoch, checkpoint["name"], checkpoint["problem"] or ""


def _shortened(checkpoints: Sequence[dict[str, Any]]) -> list[dict[str, Any] | int]:
    """All, or of many the first, the last and those with a problem; a number stands for those left out."""
    if len(checkpoints) <= _LISTED_WHOLE:
        return list(checkpoints)
    shown: list[dict[str, Any] | int] = []
    left_out = 0
    for number, checkpoint in enumerate(checkpoints):
        if (
            number < _LISTED_FIRST
            or number >= len(checkpoints) - _LISTED_LAST
            or (checkpoint["problem"] and len(shown) < _LISTED_WHOLE)
        ):
            if left_out:
                shown.append(left_out)
                left_out = 0
            shown.append(checkpoint)
        else:
            left_out += 1
    return shown


def _corpus_text(path: str, corpus: dict[str, Any]) -> list[str]:
    shape = _shape(corpus["image_shape"]) if corpus["image_shape"] else "of different sizes"
    lines = [f"Corpus {printable(path)}, format {corpus['format']}"]
    lines += _pairs(("images", f"{corpus['images']:,}, {shape}"), ("classes", _classes(corpus["class_names"])))
    names, splits = corpus["class_names"], corpus["splits"]
    rows = [
        (name, *(f"{split['of_class'][number]:,}" for split in splits.values()))
        for number, name in enumerate(names[:_LISTED_WHOLE])
    ]
    if len(names) > _LISTED_WHOLE:
        rows.append((f"({len(names) - _LISTED_WHOLE} more classes)", *("" for _ in splits)))
    if any(split["without_label"] for split in splits.values()):
        rows.append(("without label", *(f"{split['without_label']:,}" for split in splits.values())))
    rows.append(("all", *(f"{split['images']:,}" for split in splits.values())))
    lines += ["", *_table(("class", *splits), rows, right=range(1, len(splits) + 1))]
    if corpus["problems"]:
        lines += ["", *_problem_lines("Problems", corpus["problems"])]
    return lines


def _problem_lines(title: str, sentences: Iterable[str]) -> list[str]:
    return [title, *(f"  - {printable(sentence)}" for sentence in sentences)]


def _shape(shape: Sequence[int | None]) -> str:
    return " x ".join("?" if size is None else str(size) for size in shape) or "a number"


def _classes(names: Sequence[str]) -> str:
    if not names:
        return "not named"
    more = ", ..." if len(names) > 10 else ""
    return f"{len(names)}: {', '.join(printable(name) for name in names[:10])}{more}"


def _pairs(*pairs: tuple[str, str]) -> list[str]:
    width = max(len(key) for key, _ in pairs)
    return [f"  {key:<{width}}  {value}" for key, value in pairs]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Aligned columns, numbers to the right; a column without an entry is left out."""
    rows = [[printable(cell) for cell in row] for row in rows]
    kept = [column for column in range(len(head)) if any(row[column] for row in rows)]
    cells = [[row[column] for column in kept] for row in [list(head), *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    to_the_right = set(right)
    return [
        (
            "  "
            + "  ".join(
                cell.rjust(width) if column in to_the_right else cell.ljust(width)
                for column, cell, width in zip(kept, row, widths, strict=True)
            )
        ).rstrip()
        for row in cells
    ]
