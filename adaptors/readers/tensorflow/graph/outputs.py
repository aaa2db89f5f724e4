"""Which tensors of a TensorFlow 1 graph are the network's outputs, as far as something in the files says it: the signature
that the graph is served with, or the losses it was trained with.

Sources: ``tensorflow/core/protobuf/meta_graph.proto`` (``SignatureDef``, ``TensorInfo``), ``saved_model.proto``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mloscope.adaptors.files.protobuf_wire import Message
from mloscope.adaptors.networks.network import Node

SERVED = "serving_default"
_LOSSES = ("SparseSoftmaxCrossEntropyWithLogits", "SoftmaxCrossEntropyWithLogits")
_SAME_VALUES = ("Reshape", "Squeeze", "Identity", "Cast")


def served(saved_model: Message) -> Message:
    """Of a SavedModel's graphs the one for serving, the first where none is tagged so."""
    graphs = list(saved_model.messages(2))
    tagged = (graph for graph in graphs if "serve" in graph.message(1).texts(4))
    return next(tagged, graphs[0] if graphs else Message(b"", ""))


def signature_outputs(meta_graph: Message) -> list[str]:
    """Names of the tensors that the signature for serving gives, that of all signatures where none is called so."""
    signatures = {entry.text(1): entry.message(2) for entry in meta_graph.messages(5)}
    chosen = [signatures[SERVED]] if SERVED in signatures else list(signatures.values())
    tensors = (entry.message(2).text(1) for each in chosen for entry in each.messages(2))
    return [re.sub(r":0$", "", name) for name in tensors if name]


def logits_of_losses(ops: Mapping[str, tuple[str, Sequence[str]]]) -> list[str]:
    """Names of the operations whose values the softmax cross-entropies of the graph take; ``ops`` are kinds and inputs
    by name."""
    found = []
    for kind, inputs in ops.values():
        if kind not in _LOSSES or not inputs:
            continue
        name = inputs[0]
        for _ in range(8):
            before, its_inputs = ops.get(name, ("", ()))
            if before not in _SAME_VALUES or not its_inputs:
                break
            name = its_inputs[0]
        found.append(name)
    return found


def probabilities_of(logits: str, nodes: Sequence[Node]) -> str:
    """The layer that makes probabilities of these logits; the logits' own where there is none."""
    layers = {node.layer.name: node.layer for node in nodes}
    for layer in layers.values():
        if layer.source_class != "Softmax":
            continue
        before = layers[layer.inputs[0]]
        while before.name != logits and before.kind in ("reshape", "flatten") and before.inputs:
            before = layers[before.inputs[0]]
        if before.name == logits:
            return layer.name
    return logits
