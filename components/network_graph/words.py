"""What is known of a layer or block, in words: the tooltips of the graph."""

from __future__ import annotations

import json
import re

from mloscope.adaptors.interface import Layer
from mloscope.components.network_graph.blocks import Block
from mloscope.components.network_graph.texts import shape_text
from mloscope.components.numbers import grouped


def _brief(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "×".join(map(str, value)) if value and all(isinstance(v, int) for v in value) else json.dumps(value)
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


_DULL = re.compile(r"(initializer|regularizer|constraint|data_format|dtype|trainable|^name$|build_config)")


def describe(layer: Layer) -> str:
    """What is known of a layer, a line each: name, kind, output shape, parameters, settings, problem."""
    lines = [layer.name]
    source = f" ({layer.source_class})" if layer.source_class else ""
    lines.append(f"{layer.kind}{source}")
    if layer.output_shape is not None:
        lines.append(f"output {shape_text(layer.output_shape) or 'a single number'}")
    if layer.parameters:
        arrays = ", ".join(f"{p.name} {shape_text(p.shape)}".strip() for p in layer.parameters)
        lines.append(f"{grouped(layer.parameter_count)} parameters: {arrays}")
    else:
        lines.append("no parameters")
    settings = [
        f"{key} {text if len(text) <= 40 else text[:39] + '…'}"
        for key, value in layer.hyperparameters.items()
        if value is not None and not _DULL.search(key)
        for text in (_brief(value),)
    ]
    if settings:
        lines.append(", ".join(settings[:12]) + (", …" if len(settings) > 12 else ""))
    if layer.problem:
        lines.append(f"⚠ {layer.problem}")
    return "\n".join(lines)


def describe_block(block: Block) -> str:
    """What a block holds, a line each: label, kind, output shape, parameters, its layers' names, problems."""
    layers = block.layers
    lines = [block.label, f"{block.kind}, {len(layers)} layers"]
    if layers[-1].output_shape is not None:
        lines.append(f"output {shape_text(layers[-1].output_shape)}")
    lines.append(f"{grouped(block.parameter_count)} parameters")
    children = [child.label if isinstance(child, Block) else child.name for child in block.children]
    lines.append(", ".join(children[:14]) + (f" and {len(children) - 14} more" if len(children) > 14 else ""))
    problems = [f"⚠ {layer.name}: {layer.problem}" for layer in layers if layer.problem]
    lines.extend(problems[:3])
    if len(problems) > 3:
        lines.append(f"⚠ and {len(problems) - 3} more layers with a problem")
    return "\n".join(lines)
