"""Saved films: decoded again, they hold every step, in the colours of the table."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from mloscope.app.errors import BadRequest, NotFound, NotPossible, Unavailable
from mloscope.app.export import film_export, film_formats
from mloscope.app.export.colour_scale import ColourChoice
from mloscope.app.export.film_export import FilmOrder
from mloscope.app.export.film_formats import FORMATS, FilmFormat, format_of
from mloscope.app.export.film_pictures import FilmLook
from mloscope.components.colour_tables import colour_table

CONV = "block/conv1"
BARE = FilmLook(ColourChoice("viridis", "fixed", "no"), 160, 120, across=2, title=False, legend=False)
MARGIN = 12


@pytest.fixture
def short(make_bench: Any, array_run: Any) -> Any:
    """A run of five steps, the fourth of which cannot be read."""
    return make_bench(array_run(steps=(0, 10, 20, 30, 40), torn=(30,)))


def save(bench: Any, order: FilmOrder, layer: str = CONV, **words: Any) -> bytes:
    return bench.services.film_export.file(bench.question(layer, **words), order).content


def frames_of(content: bytes, format: str) -> list[np.ndarray]:
    """The pictures that a file holds, uint8 (y, x, 3)."""
    if format == "mp4":
        with av.open(io.BytesIO(content)) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    if format == "gif":
        film = Image.open(io.BytesIO(content))
        shown = []
        for place in range(film.n_frames):
            film.seek(place)
            shown.append(np.asarray(film.convert("RGB")))
        return shown
    archive = zipfile.ZipFile(io.BytesIO(content))
    return [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in sorted(archive.namelist())]


def middle_of_first_value(frame: np.ndarray) -> np.ndarray:
    return frame[MARGIN + 16, MARGIN + 3].astype(int)


@pytest.mark.parametrize(("format", "tolerance"), [("mp4", 10), ("gif", 6), ("zip", 0)])
def test_every_step_is_there_in_the_colours_of_the_table(short: Any, format: str, tolerance: int) -> None:
    frames = frames_of(save(short, FilmOrder(format, BARE)), format)

    assert len(frames) == 5
    kernels = {step: short.parameters(step, CONV)["kernel"] for step in (0, 10, 20, 40)}
    low, high = min(k.min() for k in kernels.values()), max(k.max() for k in kernels.values())
    for frame, step in zip((*frames[:3], frames[4]), kernels, strict=True):
        value = kernels[step][0, 0, 0, 0]  # RGB kernels: red, green and blue of the first unit's first value
        red = colour_table("grey")[int((value - low) / (high - low) * 255 + 0.5), 0]
        assert abs(middle_of_first_value(frame)[0] - int(red)) <= tolerance + 2


def test_a_step_that_cannot_be_read_is_hatched(short: Any) -> None:
    frames = frames_of(save(short, FilmOrder("zip", BARE)), "zip")

    colours = {tuple(colour) for colour in frames[3][MARGIN + 60 : -MARGIN - 10, MARGIN : -MARGIN - 10].reshape(-1, 3)}
    assert (120, 120, 120) in colours
    assert (200, 200, 200) in colours
    assert not (frames[3] == frames[2]).all()


def test_scale_of_each_unit_and_of_each_step(short: Any) -> None:
    def first_tile(range: str) -> set[tuple[int, ...]]:
        look = FilmLook(ColourChoice("viridis", range, "no"), 160, 120, 2, "light", False, False)
        (frame,) = frames_of(
            save(short, FilmOrder("zip", look, first=20, last=20), "conv2", units=(3,), channels=(1,)), "zip"
        )
        return {tuple(colour) for colour in frame[MARGIN:-MARGIN, MARGIN:-MARGIN].reshape(-1, 3).tolist()}

    kernel = short.parameters(20, "conv2")["kernel"]
    tile, unit = kernel[..., 1, 3], kernel[..., 3]
    table = colour_table("viridis")

    def colour(value: float, values: np.ndarray) -> np.ndarray:
        return table[int((value - values.min()) / (values.max() - values.min()) * 255 + 0.5)].astype(int)

    for range, values in (("unit", unit), ("step", kernel)):
        wanted = colour(tile.max(), values)
        assert min(np.abs(np.array(seen) - wanted).max() for seen in first_tile(range)) <= 4, range


def test_a_step_that_exploded_does_not_set_the_scale_of_the_others(short: Any, array_run: Any) -> None:
    short.run.replaced[20, "conv2", "kernel"] = (
        short.run.values(20, "conv2", array_run().layers()[2].parameters[0]) * 1e6
    )
    quiet = FilmLook(ColourChoice("viridis", "fixed", "yes"), 160, 120, None, "light", False, False)

    first, exploded = (
        frames_of(save(short, FilmOrder("zip", quiet, first=step, last=step), "conv2", units=(0, 1)), "zip")[0]
        for step in (0, 20)
    )

    for frame in (first, exploded):
        assert len(np.unique(frame.reshape(-1, 3), axis=0)) > 20


def test_one_number_per_unit_is_drawn_as_bars(short: Any) -> None:
    look = FilmLook(ColourChoice("viridis", "fixed", "no"), 320, 120, None, "light", False, False)
    (frame,) = frames_of(save(short, FilmOrder("zip", look, last=0), parameter="bias"), "zip")

    assert (
        np.abs(frame.reshape(-1, 3).astype(int) - (236, 238, 242)).max(axis=1).min() == 0
    )  # the ground behind the bars
    assert frame.shape[1] > frame.shape[0]


def test_only_the_steps_that_are_wanted(short: Any) -> None:
    saved = short.services.film_export.file(short.question(CONV), FilmOrder("zip", BARE, first=5, last=20))

    assert zipfile.ZipFile(io.BytesIO(saved.content)).namelist() == ["0000-step-10.png", "0001-step-20.png"]
    assert saved.name == "lenet-block-conv1-parameters-10-to-20.zip"
    with pytest.raises(BadRequest, match="step 21"):
        FilmOrder("zip", first=21, last=29).steps(short.question(CONV))


def test_how_it_goes_is_told_and_the_file_is_kept(short: Any) -> None:
    lines = [
        line for told in short.services.film_export.lines(short.question(CONV), FilmOrder("gif", BARE)) for line in told
    ]

    drawn = [line["progress"] for line in lines if line.get("progress", {}).get("doing") == "drawing pictures"]
    assert (drawn[0]["done"], drawn[-1]["done"], drawn[-1]["of"]) == (0, 5, 5)
    file = next(line["file"] for line in lines if "file" in line)
    assert len(short.services.film_export.kept(file["digest"])) == file["bytes"]
    assert lines[-1] == {"done": True}
    with pytest.raises(NotFound):
        short.services.film_export.kept("0" * 32)


def test_what_is_too_large_is_said(short: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadRequest, match="8192"):
        FilmLook(width=8192)
    with pytest.raises(BadRequest, match="speed"):
        FilmOrder("gif", speed=float("nan"))
    monkeypatch.setattr(film_export, "MOST_STEPS", 4)
    with pytest.raises(NotPossible, match="5 steps"):
        save(short, FilmOrder("gif", BARE))
    monkeypatch.undo()
    monkeypatch.setattr(film_formats, "MOST_BYTES", 1000)
    for format in FORMATS:
        with pytest.raises(NotPossible, match="larger than"):
            save(short, FilmOrder(format, FilmLook(width=640, height=640)), "conv2")


def test_a_format_whose_package_is_missing_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        FORMATS, "mp4", FilmFormat("MP4", "video/mp4", FORMATS["mp4"].writer, 1, "no_such_package", "video")
    )

    with pytest.raises(Unavailable, match=r"no_such_package.*to add it"):
        format_of("mp4")
    with pytest.raises(BadRequest, match="mp4, gif, zip"):
        format_of("avi")
