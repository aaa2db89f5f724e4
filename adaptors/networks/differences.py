"""Where two networks of one run differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def first_difference(found: Iterable[tuple[str, Any]], chosen: Iterable[tuple[str, Any]]) -> str:
    """The first difference between a checkpoint's network and the run's, as a clause. Each is pairs of an array's or a
    layer's name and its shapes."""
    here, there = dict(found), dict(chosen)
    name = min(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    if name in here and name in there:
        return f"{name} has the shape {here[name]} in it and {there[name]} in the run"
    return f"{name} is in it and not in the run" if name in here else f"{name} is not in it"
