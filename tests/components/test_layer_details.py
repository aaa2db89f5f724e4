import json

import pytest
from dash import html

from mloscope.adaptors.interface import Layer, Parameter
from mloscope.components.layer_details import layer_facts, parameter_statistics, shape_text
from mloscope.components.numbers import percent

LAYER = Layer(
    name="conv1",
    kind="convolution",
    inputs=("input",),
    output_shape=(24, 24, 6),
    parameters=(
        Parameter("kernel", (5, 5, 1, 6), ("row", "column", "channel", "unit")),
        Parameter("bias", (6,), ("unit",)),
    ),
    hyperparameters={"filters": 6, "kernel_size": [5, 5], "use_bias": True, "kernel_regularizer": None},
    source_class="Conv2D",
)


def text(component) -> str:
    return json.dumps(component.to_plotly_json(), default=lambda c: c.to_plotly_json(), ensure_ascii=False)


def test_shapes_are_written_for_people():
    assert shape_text((28, 28, 6)) == "28×28×6"
    assert shape_text((None, None, 3)) == "?×?×3"
    assert shape_text(None) == "–"


def test_facts_name_kind_shapes_counts_and_hyperparameters():
    said = text(layer_facts(LAYER))
    for part in ("conv1", "convolution (Conv2D)", "24×24×6", "156", "5×5×1×6", "kernel size", "yes"):
        assert part in said
    assert "regularizer" not in said


def statistics_of(name: str, count: int, **changes: object) -> dict[str, object]:
    row = {
        "parameter": name,
        "count": count,
        "min": -1.0,
        "max": 1.0,
        "norm": 2.0,
        "share_of_zeros": 0.0,
        "nan": 0,
        "infinite": 0,
    }
    return {**row, **changes}


@pytest.mark.parametrize(
    ("count", "nan", "infinite", "sentence"),
    [
        (500, 500, 0, "kernel: all 500 values are NaN."),
        (500, 20, 0, "kernel: 20 of 500 values are NaN; excluded above."),
        (500, 20, 3, "kernel: 20 of 500 values are NaN, 3 of 500 values are infinite; excluded above."),
        (1, 1, 0, "kernel: the only value is NaN."),
    ],
)
def test_values_that_are_no_numbers_are_counted_in_words(count: int, nan: int, infinite: int, sentence: str) -> None:
    row = statistics_of("kernel", count, nan=nan, infinite=infinite)
    assert sentence in text(parameter_statistics("161", [row], None))


def test_of_nothing_but_nan_no_share_is_zero() -> None:
    assert percent(0) not in text(parameter_statistics("161", [statistics_of("kernel", 5, nan=5, norm=None)], None))
    assert percent(0) in text(parameter_statistics("161", [statistics_of("kernel", 5, nan=4)], None))


def test_optimiser_slots_are_folded_away() -> None:
    rows = [statistics_of("kernel", 5), statistics_of("kernel momentum", 5)]
    *seen, folded = parameter_statistics("1", rows, None, {"kernel momentum"}).children
    assert "kernel momentum" not in text(html.Div(seen))
    assert folded.open is False
    assert "kernel momentum" in text(folded)
