import pytest
from hypothesis import given
from hypothesis import strategies as st

from mloscope.app.runs.unit_selection import format_units, parse_units
from mloscope.app.web.dash.page import view_schema
from mloscope.app.web.dash.pages import OURS

SCHEMA = view_schema(OURS)

VIEWS = [
    {},
    {"step": 0, "layer": "conv2", "units": "0-15,40", "image": "test-42", "mode": "both"},
    {"layer": "block 1/conv&2=#", "colour": "magma", "range": "unit", "symmetric": "no"},
    {"layer": "卷积", "unit": 7, "channels": "3", "layout": "matrix", "zoom": "8", "fold": "conv2_block1,conv3_block1"},
]


@pytest.mark.parametrize("changes", VIEWS)
def test_a_hash_reads_back_as_the_view_it_was_made_of(changes):
    view = {**SCHEMA.defaults(), **changes}
    assert SCHEMA.parse("#" + SCHEMA.format(view)) == (view, [])


def test_defaults_are_left_out_of_the_address():
    assert SCHEMA.format(SCHEMA.defaults()) == ""
    assert SCHEMA.format({**SCHEMA.defaults(), "step": 120, "layer": "conv2"}) == "step=120&layer=conv2"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("step=abc", 'step="abc"'),
        ("step=-1", 'step="-1"'),
        ("mode=upside-down", "parameters, features,"),
        ("units=5-2", '"2-5" would be right'),
        ("units=0-9999999", "larger than any layer"),
        ("nonsense=1", '"nonsense"'),
        ("layer=%00", "not printable"),
    ],
)
def test_a_bad_entry_gives_the_default_and_a_sentence(text, named):
    view, problems = SCHEMA.parse(text)
    assert view == SCHEMA.defaults()
    assert len(problems) == 1
    assert named in problems[0]
    assert problems[0].endswith(".")


@given(st.text())
def test_no_hash_whatsoever_raises(text):
    view, _ = SCHEMA.parse(text)
    assert set(view) == set(SCHEMA.defaults())


@given(st.lists(st.integers(0, 5000), unique=True, max_size=40))
def test_units_read_back_in_their_order(units):
    assert parse_units(format_units(units)) == tuple(units)


@pytest.mark.parametrize("text", ["0-99999," * 5000, ",".join(f"{i}00000-{i}99999" for i in range(11)), "1000001"])
def test_a_selection_of_more_than_any_layer_has_is_refused_at_once(text):
    with pytest.raises(ValueError, match="any layer"):
        parse_units(text)


def test_the_view_of_the_store_is_complete_and_of_the_right_kinds():
    right = {key: value for key, value in SCHEMA.defaults().items() if key != "step"}
    SCHEMA.check(right)
    for key, value in right.items():
        with pytest.raises(ValueError, match=f"{key} is not a valid"):
            SCHEMA.check({**right, key: ["x"]})
        with pytest.raises(ValueError, match=f"{key} is missing"):
            SCHEMA.check({other: held for other, held in right.items() if other != key})
        assert value != ["x"]


def test_every_field_is_explained_and_offers_its_default():
    for field in SCHEMA.fields:
        assert field.help
        if field.kind == "choice":
            assert field.default in field.choices
