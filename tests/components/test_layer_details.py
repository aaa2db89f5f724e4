import json

from mloscope.adaptors.interface import Layer, Parameter
from mloscope.components.layer_details import layer_facts, number_text, parameter_statistics, shape_text

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


def test_shapes_and_numbers_are_written_for_people():
    assert shape_text((28, 28, 6)) == "28×28×6"
    assert shape_text((None, None, 3)) == "?×?×3"
    assert shape_text(None) == "–"
    assert number_text(float("nan")) == "NaN"
    assert number_text(float("-inf")) == "−∞"
    assert number_text(-0.123456789) == "−0.1235"
    assert number_text(-2.4712e10) == "−2.47e10"
    assert number_text(3.2e-9) == "3.20e−9"


def test_facts_name_kind_shapes_counts_and_hyperparameters():
    said = text(layer_facts(LAYER))
    for part in ("conv1", "convolution (Conv2D)", "24×24×6", "156", "5×5×1×6", "kernel size", "yes"):
        assert part in said
    assert "regularizer" not in said


def test_nan_weights_are_counted_in_words():
    row = {
        "parameter": "kernel",
        "count": 150,
        "min": None,
        "max": None,
        "norm": float("nan"),
        "share_of_zeros": 0.0,
        "nan": 150,
        "infinite": 0,
    }
    assert "150 NaN and 0 infinite of 150 values" in text(parameter_statistics("161", [row], None))
