"""Which of a folder's files are the checkpoints of one TensorFlow run, what network they share, and which of
their tensors are which layer's parameters."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mloscope.adaptors.files.run_folder import Notes, checkpoints_of, read_notes, shortened
from mloscope.adaptors.installation import how_to_add
from mloscope.adaptors.interface import (
    AdaptorError,
    Checkpoint,
    DependencyMissing,
    Layer,
    Preprocessing,
    Refused,
    RunOptions,
    Unknown,
    Unreadable,
)
from mloscope.adaptors.networks.network import Node as TranslatedNode
from mloscope.adaptors.networks.network import outputs_of as graph_outputs
from mloscope.adaptors.readers.keras.architecture import outputs_of as keras_outputs
from mloscope.adaptors.readers.keras.building import build_model, refuse_code
from mloscope.adaptors.readers.keras.descriptions import given_architecture, parsed_nodes
from mloscope.adaptors.readers.keras.saved_model_config import saved_config
from mloscope.adaptors.readers.tensorflow.graph.translation import Translated, translate
from mloscope.adaptors.readers.tensorflow.groups import Groups
from mloscope.adaptors.readers.tensorflow.listing import SAVED_MODEL, VARIABLES, listed
from mloscope.adaptors.readers.tensorflow.matching import matched
from mloscope.adaptors.readers.tensorflow.tensor_bundle import INDEX, open_bundle
from mloscope.adaptors.readers.tensorflow.variables import OBJECT_GRAPH, Variable

if TYPE_CHECKING:
    import keras

_MOST_GRAPHS = 4
_ARCHITECTURES = ("model.json", "architecture.json", "config.json")
Places = Mapping[tuple[str, str], str]
"""The key of each parameter, by layer and parameter name."""


@dataclass(frozen=True)
class Survey:
    """What was found."""

    folder: Path
    checkpoints: tuple[Checkpoint, ...]
    layers: tuple[Layer, ...]
    places: Places
    config: Mapping[str, Any] | None
    """The network's Keras configuration; None where only its variables are known."""
    source: str
    """Where the configuration was read, for messages."""
    function: str | None
    """The user's ``module:function``, where only it can build the network: one with classes of its own."""
    graph: tuple[TranslatedNode, ...]
    """The network of a ``.meta`` graph; empty where there is none, or a configuration."""
    preprocessing: Preprocessing | None
    """What the run's notes, or its graph, say of its pixels."""
    notes: Notes
    problems: tuple[str, ...]

    def index(self, checkpoint: Checkpoint) -> Path:
        """The checkpoint's ``.index`` file. Raises Unknown."""
        if all(known.name != checkpoint.name for known in self.checkpoints):
            raise Unknown(f"The run {self.folder} has no checkpoint {checkpoint.name}.")
        return self.folder / checkpoint.name

    def read(self, checkpoint: Checkpoint, layer: Layer, slots: bool = True) -> dict[str, np.ndarray]:
        """The layer's arrays by parameter name, without the slots that the checkpoint does not have. Raises Unreadable
        where another one is missing or has another shape."""
        bundle = open_bundle(Path(str(self.index(checkpoint)).removesuffix(INDEX)))
        arrays = {}
        for wanted in layer.parameters:
            if wanted.slot and not slots:
                continue
            key = self.places[layer.name, wanted.name]
            entry = bundle.entries.get(key)
            if entry is None and wanted.slot:
                continue  # saved before the optimizer had made any, or without it
            if entry is None or not _fits(entry.shape, wanted.shape):
                held = "nothing" if entry is None else f"the shape {entry.shape}"
                raise Unreadable(
                    f"{bundle.path} has {held} for {layer.name}/{wanted.name} (its key is {key}) where the "
                    f"run's network has {wanted.shape}."
                )
            arrays[wanted.name] = bundle.read(key).reshape(wanted.shape)
        return arrays

    def outputs(self) -> tuple[str, ...]:
        """The layers that the configuration or the graph declares as outputs."""
        return keras_outputs(self.config) if self.config is not None else graph_outputs(self.graph)

    def model(self, options: RunOptions) -> keras.Model:
        """The network. Raises Refused, Unreadable and DependencyMissing."""
        if self.config is not None:
            return build_model(self.config, self.source, self.function, options.trust, options.custom_objects)
        try:
            from mloscope.adaptors.networks.translated_layers import build_model as build_translated
        except ImportError as error:
            raise DependencyMissing(f"Evaluating a network needs TensorFlow: {how_to_add('evaluate')}") from error
        return build_translated(self.graph, self.source)


