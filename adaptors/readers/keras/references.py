"""How Keras 2 refers to a tensor in ``inbound_nodes``: a layer's name, which of its calls, which of its outputs, and
sometimes further arguments."""

from __future__ import annotations

from typing import Any


def is_reference(value: Any) -> bool:
    """Whether a part of a node is a tensor; a constant has -1 in place of the call."""
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in value[1:3])
    )
