"""Which of a folder's files are the checkpoints of one TensorFlow run, what network they share, and which of
their tensors are which layer's parameters."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mloscope.adaptors.installation import how_to_add
from mloscope.adaptors.interface import (
    AdaptorError,
    Checkpoint,
    DependencyMissing,
    Layer,
    Refused,
    RunOptions,
    Unknown,
    Unreadable,
)
from mloscope.adaptors.models import tensor_bundle
from mloscope.adaptors.models.keras_building import build_model, refuse_code, set_constants
from mloscope.adaptors.models.keras_checkpoints import given_architecture, parsed_nodes
from mloscope.adaptors.models.network import Node as TranslatedNode
from mloscope.adaptors.models.protobuf_wire import Message
from mloscope.adaptors.models.run_folder import EXAMINED_UP_TO, Notes, checkpoints_of, read_notes, shortened
from mloscope.adaptors.models.tensor_bundle import INDEX, open_bundle
from mloscope.adaptors.models.tensorflow_graph import translate
from mloscope.adaptors.models.tensorflow_matching import matched
from mloscope.adaptors.models.tensorflow_variables import OBJECT_GRAPH, Variable, layers_from, variables_of
from mloscope.adaptors.regular_files import read_regular

if TYPE_CHECKING:
    import keras

SAVED_MODEL = "saved_model.pb"
LARGEST_DESCRIPTION_BYTES = 512 * 1024 * 1024
_LARGEST_STATE_BYTES = 16 * 1024 * 1024
_VARIABLES = "variables/variables" + INDEX
_MOST_LISTED = 100_000
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
    notes: Notes
    problems: tuple[str, ...]

    def index(self, checkpoint: Checkpoint) -> Path:
        """The checkpoint's ``.index`` file. Raises Unknown."""
        if all(known.name != checkpoint.name for known in self.checkpoints):
            raise Unknown(f"The run {self.folder} has no checkpoint {checkpoint.name}.")
        return self.folder / checkpoint.name

    def read(self, checkpoint: Checkpoint, layer: Layer, slots: bool = True) -> dict[str, np.ndarray]:
        """The layer's arrays by parameter name. Raises Unreadable where one is missing or has another
        shape."""
        bundle = open_bundle(Path(str(self.index(checkpoint)).removesuffix(INDEX)))
        arrays = {}
        for wanted in layer.parameters:
            if wanted.slot and not slots:
                continue
            key = self.places[layer.name, wanted.name]
            entry = bundle.entries.get(key)
            if entry is None or not _fits(entry.shape, wanted.shape):
                held = "nothing" if entry is None else f"the shape {entry.shape}"
                raise Unreadable(
                    f"{bundle.path} has {held} for {layer.name}/{wanted.name} (its key is {key}) where the "
                    f"run's network has {wanted.shape}."
                )
            arrays[wanted.name] = bundle.read(key).reshape(wanted.shape)
        return arrays

    def model(self, weights: Mapping[str, np.ndarray], trust: bool) -> keras.Model:
        """The network; ``weights`` of any checkpoint, for what Keras holds as constants. Raises Refused,
        Unreadable and DependencyMissing."""
        if self.config is not None:
            model = build_model(self.config, self.source, self.function, trust)
            set_constants(model, weights)
            return model
        try:
            from mloscope.adaptors.models.translated_layers import build_model as build_translated
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


def holds_checkpoints(path: Path) -> bool:
    """Whether the path looks like a checkpoint, a SavedModel or a folder of some, by names alone."""
    if path.is_file():
        return path.name.endswith(INDEX) and tensor_bundle.is_index(path)
    return path.is_dir() and bool(_listed(path))


def _listed(folder: Path) -> list[str]:
    """The indices in the folder, in SavedModels in it, or in those of its folders that hold one checkpoint
    each; relative to the folder."""
    try:
        with os.scandir(folder) as scanned:
            entries = list(islice(scanned, _MOST_LISTED))
    except OSError:
        return []
    names = {entry.name for entry in entries}
    found = [name for name in names if name.endswith(INDEX) and _has_data(name, names)]
    if SAVED_MODEL in names and (folder / _VARIABLES).is_file():
        found.append(_VARIABLES)
    inner = [entry.name for entry in entries if not found and not entry.name.startswith(".") and entry.is_dir()]
    for name in inner:
        if (folder / name / _VARIABLES).is_file():
            found.append(f"{name}/{_VARIABLES}")
        else:
            held = [each for each in _indices(folder / name) if each.endswith(INDEX)]
            found += [f"{name}/{each}" for each in held[:1] if len(held) == 1]
    return sorted(found)


