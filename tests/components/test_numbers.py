import pytest

from mloscope.components.numbers import grouped, name_of_step, number_text, percent, step_names

CHECKPOINTS = [{"step": 500, "label": "500"}, {"step": 70000, "label": "70000"}, {"step": 3, "label": "2.5"}]


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (999, "999"), (70000, "70\u202f000"), (1234567, "1\u202f234\u202f567")]
)
def test_thousands_stand_apart_without_a_line_break(number: int, text: str) -> None:
    assert grouped(number) == text


def test_shares_are_percentages() -> None:
    assert percent(0.75) == "75\u202f%"
    assert percent(0.12345, ".3g") == "12.3\u202f%"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "NaN"),
        (float("-inf"), "−∞"),
        (-0.123456789, "−0.1235"),
        (-2.4712e10, "−2.47e10"),
        (3.2e-9, "3.20e−9"),
    ],
)
def test_values_have_four_digits(value: float, text: str) -> None:
    assert number_text(value) == text


def test_a_step_is_its_label_or_its_number_in_groups() -> None:
    assert step_names(CHECKPOINTS) == ["500", "70\u202f000", "2.5"]
    assert name_of_step(CHECKPOINTS, 3) == "2.5"
    assert name_of_step(CHECKPOINTS, 1000) == "1\u202f000"
