"""Single values of the command line: what their text must be, and what it is read as."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is not a port; it must be a whole number from 0 to 65535')
    return int(text)


def url_prefix(text: str) -> str:
    from mloscope.app.process.url_prefix import parse

    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" must be {error}') from None


def whole(least: int) -> Callable[[str], int]:
    """Return what reads a whole number of at least ``least``."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f'"{text}" must be a whole number of at least {least}')
        return int(text)

    return read


def units(text: str) -> tuple[int, ...] | None:
    """A selection such as "0-15,40"; None where it is empty."""
    from mloscope.app.runs.unit_selection import parse_units

    try:
        return parse_units(text) or None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removesuffix(".")) from None


def scale(text: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f'"{text}" must be a number, such as 0.0039 or 1/255') from None


def classes(text: str) -> tuple[str, ...]:
    """A file of names, or a JSON list."""
    from mloscope.app.errors import BadRequest, NotFound
    from mloscope.app.evaluation.named_outputs import checked_names, read_class_names

    try:
        return checked_names(json.loads(text)) if text.lstrip().startswith("[") else read_class_names(Path(text))
    except json.JSONDecodeError:
        raise argparse.ArgumentTypeError("it begins like a JSON list of names, but is not one") from None
    except (BadRequest, NotFound) as error:
        raise argparse.ArgumentTypeError(str(error).removesuffix(".")) from None


def mean(text: str) -> float | list[float] | str:
    if re.fullmatch(r"[-+0-9.eE,\s]+", text):
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            raise argparse.ArgumentTypeError(f'"{text}" must be a number, or several separated by commas') from None
        return numbers[0] if len(numbers) == 1 else numbers
    return text if text == "corpus" else str(Path(text).expanduser().absolute())
