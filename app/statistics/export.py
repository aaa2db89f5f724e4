"""Tables as CSV, JSON and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mloscope.adaptors.installation import how_to_add
from mloscope.app.errors import BadRequest, Unavailable

Table = Mapping[str, Sequence[Any] | np.ndarray]
"""Columns by name, all of one length: arrays of numbers, or lists with None where there is nothing."""

FORMATS = {"csv": "text/csv", "json": "application/json", "parquet": "application/vnd.apache.parquet"}
_ROWS_AT_ONCE = 65_536


def encode(table: Table, format: str) -> bytes:
    """The table in one of FORMATS.

    CSV: UTF-8, commas, a line of names first, CRLF as RFC 4180 has it; nothing where there is no value or NaN; no text that a
    spreadsheet would compute, see :func:`no_formula`. JSON: an
    object of lists by column, null for what CSV leaves empty. Parquet needs pyarrow: raises :class:`Unavailable` with the
    command that installs it. Raises :class:`BadRequest` for another format.
    """
    if format == "csv":
        return _csv(table)
    if format == "json":
        columns = {name: _plain(values) for name, values in table.items()}
        return json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode()
    if format == "parquet":
        return _parquet(table)
    raise BadRequest(f'The format "{format}" does not exist; it is {", ".join(FORMATS)}.')


def _csv(table: Table) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(map(no_formula, table))
    rows = max((len(values) for values in table.values()), default=0)
    for start in range(0, rows, _ROWS_AT_ONCE):
        writer.writerows(
            zip(
                *(map(no_formula, _plain(values[start : start + _ROWS_AT_ONCE])) for values in table.values()),
                strict=True,
            )
        )
    return text.getvalue().encode()


def no_formula(value: Any) -> Any:
    """A cell of CSV, with an apostrophe before a text that a spreadsheet would take for a formula (a class may be called
    ``=HYPERLINK(...)``). Numbers stay, also those written as text."""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _parquet(table: Table) -> bytes:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise Unavailable(f"Parquet needs pyarrow, which is not installed: {how_to_add('statistics')}") from None
    arrays = {
        name: pyarrow.array(values, from_pandas=True)  # NaN is nothing
        if isinstance(values, np.ndarray) and values.ndim == 1
        else pyarrow.array(_plain(values))
        for name, values in table.items()
    }
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(arrays), file)
    return file.getvalue()


def _plain(values: Sequence[Any] | np.ndarray) -> list[Any]:
    """As a list of what JSON has; float32 in as few digits as tell it from its neighbours."""
    if isinstance(values, np.ndarray):
        if values.dtype == np.float32 and values.ndim == 1:
            listed: list[Any] = [float(text) for text in values.astype(str).tolist()]
        else:
            listed = values.tolist()
    else:
        listed = list(values)
    return [None if isinstance(value, float) and not np.isfinite(value) else value for value in listed]
