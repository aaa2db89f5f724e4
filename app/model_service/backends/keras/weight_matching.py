"""Which of a checkpoint's arrays is which variable of a Keras model.

A checkpoint's arrays are called ``<Layer.name>/<Parameter.name>``. Names alone do not always lead to the variable: inner
layers are numbered on (``lstm_cell_7``), an older Keras called them otherwise, and some files only number a layer's
variables. So within one layer, and only within it, each rule takes what the rules before it left over: the whole name;
the variable's own name or number, with as much as can be of the names of the layers around it; and last, as Keras does,
the order. An array is never taken for a variable of another shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

_NUMBERED = re.compile(r"variable_(\d+)$")
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Place:
    """One variable of a model, and all that files may call it."""

    variable: Any
    layer: str
    """The run's name of the layer that it belongs to."""
    path: tuple[str, ...]
    """Names of the layers within that layer, the outermost first: a wrapper's layer, a recurrent layer's cell."""
    attributes: tuple[str, ...]
    """As what each of those is held by the one around it: ``cell``, ``forward_layer``."""
    number: int
    """Its place among the variables of its innermost layer, as ``.keras`` files number them."""
    order: int
    """Its place among all variables of the layer, as ``.h5`` files order them."""

    @property
    def own_name(self) -> str:
        return "/".join((*self.path, self.variable.name))

    @property
    def name(self) -> str:
        return f"{self.layer}/{self.own_name}"

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.variable.shape)


def is_nested_model(layer: Any) -> bool:
    """Whether its layers are layers of the run, under its name."""
    return isinstance(layer, keras.Model) and (
        layer.built if isinstance(layer, keras.Sequential) else hasattr(layer, "_nodes_by_depth")
    )


def layers_with_names(model: keras.Model, around: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """Every layer under the name it has in a run, layers of nested models as ``outer/inner``; each layer once
    a place."""
    for layer in model.layers:
        if is_nested_model(layer):
            yield from layers_with_names(layer, f"{around}{layer.name}/")
        else:
            yield f"{around}{layer.name}", layer


def places_of(model: keras.Model) -> list[Place]:
    """The variables that a checkpoint fills, each once."""
    found: dict[int, Place] = {}
    for name, layer in layers_with_names(model):
        saved = [*layer.trainable_weights, *layer.non_trainable_weights]
        order = {id(variable): position for position, variable in enumerate(saved)}
        for place in _within(layer, name, (), (), order):
            found.setdefault(id(place.variable), place)
    return list(found.values())


def _within(
    layer: Any, name: str, path: tuple[str, ...], attributes: tuple[str, ...], order: Mapping[int, int]
) -> Iterator[Place]:
    for number, variable in enumerate((*layer._trainable_variables, *layer._non_trainable_variables)):
        counts = variable.name == "count" and isinstance(layer, keras.layers.Normalization)
        if id(variable) in order and not counts:  # seeds are not, and nothing is computed with counts
            yield Place(variable, name, path, attributes, number, order[id(variable)])
    held = {id(value): key.lstrip("_") for key, value in vars(layer).items()}
    for inner in layer._layers:  # of layers made of layers: wrappers, recurrent layers, attention
        yield from _within(inner, name, (*path, inner.name), (*attributes, held.get(id(inner), inner.name)), order)


@contextmanager
def statistics_of_variables(model: keras.Model) -> Iterator[None]:
    """Within it, the model's Normalization layers compute with the present values of their variables; Keras has them
    compute with constants instead, made when statistics were adapted or loaded."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Normalization)]
    layers = [layer for layer in layers if layer.built and layer.input_mean is None]
    before = [(layer, layer.mean, layer.variance) for layer in layers]
    try:
        for layer in layers:
            layer.finalize_state()
        yield
    finally:
        for layer, mean, variance in before:
            layer.mean, layer.variance = mean, variance


# ---------------------------------------------------------------------------------------------------- matching


def matched(places: Sequence[Place], arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """The name in ``arrays`` of each place, by :attr:`Place.name`; a place that none fits is left out."""
    by_layer: dict[str, list[Place]] = {}
    for place in places:
        by_layer.setdefault(place.layer, []).append(place)
    held: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, array in arrays.items():
        layer = _layer_of(name, by_layer)
        if layer is not None:
            held.setdefault(layer, {})[name[len(layer) + 1 :]] = tuple(np.shape(array))
    return {
        place.name: f"{layer}/{own}"
        for layer, wanted in by_layer.items()
        for place, own in _within_layer(wanted, held.get(layer, {}))
    }


def _layer_of(name: str, layers: Mapping[str, Any]) -> str | None:
    """The longest of the layers' names that the array's begins with: layers may be called ``conv`` and ``conv/bn``."""
    around, slash, _ = name.rpartition("/")
    while slash:
        if around in layers:
            return around
        around, slash, _ = around.rpartition("/")
    return None


def _within_layer(places: Sequence[Place], held: Shapes) -> list[tuple[Place, str]]:
    found = [(place, place.own_name) for place in places if place.own_name in held]
    for rule in (_by_words, _by_order):
        taken, used = {place.name for place, _ in found}, {name for _, name in found}
        rest = [place for place in places if place.name not in taken]
        left = {name: shape for name, shape in held.items() if name not in used}
        found += rule(rest, left) if rest else []
    return found


def _by_words(places: Sequence[Place], held: Shapes) -> list[tuple[Place, str]]:
    """The array of the same own name or number that shares most words with the variable, where one does."""
    best: dict[str, list[Place]] = {}
    for place in places:
        scores = {
            name: _shared(place, name) for name, shape in held.items() if shape == place.shape and _is_it(place, name)
        }
        highest = [name for name, score in scores.items() if score == max(scores.values())]
        if len(highest) == 1:
            best.setdefault(highest[0], []).append(place)
    return [(claimed[0], name) for name, claimed in best.items() if len(claimed) == 1]


def _is_it(place: Place, name: str) -> bool:
    own = name.rpartition("/")[2]
    numbered = _NUMBERED.match(own)
    return own == place.variable.name or (numbered is not None and int(numbered[1]) == place.number)


def _shared(place: Place, name: str) -> tuple[int, int]:
    """How many words the two have in common; where that leaves a choice, how many with the numbers they end in."""
    words, others = {*place.path, *place.attributes}, set(name.split("/")[:-1])
    return len({_unnumbered(word) for word in words} & {_unnumbered(word) for word in others}), len(words & others)


def _unnumbered(word: str) -> str:
    return re.sub(r"_\d+$", "", word)


def _by_order(places: Sequence[Place], held: Shapes) -> list[tuple[Place, str]]:
    in_order = sorted(places, key=lambda place: place.order)
    if [place.shape for place in in_order] != list(held.values()):
        return []
    return list(zip(in_order, held, strict=True))