def _indices(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as scanned:
            names = {entry.name for entry in islice(scanned, _MOST_LISTED)}
    except OSError:
        return []
    return [name for name in names if name.endswith(INDEX) and _has_data(name, names)]


def _has_data(name: str, names: set[str]) -> bool:
    stem = name.removesuffix(INDEX)
    return f"{stem}.data-00000-of-00001" in names or any(other.startswith(f"{stem}.data-00000-of-") for other in names)


def _stem(name: str) -> str:
    """What tells the step: a SavedModel's folder, or the prefix without its extension."""
    folder = name.removesuffix(_VARIABLES).rstrip("/") if name.endswith(_VARIABLES) else ""
    own = folder or name.removesuffix(INDEX)
    if "/" in own and not re.search(r"\d", own.rpartition("/")[2]):
        own = own.rpartition("/")[0]  # epoch_7/model.ckpt
    return re.sub(r"\.(ckpt|tf|model)$", "", own)


def survey(path: Path, options: RunOptions) -> Survey:
    """Lists the folder, or takes the one file. The index of one checkpoint of every size is parsed; the
    others of its size cost a look at how long their files are. Raises Unreadable where no checkpoint is
    usable."""
    folder = path if path.is_dir() else path.parent
    names = _listed(path) if path.is_dir() else [path.name]
    if not names:
        raise Unreadable(f"{path} holds no TensorFlow checkpoint: an .index file with its .data files.")
    notes = read_notes(folder)
    checkpoints, left_out = checkpoints_of(names, [_stem(name) for name in names], notes, options.step_pattern)
    if not checkpoints:
        raise Unreadable(
            f"{path}: none of its {len(names)} TensorFlow checkpoints has a place on the time axis. {left_out[0]}"
        )
    groups = _Groups(folder, checkpoints)
    problems = [*notes.problems, *shortened(left_out), *_absent(folder, names)]
    config, source = _architecture(folder, groups.reference, options, problems)
    layers, places = groups.layers, groups.places
    if config is not None:
        try:
            layers, places = matched(config, parsed_nodes(config, source), groups.variables, source)
        except Unreadable as error:
            if options.architecture:
                raise
            problems.append(f"{error} It is left out.")
            config = None
    graph: tuple[TranslatedNode, ...] = ()
    if config is None:
        layers, places, graph, source = _translated(groups, problems)
    if config is None and not graph:
        problems.append(
            f"{folder} holds variables alone: layers are in an order that their names suggest, without the "
            "network's graph. To evaluate the network, name a function that builds it in Keras "
            "(--architecture module:function), put its configuration beside the checkpoints "
            "(model.json), or save it as a Keras model."
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
        notes=notes,
        problems=tuple(problems),
    )


class _Groups:
    """The checkpoints sorted by whether they hold the same variables; those of the largest group are the
    run's."""

    def __init__(self, folder: Path, checkpoints: Sequence[Checkpoint]) -> None:
        self._folder = folder
        problem: dict[str, str] = {}
        group: dict[str, tuple[Any, ...]] = {}
        variables: dict[tuple[Any, ...], list[Variable]] = {}
        by_size: dict[int, tuple[tuple[Any, ...], dict[str, int]]] = {}
        for checkpoint in checkpoints:
            name, prefix = checkpoint.name, folder / checkpoint.name.removesuffix(INDEX)
            try:
                size = (folder / name).stat().st_size
                # Of a long run one index of every size is opened; reading an index makes its checksums.
                examined = len(checkpoints) <= EXAMINED_UP_TO or size not in by_size
                if examined and not tensor_bundle.is_index(folder / name):
                    raise Unreadable(f"{folder / name} is not the index of a TensorFlow checkpoint, or it is cut off.")
                ends = by_size[size][1] if size in by_size else _ends(open_bundle(prefix))
                damage = _too_short(prefix, ends)
                if damage:
                    raise Unreadable(damage)
                if size not in by_size:
                    found = self._variables(prefix)
                    signature = tuple((each.key, each.entry.shape) for each in found)
                    variables.setdefault(signature, found)
                    by_size[size] = signature, ends
                signature = by_size[size][0]
                if signature:
                    group[name] = signature
                else:
                    raise Unreadable(f"{folder / name} holds no variables of a network.")
            except (AdaptorError, OSError) as error:
                problem[name] = str(error)
        if not group:
            raise Unreadable(f"None of the {len(checkpoints)} checkpoints in {folder} can be read. "
                             f"{next(iter(problem.values()))}")  # fmt: skip
        chosen = Counter(group.values()).most_common(1)[0][0]
        self.variables = variables[chosen]
        for name, signature in group.items():
            if signature != chosen:
                problem[name] = (
                    f"{name} holds another network than the run ({len(signature)} variables against "
                    f"{len(chosen)}, or others), so it is not shown with it."
                )
        self.checkpoints = tuple(
            dataclasses.replace(checkpoint, problem=problem.get(checkpoint.name)) for checkpoint in checkpoints
        )
        self.reference = folder / next(name for name, signature in group.items() if signature == chosen)
        self.layers = layers_from(self.variables)
        self.places: Places = {
            (each.layer, f"{each.name} {each.slot}" if each.slot else each.name): each.key for each in self.variables
        }

    def _variables(self, prefix: Path) -> list[Variable]:
        meta = Path(f"{prefix}.meta")
        return variables_of(open_bundle(prefix), declared_variables(meta) if meta.is_file() else ())


def _ends(bundle: tensor_bundle.Bundle) -> dict[str, int]:
    """How long each data file must be, by what follows the prefix in its name."""
    return {path.name[len(bundle.path.name) - len(INDEX) :]: end for path, end in bundle.data_ends().items()}


def _too_short(prefix: Path, ends: Mapping[str, int]) -> str | None:
    for suffix, end in ends.items():
        path = Path(f"{prefix}{suffix}")
        if not path.is_file():
            return f"{prefix.name}{INDEX} needs {path.name}, which is not there."
        size = path.stat().st_size
        if size < end:
            return f"{path} is cut off: it should have {end:,} bytes and has {size:,}."
    return None


def _absent(folder: Path, names: Sequence[str]) -> list[str]:
    """A sentence where the file ``checkpoint`` names a latest checkpoint that is not there."""
    try:
        text = read_regular(folder / "checkpoint", _LARGEST_STATE_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"The file checkpoint of {folder} is ignored, for it cannot be read: {error.strerror or error}."]
    named = re.search(r'^model_checkpoint_path: "(.*)"', text, re.M)
    latest = named and named[1].replace("\\", "/").rpartition("/")[2]
    if not latest or f"{latest}{INDEX}" in names:
        return []
    return [f"The file checkpoint calls {latest} the latest, but it is not in {folder}."]


# ------------------------------------------------------------------------------------------- the architecture


def _architecture(
    folder: Path, reference: Path, options: RunOptions, problems: list[str]
) -> tuple[Mapping[str, Any] | None, str]:
    """The network's Keras configuration and where it was read: as the options name it, from a file beside the
    checkpoints, or from the SavedModel."""
    beside = next((folder / name for name in _ARCHITECTURES if (folder / name).is_file()), None)
    if beside is None:
        beside = next(iter(sorted(folder.glob("*.keras"))), None)
    if options.architecture or beside is not None:
        try:
            return given_architecture(folder, options, beside)
        except AdaptorError as error:
            if options.architecture:
                raise
            problems.append(str(error))
    metadata = reference.parent.parent / "keras_metadata.pb"
    if reference.parent.name == "variables" and metadata.is_file():
        try:
            return _saved_config(metadata), str(metadata)
        except (AdaptorError, OSError, ValueError, RecursionError) as error:
            problems.append(f"{metadata} is ignored: {error}")
    return None, ""


def _translated(
    groups: _Groups, problems: list[str]
) -> tuple[tuple[Layer, ...], Places, tuple[TranslatedNode, ...], str]:
    """The layers of the ``.meta`` graph beside the checkpoints, with their slots, and then those that are not in
    its network; where there is no such graph, the layers as their names tell."""
    meta = _graph_of(groups.reference)
    if meta is None:
        return groups.layers, groups.places, (), ""
    try:
        found = translate(meta, groups.variables)
    except Unreadable as error:
        problems.append(f"{error} It is left out, so feature maps cannot be computed.")
        return groups.layers, groups.places, (), ""
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
    return tuple(layers), places, found.nodes if evaluable else (), str(meta)


def _graph_of(reference: Path) -> Path | None:
    """The file with the graph of a checkpoint of names: its ``.meta``, or its SavedModel."""
    meta = Path(f"{str(reference).removesuffix(INDEX)}.meta")
    if meta.is_file():
        return meta
    saved = reference.parent.parent / SAVED_MODEL
    is_saved_model = str(reference).endswith(_VARIABLES) and saved.is_file()
    return saved if is_saved_model and OBJECT_GRAPH not in open_bundle(reference.with_suffix("")).entries else None


def _needs_its_code(config: Mapping[str, Any], source: str) -> bool:
    # Whatever Keras can build from the configuration alone gets the layers' names from there; a function that
    # is called twice numbers its layers on.
    try:
        refuse_code(config, source)
    except Refused:
        return ":" in source and not Path(source).is_file()
    return False


def _saved_config(path: Path) -> Mapping[str, Any]:
    """The configuration that Keras 2 puts into a SavedModel (``SavedMetadata`` of its
    ``saved_metadata.proto``)."""
    for node in Message(_description(path), str(path)).messages(1):
        if node.text(3) == "root":
            metadata = json.loads(node.data(5))
            if (
                isinstance(metadata, dict)
                and isinstance(metadata.get("config"), dict)
                and "layers" in metadata["config"]
            ):
                return {"class_name": metadata.get("class_name"), "config": _plain(metadata["config"])}
            break
    raise Unreadable(f"{path} holds no configuration of a Sequential or Functional model.")


def _plain(value: Any) -> Any:
    """The same with lists for what Keras writes as tuples there."""
    if isinstance(value, dict):
        if value.get("class_name") in ("__tuple__", "TensorShape"):
            return _plain(value.get("items"))
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _description(path: Path) -> bytes:
    return read_regular(path, LARGEST_DESCRIPTION_BYTES)


def declared_variables(path: Path) -> list[str]:
    """The variables of a ``.meta`` graph in the order they were made; empty where it cannot be read."""
    try:
        graph = Message(_description(path), str(path)).message(2)
        return [node.text(1) for node in graph.messages(1) if node.text(2) in ("VariableV2", "VarHandleOp", "Variable")]
    except (AdaptorError, OSError):
        return []
