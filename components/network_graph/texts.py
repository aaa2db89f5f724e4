"""What is written in the graph: how wide it is, how it is cut, a layer in half a line."""

from __future__ import annotations

import unicodedata

from mloscope.adaptors.interface import Layer
from mloscope.components.network_graph.blocks import Block, Node
from mloscope.components.network_graph.kinds import FAMILIES, MERGE_KINDS, SHORT_KINDS, SLIM_KINDS
from mloscope.components.network_graph.pieces import has_stem

NAME_SIZE, DETAIL_SIZE, SHAPE_SIZE, SLIM_SIZE = 12.0, 11.0, 10.5, 10.5

# Advance widths of DejaVu Sans, the widest of the theme's faces: characters 32 to 126, in hundredths of
# an em.
_WIDTHS = (
    "32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 53 "
    "100 68 69 70 77 63 58 77 75 29 29 66 56 86 75 79 60 79 69 63 61 73 68 99 69 61 69 39 34 39 84 50 "
    "50 61 63 55 63 62 35 63 63 28 28 58 28 97 63 61 63 63 41 52 39 63 59 82 59 59 52 64 34 64 84"
)
_ADVANCE = {32 + i: int(width) / 100 for i, width in enumerate(_WIDTHS.split())}


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Pixels the text takes at most in any of the theme's faces."""
    ems = 0.0
    for character in text:
        if ord(character) in _ADVANCE:
            ems += _ADVANCE[ord(character)]
        elif unicodedata.combining(character):
            continue
        else:
            ems += 1.05
    return ems * size * (1.13 if bold else 1.0)


def cut_middle(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text, or its beginning and end around an ellipsis where it is wider than ``width`` pixels."""
    if text_width(text, size, bold) <= width:
        return text
    low, high = 0, len(text) - 1
    while low < high:
        kept = (low + high + 1) // 2
        if text_width(_cut(text, kept), size, bold) <= width:
            low = kept
        else:
            high = kept - 1
    return _cut(text, low)


def _cut(text: str, kept: int) -> str:
    tail = kept // 2
    return f"{text[: kept - tail]}…{text[len(text) - tail :] if tail else ''}"


def shape_text(shape: tuple[int | None, ...] | None) -> str:
    """``28×28×6``; a size that is not fixed is ``?``; empty where the shape is not known."""
    return "×".join("?" if size is None else str(size) for size in shape or ())


def _setting(layer: Layer, *names: str) -> object:
    return next((layer.hyperparameters[n] for n in names if layer.hyperparameters.get(n) is not None), None)


def _by(value: object) -> str:
    """``5×5`` of 5, (5,) or [5, 5]."""
    if isinstance(value, bool) or not isinstance(value, (int, list, tuple)):
        return ""
    sizes = [value, value] if isinstance(value, int) else list(value)
    if not sizes or not all(isinstance(size, int) for size in sizes):
        return ""
    return "×".join(map(str, sizes if len(sizes) > 1 else sizes * 2))


def _kernel(layer: Layer) -> str:
    told = _by(_setting(layer, "kernel_size", "pool_size", "kernel_shape", "kernel", "ksize", "filterSize", "size"))
    if told:
        return told
    for parameter in layer.parameters:
        sizes = [s for s, a in zip(parameter.shape, parameter.axes, strict=False) if a in ("row", "column")]
        if sizes:
            return "×".join(map(str, sizes))
    return ""


def _detail(layer: Layer) -> str:
    """A layer in half a line: ``conv 5×5, 32``, ``max pool 3×3 /2``, ``dense, 10``."""
    words = SHORT_KINDS.get(layer.kind, layer.kind)
    family = FAMILIES.get(layer.kind)
    if family in ("convolution", "pooling") and layer.kind != "global pooling":
        words = " ".join(filter(None, (words, _kernel(layer))))
        stride = _by(_setting(layer, "strides", "stride")).split("×")
        if stride[0] not in ("", "1"):
            words += f" /{stride[0] if len(set(stride)) == 1 else '×'.join(stride)}"
    if family in ("convolution", "dense") and layer.output_shape and layer.output_shape[-1] is not None:
        words += f", {layer.output_shape[-1]}"
    return words


def _slim_text(layer: Layer) -> str:
    if layer.kind == "activation":
        function = _setting(layer, "activation", "function")
        named = function if isinstance(function, str) else layer.source_class
        if named and named.lower() != "activation":
            return named.lower()
    return SLIM_KINDS[layer.kind]


def node_style(node: Node) -> str:
    """How a node is drawn: ``block``, ``slim`` (a helper on edge), ``merge`` (a sign in a circle) or ``full``."""
    if isinstance(node.content, Block):
        return "block"
    if node.content.kind in SLIM_KINDS:
        return "slim"
    return "merge" if node.content.kind in MERGE_KINDS else "full"


def node_text(node: Node) -> tuple[str, str, str]:
    """What is written on a node, uncut."""
    content = node.content
    if isinstance(content, Block):
        return content.label, content.kind.removesuffix(" block"), f"{len(content.layers)} layers"
    if content.kind in SLIM_KINDS:
        return _slim_text(content), "", ""
    if content.kind in MERGE_KINDS:
        return "", "", ""
    name = content.name
    # Within an open block its own name need not be said again.
    if node.inside and has_stem(name, node.inside[-1].label):
        name = name[len(node.inside[-1].label) + 1 :] or name
    return name, _detail(content), ""
