"""The network as a picture: layers folded into blocks, laid out left to right, drawn as one SVG.

    layers ──fold──► nodes (layers and blocks) ──layout──► a plan in pixels ──svg──► text

:func:`fold` decides what is shown, :func:`layout` where it stands, :func:`svg` how it looks. All three are pure: the same
layers give the same picture, byte for byte.
"""

from mloscope.components.network_graph.blocks import Block, Node
from mloscope.components.network_graph.drawing import svg
from mloscope.components.network_graph.fold import FOLD_ABOVE, fold, tree
from mloscope.components.network_graph.layout import layout

__all__ = ["FOLD_ABOVE", "Block", "Node", "fold", "layout", "svg", "tree"]
