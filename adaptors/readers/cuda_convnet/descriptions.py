"""Numbers out of the dictionaries in which cuda-convnet keeps each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mloscope.adaptors.networks.network import Shape, Unsupported

Description = Mapping[str, Any]


def sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def whole(layer: Description, key: str, place: int | None, default: int | None = None) -> int:
    """A whole number, or the one at ``place`` where there is a list of them. Raises Unsupported."""
    value = layer.get(key, default)
    if isinstance(value, list | tuple):
        value = value[place or 0] if len(value) > (place or 0) else default
    value = value.item() if isinstance(value, np.ndarray | np.generic) and value.size == 1 else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or abs(value) > 1 << 31:
        raise Unsupported(f"has no whole number as its {key}")
    return int(value)


def number(values: Mapping[str, Any], key: str, default: float | None = None) -> float:
    value = values.get(key, default)
    if not isinstance(value, int | float | np.generic):
        raise Unsupported(f"has no number as its {key}")
    return float(value)


def stated_map(layer: Description, place: int | None) -> Shape | None:
    if "imgSize" not in layer or "channels" not in layer:
        return None
    side = whole(layer, "imgSize", place)
    return (side, side, whole(layer, "channels", place))


def kernel_name(place: int, count: int) -> str:
    return "kernel" if count == 1 else f"kernel_{place}"