def _fits(stored: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether they are the same but for axes of one place before the first; a graph's depthwise kernels have their two
    last axes in one."""
    if stored == wanted or (stored[len(stored) - len(wanted) :] == wanted and math.prod(stored) == math.prod(wanted)):
        return True
    depthwise = len(stored) == len(wanted) == 4 and wanted[2] == 1 and stored[:2] == wanted[:2]
    return depthwise and stored[2] * stored[3] == wanted[3]


def survey(path: Path, options: RunOptions) -> Survey:
    """List the folder, or take the one file. The index of one checkpoint of each size is parsed; the others of its size
    cost a look at how long their files are. Raises Unreadable where no checkpoint is usable."""
    folder = path if path.is_dir() else path.parent
    listing = listed(path, options.step_pattern is not None)
    names = listing.names
    if not names:
        raise Unreadable(f"{path} holds no TensorFlow checkpoint: an .index file with its .data files.")
    notes = read_notes(folder)
    checkpoints, left_out = checkpoints_of(names, listing.stems, notes, options.step_pattern)
    if not checkpoints:
        raise Unreadable(
            f"{path}: none of its {len(names)} TensorFlow checkpoints has a place on the time axis. {left_out[0]}"
        )
    groups = Groups(folder, checkpoints)
    problems = [*notes.problems, *listing.problems, *shortened(left_out)]
    return _surveyed(groups, notes, options, problems)


def _surveyed(groups: Groups, notes: Notes, options: RunOptions, problems: list[str]) -> Survey:
    """The run with its network's configuration, else with its graph, else with its variables alone."""
    folder, layers, places = groups.folder, groups.layers, groups.places
    config, source = _architecture(folder, groups.reference, options, problems)
    if config is not None:
        try:
            layers, places = matched(config, parsed_nodes(config, source), groups.variables, source)
        except Unreadable as error:
            if options.architecture:
                raise
            problems.append(f"{error} It is left out.")
            config = None
    graph: tuple[TranslatedNode, ...] = ()
    pixels = None
    if config is None:
        layers, places, graph, source, pixels = _translated(groups, problems)
    if config is None and not graph:
        problems.append(
            f"{folder} holds variables alone: layers are in an order that their names suggest, without the network's "
            "graph. To evaluate the network, name a function that builds it in Keras (--architecture module:function), "
            "put its configuration beside the checkpoints (model.json), or save it as a Keras model."
        )
    return Survey(
        folder=folder,
        checkpoints=groups.checkpoints,
        layers=layers,
        places=places,
        config=config,
        source=source,
        function=source if config and source == options.architecture and _needs_its_code(config, source) else None,
        graph=graph,
        preprocessing=notes.preprocessing or pixels,
        notes=notes,
        problems=tuple(problems),
    )


# ------------------------------------------------------------------------------------------- the architecture


def _architecture(
    folder: Path, reference: Path, options: RunOptions, problems: list[str]
) -> tuple[Mapping[str, Any] | None, str]:
    """The network's Keras configuration and where it was read: as the options name it, from a file beside the
    checkpoints, or from the SavedModel."""
    several = [folder / name for name in _ARCHITECTURES if (folder / name).is_file()] or sorted(folder.glob("*.keras"))
    beside = several[0] if several else None
    if len(several) > 1 and not options.architecture:
        problems.append(
            f"{len(several)} files beside the checkpoints may describe the network, and {several[0].name} is taken; "
            "--architecture FILE names another."
        )
    if options.architecture or beside is not None:
        try:
            return given_architecture(folder, options, beside)
        except AdaptorError as error:
            if options.architecture:
                raise
            problems.append(str(error))
    if reference.parent.name == "variables":
        return saved_config(reference.parent.parent, problems)
    return None, ""


def _translated(
    groups: Groups, problems: list[str]
) -> tuple[tuple[Layer, ...], Places, tuple[TranslatedNode, ...], str, Preprocessing | None]:
    """The layers of the ``.meta`` graph beside the checkpoints, with their slots, and then those that are not in
    its network; where there is no such graph, the layers as their names tell."""
    meta = _graph_of(groups)
    if meta is None:
        return groups.layers, groups.places, (), "", None
    try:
        found = translate(meta, groups.variables)
    except Unreadable as error:
        problems.append(f"{error} It is left out, so feature maps cannot be computed.")
        return groups.layers, groups.places, (), "", None
    problems += found.problems
    problems += _other_networks(groups.metas, found, groups.variables)
    problems += shortened(node.layer.problem for node in found.nodes if node.layer.problem)
    places, layers, used = dict(found.places), [], set(found.places.values())
    keys = {(each.layer, each.name): each.key for each in groups.variables if not each.slot}
    for node in found.nodes:
        own = {places[node.layer.name, each.name]: each for each in node.layer.parameters}
        slots = []
        for each in groups.variables:
            about = own.get(keys.get((each.layer, each.name), "")) if each.slot else None
            if about is not None:
                slot = dataclasses.replace(about, name=f"{about.name} {each.slot}", slot=each.slot)
                slots.append(slot)
                places[node.layer.name, slot.name] = each.key
        parameters = (*node.layer.parameters, *slots)
        layers.append(dataclasses.replace(node.layer, parameters=parameters))
    known = {layer.name for layer in layers}
    for layer in groups.layers:
        parameters = tuple(p for p in layer.parameters if p.slot or groups.places[layer.name, p.name] not in used)
        if any(not each.slot for each in parameters):
            name = layer.name if layer.name not in known else f"{layer.name}/beside"
            problem = f"{name} cannot be evaluated: it is not in the part of {meta.name} that is understood."
            layers.append(dataclasses.replace(layer, name=name, parameters=parameters, problem=problem))
            places.update({(name, p.name): groups.places[layer.name, p.name] for p in parameters})
    evaluable = [node for node in found.nodes if node.operation is not None and node.layer.kind != "input"]
    return tuple(layers), places, found.nodes if evaluable else (), str(meta), found.preprocessing


def _graph_of(groups: Groups) -> Path | None:
    """The file with the graph of checkpoints of names: the latest ``.meta`` that is left, or their SavedModel."""
    if groups.metas:
        return groups.metas[-1]
    saved = groups.reference.parent.parent / SAVED_MODEL
    is_saved_model = str(groups.reference).endswith(VARIABLES) and saved.is_file()
    of_names = is_saved_model and OBJECT_GRAPH not in open_bundle(groups.reference.with_suffix("")).entries
    return saved if of_names else None


def _other_networks(metas: Sequence[Path], chosen: Translated, variables: Sequence[Variable]) -> list[str]:
    """A sentence for the ``.meta`` graphs, one of every size, whose network is another than that of the last."""
    by_size = {path.stat().st_size: path for path in metas}
    others = []
    for path in [path for path in by_size.values() if path != metas[-1]][:_MOST_GRAPHS]:
        try:
            if translate(path, variables).nodes != chosen.nodes:
                others.append(path.name)
        except Unreadable as error:
            others.append(f"{path.name} ({error})")
    if not others:
        return []
    return [f"The graphs beside the checkpoints differ: the network shown is that of {metas[-1].name}, not of "
            f"{', '.join(others)}."]  # fmt: skip


def _needs_its_code(config: Mapping[str, Any], source: str) -> bool:
    # Whatever Keras can build from the configuration alone gets the layers' names from there; a function that
    # is called twice numbers its layers on.
    try:
        refuse_code(config, source)
    except Refused:
        return ":" in source and not Path(source).is_file()
    return False
