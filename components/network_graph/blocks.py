"""What the graph is made of once folded: blocks, and the nodes that are shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mloscope.adaptors.interface import Layer


@dataclass(frozen=True)
class Block:
    """A stretch of the network that can be shown as one node."""

    id: str
    """Unique within the network, of letters, digits, ``_``, ``.`` and ``-`` only, whatever is open."""
    label: str
    kind: str
    """What it is, in words: ``residual block``, ``inception block``, ``3 × dense block``."""
    children: tuple[Block | Layer, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(_leaves(self.children))

    @property
    def parameter_count(self) -> int:
        return sum(layer.parameter_count for layer in self.layers)

    @property
    def repeats(self) -> int:
        """How many like blocks stand behind this one; 1 where it is a single block."""
        return len(self.children) if all(isinstance(child, Block) for child in self.children) else 1


@dataclass(frozen=True)
class Node:
    """One thing that is shown: a layer, or a folded block."""

    content: Layer | Block
    inputs: tuple[int, ...]
    """Positions, within the answer of :func:`fold`, of the nodes this one takes its input from, in order."""
    after: tuple[int, ...]
    """Positions of nodes of an unconnected part of the network; this one is only drawn to their right."""
    inside: tuple[Block, ...]
    """The open blocks this node belongs to, outermost first."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.content.layers if isinstance(self.content, Block) else (self.content,)

    @property
    def output_shape(self) -> tuple[int | None, ...] | None:
        return self.layers[-1].output_shape


def _leaves(children: Iterable[Block | Layer]) -> Iterator[Layer]:
    for child in children:
        if isinstance(child, Block):
            yield from _leaves(child.children)
        else:
            yield child
