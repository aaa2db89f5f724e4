"""How numbers are written on pages; ``assets/base/numbers.mjs`` is the counterpart for what the browser writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SPACE = "\u202f"
"""Between thousands and before a percent sign: narrow, and no line breaks at it."""


def grouped(number: float) -> str:
    """Write a whole number with narrow spaces between thousands: ``1 200``."""
    return f"{number:,.0f}".replace(",", SPACE)


def percent(share: float, digits: str = ".0f") -> str:
    """Write a share of 0 to 1 as ``75 %``."""
    return f"{100 * share:{digits}}{SPACE}%"


def number_text(value: float | None, digits: int = 4) -> str:
    """Write so many significant digits; a value that is not a finite number by its name."""
    if value is None:
        return "–"
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{digits}g}"
    if "e" in text:  # short of one digit: four such numbers stand side by side
        mantissa, exponent = f"{value:.{max(0, digits - 2)}e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


def step_name(checkpoint: Mapping[str, Any]) -> str:
    """Name a checkpoint's step: its label, or the number in groups."""
    step, label = checkpoint["step"], checkpoint.get("label")
    return label if label and label != str(step) else grouped(step)


def step_names(checkpoints: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the steps of checkpoints, as charts label them."""
    return [step_name(checkpoint) for checkpoint in checkpoints]


def name_of_step(checkpoints: Iterable[Mapping[str, Any]], step: int) -> str:
    """Name one step among checkpoints."""
    return next((step_name(each) for each in checkpoints if each["step"] == step), grouped(step))
