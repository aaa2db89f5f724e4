"""What the colours of a film stand for, as on pages: which table, what its ends are, which steps a scale over time leaves out.

The rules are those of ``assets/films/canvas.mjs: scale`` and ``assets/films/span.mjs``; tests hold both to the same pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mloscope.app.errors import BadRequest
from mloscope.app.export.whole_film import FilmFrame
from mloscope.app.films.encoding import CODE_STEPS, FIRST_CODE
from mloscope.components import colour_tables
from mloscope.components.exploded_steps import exploded_steps

COLOURS = ("auto", *colour_tables.NAMES)
RANGES = {
    "fixed": "one scale for all steps",
    "step": "range of this step",
    "unit": "each unit's own range at this step",
}
SYMMETRIES = ("auto", "yes", "no")


@dataclass(frozen=True)
class ColourChoice:
    """What a view asks for."""

    colour: str = "auto"
    range: str = "fixed"
    symmetric: str = "auto"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("colour", self.colour, COLOURS),
            ("range", self.range, tuple(RANGES)),
            ("symmetric", self.symmetric, SYMMETRIES),
        ):
            if value not in known:
                raise BadRequest(f'{name} must be one of {", ".join(known)}; got "{value}".')

    def is_symmetric(self, kind_scale: str) -> bool:
        is_diverging = kind_scale == "diverging" or colour_tables.is_diverging(self.colour)
        return self.symmetric == "yes" or (self.symmetric == "auto" and is_diverging)

    def table(self, symmetric: bool, components: int) -> np.ndarray:
        """uint8 (256, 3); greys where three components are red, green and blue themselves."""
        name = ("blue-red" if symmetric else "viridis") if self.colour == "auto" else self.colour
        return colour_tables.colour_table("grey" if components == 3 else name)


@dataclass(frozen=True)
class Span:
    """The range of values over time. A step that exploded is left out, or all the others would look empty."""

    ends: tuple[float, float] | None
    """None where no value is finite."""
    exploded: frozenset[int]

    @classmethod
    def of(cls, frames: Mapping[int, FilmFrame]) -> Span:
        ranges = {step: frame.layer_range.astype(float) for step, frame in frames.items()}
        known = [step for step, ends in ranges.items() if ends[0] <= ends[1]]
        found = exploded_steps(np.array([ranges[step] for step in known]).reshape(-1, 2))
        exploded = frozenset(known[place] for place in found)
        calm = [ranges[step] for step in known if step not in exploded]
        ends = (min(low for low, _ in calm), max(high for _, high in calm)) if calm else None
        return cls(ends, exploded)


@dataclass(frozen=True)
class ColourScale:
    """The colour scale of a whole film."""

    choice: ColourChoice
    table: np.ndarray
    symmetric: bool
    span: Span

    @classmethod
    def of(cls, choice: ColourChoice, kind_scale: str, components: int, frames: Mapping[int, FilmFrame]) -> ColourScale:
        symmetric = choice.is_symmetric(kind_scale)
        return cls(choice, choice.table(symmetric, components), symmetric, Span.of(frames))

    def ends(self, step: int, frame: FilmFrame) -> tuple[float, float] | None:
        """What the ends of the legend stand for at this step; None where they differ from unit to unit, or there are none."""
        if self.choice.range == "unit":
            return None
        own = self.choice.range == "step" or step in self.span.exploded
        return self._widened(frame.layer_range if own else self.span.ends)

    def ends_of_units(self, step: int, frame: FilmFrame) -> list[tuple[float, float] | None]:
        """The ends for each unit."""
        if self.choice.range == "unit":
            return [self._widened(each) for each in frame.unit_ranges]
        return [self.ends(step, frame)] * len(frame.unit_ranges)

    def colours(self, step: int, frame: FilmFrame) -> np.ndarray:
        """uint8 (unit, 256, 3): the colour of each code of each unit. Codes of values that are not finite have none."""
        scales = self.ends_of_units(step, frame)
        places = [
            _places(low, high, ends) for (low, high), ends in zip(frame.unit_ranges.tolist(), scales, strict=True)
        ]
        return self.table[np.array(places, np.intp).reshape(-1, 256)]

    def words(self, step: int) -> str:
        """The rule, in words."""
        rule = RANGES["step" if step in self.span.exploded and self.choice.range == "fixed" else self.choice.range]
        left_out = len(self.span.exploded) if self.choice.range == "fixed" and step not in self.span.exploded else 0
        without = (
            f", without {left_out} {'step' if left_out == 1 else 'steps'} whose values exploded" if left_out else ""
        )
        return f"{rule}{without}{' · centred on 0' if self.symmetric else ''}"

    def _widened(self, span: np.ndarray | tuple[float, float] | None) -> tuple[float, float] | None:
        if span is None or not span[0] <= span[1]:
            return None
        low, high = float(span[0]), float(span[1])
        most = max(abs(low), abs(high))
        return (-most, most) if self.symmetric else (low, high)


def _places(low: float, high: float, ends: tuple[float, float] | None) -> np.ndarray:
    """Where in the table the codes of a unit's range stand."""
    if ends is None:
        return np.zeros(256)
    length = ends[1] - ends[0]
    with np.errstate(invalid="ignore", over="ignore"):
        slope = (high - low) / CODE_STEPS / length * 255 if length > 0 else 0.0
        start = (low - ends[0]) / length * 255 + 0.5 if length > 0 else 128.0
        return np.clip(np.nan_to_num(start + (np.arange(256) - FIRST_CODE) * slope), 0, 255)
