"""Kinds of layers, as the graph tells them apart: by family (colour), by style, in short words."""

from __future__ import annotations

SLIM_KINDS = {
    "activation": "act",
    "normalisation": "norm",
    "dropout": "dropout",
    "padding": "pad",
    "cropping": "crop",
    "flatten": "flatten",
    "reshape": "reshape",
    "preprocessing": "prep",
}
MERGE_KINDS = ("add", "multiply", "concatenate")
FAMILIES = {
    "convolution": "convolution",
    "depthwise convolution": "convolution",
    "transposed convolution": "convolution",
    "separable convolution": "convolution",
    "dense": "dense",
    "max pooling": "pooling",
    "average pooling": "pooling",
    "global pooling": "pooling",
    "upsampling": "pooling",
    "normalisation": "helper",
    "activation": "helper",
    "dropout": "helper",
    "padding": "helper",
    "cropping": "helper",
    "flatten": "helper",
    "reshape": "helper",
    "preprocessing": "helper",
    "add": "merge",
    "multiply": "merge",
    "concatenate": "merge",
    "input": "end",
}
SHORT_KINDS = {
    "convolution": "conv",
    "depthwise convolution": "depthwise",
    "transposed convolution": "transposed conv",
    "separable convolution": "separable conv",
    "max pooling": "max pool",
    "average pooling": "avg pool",
    "global pooling": "global pool",
}


def family(kind: str) -> str:
    """The colour family of a layer kind: ``convolution``, ``dense``, ``pooling``, ``merge``, ``helper``
    (activation, normalisation ...), ``end`` or ``other``."""
    return FAMILIES.get(kind, "other")
