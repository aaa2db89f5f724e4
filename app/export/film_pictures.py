"""A film step by step as pictures: tiles or bars, above them what is shown and when, below them what the colours mean."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from mloscope.app.errors import BadRequest
from mloscope.app.export.bar_plan import BarPlan, is_bars
from mloscope.app.export.colour_scale import ColourChoice, ColourScale
from mloscope.app.export.text_on_pictures import Words
from mloscope.app.export.tile_plan import TilePlan
from mloscope.app.export.whole_film import FilmFrame, WholeFilm
from mloscope.app.films.encoding import FIRST_CODE
from mloscope.components.numbers import number_text
from mloscope.components.theme import TOKENS

LEAST_PX, MOST_PX = 64, 4096
_MARGIN_PX = 12
_LINE_PX = 20
_LEGEND_PX = 56
_BAR_PX, _BAR_WIDTH_PX = 8, 220
_LEAST_WIDTH_PX = 400
_HATCH_PX = 4
_HATCH = ((120, 120, 120), (200, 200, 200))
_TEXT, _SMALL = Words(14), Words(11)


@dataclass(frozen=True)
class FilmLook:
    """How the film is to look."""

    colours: ColourChoice = field(default_factory=ColourChoice)
    width: int = 960
    """The room for tiles; the picture is as large as they need, and its captions."""
    height: int = 540
    across: int | None = None
    theme: str = "light"
    title: bool = True
    """Whether what is shown and the step stand above the tiles."""
    legend: bool = True

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("height", self.height)):
            if not LEAST_PX <= value <= MOST_PX:
                raise BadRequest(f"{name} must be from {LEAST_PX} to {MOST_PX} pixels, got {value}.")
        if self.across is not None and self.across < 1:
            raise BadRequest(f"across must be a number of tiles from 1, got {self.across}.")
        if self.theme not in TOKENS:
            raise BadRequest(f'theme must be one of {", ".join(TOKENS)}; got "{self.theme}".')


class FilmPictures:
    """Draws the steps of one film, all in the same size."""

    def __init__(
        self,
        film: WholeFilm,
        kind_scale: str,
        look: FilmLook,
        caption: str,
        names: Sequence[str],
        steps: Mapping[int, str],
    ) -> None:
        """``caption``: what is shown, in words. ``names``: one per unit of the film. ``steps``: what each step is called."""
        self._film, self._look, self._steps = film, look, steps
        room = (look.width, look.height)
        header = film.header
        self._plan = (
            BarPlan.of(header, names, room) if is_bars(header) else TilePlan.of(header, names, room, look.across)
        )
        self._scale = ColourScale.of(look.colours, kind_scale, header["components"], film.frames)
        self._tokens = {name: ImageColor.getrgb(colour)[:3] for name, colour in TOKENS[look.theme].items()}
        width, height = self._plan.size
        self._left, self._top = _MARGIN_PX, _MARGIN_PX + (2 * _LINE_PX + 4 if look.title else 0)
        whole = (max(_LEAST_WIDTH_PX if look.title or look.legend else 0, width) + 2 * _MARGIN_PX,
                 self._top + height + (_LEGEND_PX if look.legend else 0) + _MARGIN_PX)  # fmt: skip
        self.size = (whole[0] + whole[0] % 2, whole[1] + whole[1] % 2)
        """Width and height, both even: H.264 halves them for colour."""
        self._ground = self._with_what_stays(caption)

    def picture(self, step: int) -> Image.Image:
        """The picture of a step, RGB; one without a frame is hatched and says why."""
        frame = self._film.frames.get(step)
        pixels = self._ground.copy()
        width, height = self._plan.size
        room = pixels[self._top : self._top + height, self._left : self._left + width]
        if frame is None:
            room[:] = _hatch(width, height)
        elif isinstance(self._plan, BarPlan):
            self._paint_bars(self._plan, room, step, frame)
        else:
            self._paint_tiles(self._plan, room, step, frame)
        image = Image.fromarray(pixels.view(np.uint8).reshape(*pixels.shape, 4), "RGBA").convert("RGB")
        draw = ImageDraw.Draw(image)
        if self._look.title:
            at = (self._left, _MARGIN_PX + _LINE_PX)
            _TEXT.draw(draw, at, f"step {self._steps.get(step, step)}", TOKENS[self._look.theme]["text"])
        if frame is None:
            self._say(draw, self._film.missing.get(step, "This step has no picture."))
        elif self._look.legend:
            self._write_legend(draw, step, frame)
        return image

    def _paint_bars(self, plan: BarPlan, room: np.ndarray, step: int, frame: FilmFrame) -> None:
        table, ground = packed(self._scale.table), packed(np.array(self._tokens["surface-sunken"]))
        plan.paint(room, frame, self._scale.ends_of_units(step, frame), table, ground, _hatch(*plan.size))

    def _paint_tiles(self, plan: TilePlan, room: np.ndarray, step: int, frame: FilmFrame) -> None:
        """Colours are looked up once per value, not once per pixel."""
        colours, codes = self._scale.colours(step, frame), frame.codes
        of_unit = np.arange(len(codes)).reshape(-1, 1, 1, 1)
        if codes.shape[-1] == 3:
            coloured = np.stack([colours[of_unit, codes[..., part], 0] for part in range(3)], axis=-1)
        else:
            coloured = colours[of_unit, codes[..., 0]]
        np.copyto(room, packed(coloured).reshape(-1)[plan.source], where=plan.shown)
        broken = (codes < FIRST_CODE).any(axis=-1)
        if broken.any():
            np.copyto(room, _hatch(*plan.size), where=plan.shown & broken.reshape(-1)[plan.source])

    def _with_what_stays(self, caption: str) -> np.ndarray:
        """What is the same at every step: the ground, title, labels, and the legend's bar."""
        tokens = TOKENS[self._look.theme]
        image = Image.new("RGB", self.size, self._tokens["surface"])
        draw = ImageDraw.Draw(image)
        if self._look.title:
            caption = _TEXT.shortened(caption, self.size[0] - 2 * _MARGIN_PX)
            _TEXT.draw(draw, (self._left, _MARGIN_PX), caption, tokens["text"])
        for label in self._plan.labels:
            _SMALL.draw(draw, (self._left + label.x, self._top + label.y), label.text, tokens["text-quiet"])
        picture = packed(np.array(image))
        if self._look.legend:
            top = self._top + self._plan.size[1] + 8
            bar = packed(self._scale.table[np.linspace(0, 255, _BAR_WIDTH_PX).astype(int)])
            picture[top : top + _BAR_PX, self._left : self._left + _BAR_WIDTH_PX] = bar
        return picture

    def _write_legend(self, draw: ImageDraw.ImageDraw, step: int, frame: FilmFrame) -> None:
        tokens = TOKENS[self._look.theme]
        ends = self._scale.ends(step, frame)
        top = self._top + self._plan.size[1] + 8 + _BAR_PX + 3
        low, high = (number_text(end, 3) for end in ends) if ends else ("least", "most")
        _SMALL.draw(draw, (self._left, top), low, tokens["text"])
        _SMALL.draw(draw, (self._left + _BAR_WIDTH_PX, top), high, tokens["text"], "ra")
        words = _SMALL.shortened(self._scale.words(step), self.size[0] - 2 * _MARGIN_PX)
        _SMALL.draw(draw, (self._left, top + 16), words, tokens["text-quiet"])

    def _say(self, draw: ImageDraw.ImageDraw, reason: str) -> None:
        """Write why there is no picture, on a ground of its own."""
        tokens = TOKENS[self._look.theme]
        lines = _TEXT.wrapped(f"missing: {reason}", max(120, self.size[0] - 4 * _MARGIN_PX))
        width = max(map(_TEXT.width, lines))
        left, top = 2 * _MARGIN_PX, self._top + _MARGIN_PX
        draw.rectangle((left - 6, top - 4, left + width + 6, top + len(lines) * _LINE_PX), fill=tokens["surface"])
        for place, line in enumerate(lines):
            _TEXT.draw(draw, (left, top + place * _LINE_PX), line, tokens["text"])


@functools.lru_cache(maxsize=8)
def _hatch(width: int, height: int) -> np.ndarray:
    """Stripes, which no colour table has; packed."""
    row, column = np.indices((height, width))
    return packed(np.array(_HATCH))[(row + column) // _HATCH_PX % 2]


def packed(colours: np.ndarray) -> np.ndarray:
    """Colours (..., 3) as one uint32 each, opaque, in the order of bytes that pictures have."""
    four = np.full((*colours.shape[:-1], 4), 255, np.uint8)
    four[..., :3] = colours
    return four.view(np.uint32)[..., 0]
