"""Tables as CSV, JSON and Parquet: the same values come back."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from mloscope.app.errors import BadRequest
from mloscope.app.statistics.export import encode, no_formula

TABLE = {
    "name": ['cat, "Tom"', "Löwe", None],
    "count": np.array([3, 0, 2**40]),
    "rate": np.array([0.1, np.nan, 1 / 3], np.float32),
    "exact": [1 / 3, None, float("inf")],
    "right": np.array([True, False, True]),
}


def test_csv_gives_back_every_value() -> None:
    data = encode(TABLE, "csv")
    assert data.startswith(b"name,count,rate,exact,right\r\n")
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert [row["name"] for row in rows] == ['cat, "Tom"', "Löwe", ""]
    assert [row["count"] for row in rows] == ["3", "0", str(2**40)]
    assert [row["rate"] for row in rows] == ["0.1", "", "0.33333334"]
    assert [np.float32(row["rate"]) for row in rows[::2]] == [np.float32(0.1), np.float32(1 / 3)]
    assert [row["exact"] for row in rows] == [repr(1 / 3), "", ""]
    assert [row["right"] for row in rows] == ["True", "False", "True"]


def test_json_gives_back_every_value() -> None:
    assert json.loads(encode(TABLE, "json")) == {
        "name": ['cat, "Tom"', "Löwe", None],
        "count": [3, 0, 2**40],
        "rate": [0.1, None, 0.33333334],
        "exact": [1 / 3, None, None],
        "right": [True, False, True],
    }


def test_parquet_gives_back_every_value() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    found = parquet.read_table(io.BytesIO(encode(TABLE, "parquet")))
    assert found.column_names == list(TABLE)
    assert found["name"].to_pylist() == TABLE["name"]
    assert found["count"].to_pylist() == [3, 0, 2**40]
    assert found["rate"].to_pylist() == [float(np.float32(0.1)), None, float(np.float32(1 / 3))]
    assert found["exact"].to_pylist() == [1 / 3, None, None]
    assert found["right"].to_pylist() == [True, False, True]


def test_no_rows_are_a_line_of_names() -> None:
    empty = {"step": [], "count": np.empty(0, int)}
    assert encode(empty, "csv") == b"step,count\r\n"
    assert json.loads(encode(empty, "json")) == {"step": [], "count": []}


def test_columns_of_different_lengths_are_no_table() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        encode({"a": [1, 2], "b": [1]}, "csv")


def test_another_format_is_refused() -> None:
    with pytest.raises(BadRequest, match="csv, json, parquet"):
        encode(TABLE, "xlsx")


@pytest.mark.parametrize("name", ["=HYPERLINK(...)", "+cmd|' /C calc'!A0", "@SUM(A1)", "-2+3", "\t=1", "\r=1", "--1"])
def test_no_name_is_a_formula_in_csv_and_every_name_is_itself_elsewhere(name: str) -> None:
    table = {name: [name, "plain"]}
    read = list(csv.reader(io.StringIO(encode(table, "csv").decode(), newline="")))
    assert read == [[f"'{name}"], [f"'{name}"], ["plain"]]
    assert json.loads(encode(table, "json")) == {name: [name, "plain"]}


@pytest.mark.parametrize("value", ["-1", "+2.5", "-1e-3", "a=b", "", None, -1, -0.5, float("nan")])
def test_what_is_no_formula_stays(value: object) -> None:
    assert no_formula(value) is value
