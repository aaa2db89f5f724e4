"""Changes to an image: what references say, and what becomes of the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from mloscope.app.errors import BadRequest
from mloscope.app.images.changes import CHANGES, COVER, MOST_CHANGES, Reference

NOTHING = (
    "~shift=0,0", "~rotate=0", "~scale=1", "~mirror=0,0", "~crop=0,0,100,100", "~occlude=0,0,0,0", "~blur=0", "~brightness=0,1",
    "~noise=0,3",
)  # fmt: skip
"""Changes whose amount is nothing."""


def changed(pixels: np.ndarray, text: str) -> np.ndarray:
    return Reference.parse(f"x{text}").apply(pixels)


@pytest.fixture
def pixels() -> np.ndarray:
    """A picture of noise, uint8 (8, 10, 3)."""
    return np.random.default_rng(1).integers(0, 256, (8, 10, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "text", ["test-3", "a~b", "photo~1.jpg", "~", "", "a~shift", "a~shift=", "a~Shift=1", "a=1~b c=2"]
)
def test_text_without_changes_is_an_id(text: str) -> None:
    assert Reference.parse(text) == Reference(text)


def test_changes_follow_the_id_and_read_back_as_they_were_written() -> None:
    reference = Reference.parse("a~b~shift=1.5,-2~noise=20")
    assert reference.id == "a~b"
    assert [(each.change.name, each.values) for each in reference.changes] == [("shift", (1.5, -2)), ("noise", (20, 0))]
    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text",
    ["x~turn=3", "x~shift=1,2,3", "x~shift=9999,0", "x~scale=0", "x~blur=1.2.3", "x~brush=5,1", "x" + "~blur=1" * (MOST_CHANGES + 1)],
)  # fmt: skip
def test_wrong_changes_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        Reference.parse(text)


def test_a_long_text_is_read_in_no_time() -> None:
    assert Reference.parse("~shift=1" * 20_000 + "!").changes == ()


@pytest.mark.parametrize("text", NOTHING)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_amount_of_nothing_changes_nothing(pixels: np.ndarray, text: str, channels: int) -> None:
    given = pixels[..., :channels].copy()
    np.testing.assert_array_equal(changed(given, text), given)


def test_a_shift_moves_right_and_down_and_black_comes_in(pixels: np.ndarray) -> None:
    expected = np.zeros_like(pixels)
    expected[2:, 3:] = pixels[:-2, :-3]
    np.testing.assert_array_equal(changed(pixels, "~shift=3,2"), expected)
    between = changed(pixels, "~shift=0.5,0").astype(float)[:, 1:-1]
    halves = (pixels[:, :-2].astype(float) + pixels[:, 1:-1]) / 2
    np.testing.assert_allclose(between, halves, atol=1)


def test_rotations_by_right_angles_are_clockwise_and_exact() -> None:
    square = np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(changed(square, "~rotate=90"), np.rot90(square, -1))
    np.testing.assert_array_equal(changed(square, "~rotate=180"), np.rot90(square, 2))
    np.testing.assert_array_equal(changed(square, "~rotate=-90"), np.rot90(square))


def test_scale_and_crop_enlarge_the_same_middle() -> None:
    gradient = np.tile(np.arange(0, 256, 8, dtype=np.uint8)[:, None, None], (1, 32, 1))
    enlarged, cropped = changed(gradient, "~scale=2"), changed(gradient, "~crop=25,25,50,50")
    np.testing.assert_allclose(enlarged[2:-2].astype(int), cropped[2:-2], atol=5)
    reduced = changed(np.full((8, 8, 1), 200, np.uint8), "~scale=0.5")
    assert (reduced[3:5, 3:5] == 200).all()
    assert (reduced[[0, -1]] == 0).all()


def test_mirrors(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(changed(pixels, "~mirror=1"), pixels[:, ::-1])
    np.testing.assert_array_equal(changed(pixels, "~mirror=0,1"), pixels[::-1])
    np.testing.assert_array_equal(changed(pixels, "~mirror=1,1"), pixels[::-1, ::-1])


def test_what_is_occluded_is_grey_and_the_rest_as_it_was(pixels: np.ndarray) -> None:
    expected = pixels.copy()
    expected[2:6, 5:10] = COVER
    np.testing.assert_array_equal(changed(pixels, "~occlude=50,25,50,50"), expected)


def test_a_stroke_covers_what_is_near_its_points() -> None:
    covered = changed(np.zeros((40, 40, 1), np.uint8), "~brush=5,25,25,75,25")[..., 0] == COVER
    rows, columns = np.indices(covered.shape) + 0.5
    to_line = np.hypot(rows - 10, np.maximum(0, np.abs(columns - 20) - 10))
    assert covered[to_line < 1].all()
    assert not covered[to_line > 3.5].any()


def test_noise_is_of_its_seed_and_as_strong_as_said() -> None:
    grey = np.full((200, 200, 1), 128, np.uint8)
    one, same, other = (changed(grey, f"~noise=10,{seed}") for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert one.std() == pytest.approx(10, rel=0.05)


def test_brightness_and_contrast_are_exact(pixels: np.ndarray) -> None:
    expected = np.clip(np.rint((pixels - 127.5) * 2 + 127.5 + 10), 0, 255)
    np.testing.assert_array_equal(changed(pixels, "~brightness=10,2"), expected)


def test_blur_keeps_the_mean_and_takes_the_detail(pixels: np.ndarray) -> None:
    blurred = changed(pixels, "~blur=2")
    assert blurred.std() < pixels.std() / 2
    assert blurred.mean() == pytest.approx(pixels.mean(), abs=8)


def test_changes_apply_from_left_to_right(pixels: np.ndarray) -> None:
    first = changed(changed(pixels, "~shift=3,0"), "~mirror=1")
    np.testing.assert_array_equal(changed(pixels, "~shift=3,0~mirror=1"), first)
    assert (changed(pixels, "~mirror=1~shift=3,0") != first).any()


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 3), (5, 1, 3)])
def test_every_change_takes_the_smallest_pictures_and_all_of_its_range(name: str, shape: tuple[int, ...]) -> None:
    given = np.full(shape, 99, np.uint8)
    for end in ("low", "high", "default"):
        numbers = [getattr(number, end) for number in CHANGES[name].numbers]
        if name == "crop" and end != "default":
            numbers = [0, 0, 100, 100]
        text = f"~{name}={','.join(map(str, numbers))}"
        assert changed(given, text).shape == shape


def test_a_crop_of_nothing_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(BadRequest, match="nothing"):
        changed(pixels, "~crop=100,0,50,50")
