"""Which of a folder's files are the checkpoints of one Keras run, and what network they share."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from mloscope.adaptors.files.run_folder import (
    EXAMINED_UP_TO,
    Notes,
    checkpoints_of,
    enumerated,
    none_readable,
    read_notes,
    shortened,
)
from mloscope.adaptors.interface import AdaptorError, Checkpoint, Refused, RunOptions, Unknown, Unreadable
from mloscope.adaptors.readers.keras import files as keras_files
from mloscope.adaptors.readers.keras import matching as keras_matching
from mloscope.adaptors.readers.keras import quantised as keras_quantised
from mloscope.adaptors.readers.keras.architecture import Node, nodes_from_weights, outermost_layers
from mloscope.adaptors.readers.keras.building import build_model
from mloscope.adaptors.readers.keras.descriptions import (
    given_architecture,
    named_file,
    parsed_nodes,
    refuse_unknown_quantisation,
)
from mloscope.adaptors.readers.keras.legacy_arrays import backend_of
from mloscope.adaptors.readers.keras.legacy_config import remarks_on
from mloscope.adaptors.readers.keras.listing import listing
from mloscope.adaptors.readers.keras.networks import architecture_digest, first_difference

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Survey:
    """What was found."""

    folder: Path
    checkpoints: tuple[Checkpoint, ...]
    nodes: tuple[Node, ...]
    config: Mapping[str, Any] | None
    """The network's configuration; None where there are only weights and nothing says what network they are
    of."""
    source: str
    """Where the configuration was read, for messages."""
    function: str | None
    """The ``module:function`` that gave it, where the user named one."""
    reference_checkpoint: Checkpoint
    """The first readable checkpoint of the network."""
    notes: Notes
    problems: tuple[str, ...]
    unseen: frozenset[str]
    """Names of the checkpoints that were not opened; see :meth:`check`."""
    network: str | None
    """Digest of the run's network, None where only weights are known."""
    described: dict[str, Mapping[str, Node]]
    """By the stamp of every configuration that is known to be of the run's network: its layers by the run's names."""
    _matched: dict[Hashable, Mapping[str, Node]] = field(default_factory=dict)

    def check(self, checkpoint: Checkpoint) -> None:
        """Raises Unreadable where a checkpoint that was taken unseen holds another network after all."""
        if checkpoint.name not in self.unseen or self.network is None:
            return
        path = self.path(checkpoint)
        stamp = keras_files.config_stamp(path)
        if stamp is None or stamp in self.described:
            return
        data = keras_files.config_bytes(path)
        nodes = parsed_nodes(keras_files.parse_config(data or b"", path), str(path))
        if architecture_digest(nodes) != self.network:
            raise Unreadable(f"{path} holds another network than the run: {first_difference(nodes, self.nodes)}.")
        refuse_unknown_quantisation(nodes, str(path))
        self.described[stamp] = keras_matching.counterparts(self.nodes, nodes)

    def nodes_in(self, checkpoint: Checkpoint, file: h5py.File, wanted: Sequence[str]) -> Mapping[str, Node]:
        """The wanted layers of the run (by name) as the checkpoint's file, which is open, has and calls them."""
        own = {node.name: node for node in self.nodes}
        path = self.path(checkpoint)
        stamp = keras_files.config_stamp(path)
        if stamp is not None:
            return {**own, **self.described.get(stamp, {})}
        key: Hashable = keras_matching.names_in(file, self.nodes)
        if not key:
            if all(keras_matching.is_called_so(file, own[name]) for name in wanted):
                return own
            status = path.stat()
            key = (checkpoint.name, status.st_size, status.st_mtime_ns)
        if key not in self._matched:
            self._matched[key] = keras_matching.by_order(file, self.nodes, self.order)
        return {**own, **self._matched[key]}

    def model(self, options: RunOptions) -> keras.Model:
        """The network. Raises Refused, Unreadable and DependencyMissing."""
        if self.config is None:
            raise Refused(self.problems[-1])
        config = keras_quantised.unquantised(self.config)
        return build_model(config, self.source, self.function, options.trust, options.custom_objects)

    @property
    def order(self) -> Sequence[str]:
        """The outermost layers as the configuration lists them."""
        return outermost_layers(self.config) if self.config is not None else [node.path[0] for node in self.nodes]

    @property
    def reference(self) -> Path:
        return self.path(self.reference_checkpoint)

    def path(self, checkpoint: Checkpoint) -> Path:
        """The checkpoint's file. Raises Unknown."""
        if all(known.name != checkpoint.name for known in self.checkpoints):
            raise Unknown(f"The run {self.folder} has no checkpoint {checkpoint.name}.")
        return self.folder / checkpoint.name


def survey(path: Path, options: RunOptions) -> Survey:
    """Lists the folder, or takes the one file. Every file costs one look at whether it is whole and one at
    the stamp of its configuration, so that checkpoints of another network are told apart exactly; of files
    with weights alone, one of every size is compared with the network. Of long runs
    (:data:`run_folder.EXAMINED_UP_TO`) only some files are looked at, and the others when they are read
    (:meth:`Survey.check`). Raises Unreadable where no checkpoint is usable."""
    notes = read_notes(path if path.is_dir() else path.parent)
    listed = listing(path, options, notes.steps.keys())
    stems = [keras_files.stem(name) for name in listed.names]
    checkpoints, left_out = checkpoints_of(listed.names, stems, notes, options.step_pattern)
    if not checkpoints:
        reasons = " ".join([*left_out, *listed.problems][:1])
        raise Unreadable(f"{path}: none of its {len(stems)} Keras files has a place on the time axis. {reasons}")
    grouping = _Grouping(listed.folder, checkpoints, options, listed.beside)
    return grouping.result(notes, [*listed.problems, *left_out])


class _Grouping:
    def __init__(self, folder: Path, checkpoints: list[Checkpoint], options: RunOptions, beside: Path | None) -> None:
        self.folder = folder
        self.checkpoints = checkpoints
        self.problem: dict[str, str] = {}
        self.network: dict[str, str] = {}
        """Digest of each readable checkpoint's network by file name; "" for weights alone."""
        self.known: dict[str, tuple[Mapping[str, Any], list[Node], str]] = {}
        self.chosen: str | None = None
        self.function = options.architecture if named_file(folder, options) is None else None
        self.by_stamp: dict[str, str] = {}
        self.described: dict[str, list[Node]] = {}
        """The layers of each configuration by its stamp."""
        self.quantised: dict[str, str] = {}
        """How each quantised checkpoint is, by file name."""
        self.by_order: list[str] = []
        """What stands for what in the first file whose arrays are matched by order."""
        self.unseen: frozenset[str] = frozenset()
        self._examine_all_or_some([checkpoint.name for checkpoint in checkpoints])
        if not self.network:
            raise none_readable(len(checkpoints), folder, next(iter(self.problem.values())))
        if options.architecture or (beside and "" in self.network.values()):
            config, source = given_architecture(folder, options, beside)
            self.chosen, given = self._learn(config, source)
            if options.architecture:  # what the user names builds the network, even where files describe it too
                self.known[self.chosen] = (config, given, source)
            refuse_unknown_quantisation(given, self.known[self.chosen][2])
        else:
            counts = Counter(digest for digest in self.network.values() if digest)
            self.chosen = counts.most_common(1)[0][0] if counts else None

    def _examine_all_or_some(self, names: list[str]) -> None:
        if len(names) <= EXAMINED_UP_TO:
            for name in names:
                self._examine(name)
            return
        alike: dict[tuple[str, int], list[str]] = {}
        for name in names:
            try:
                kind = (Path(name).suffix.lower(), keras_files.stored_bytes(self.folder / name))
            except OSError as error:
                self.problem[name] = f"{self.folder / name} cannot be read: {error.strerror or error}."
            else:
                alike.setdefault(kind, []).append(name)
        # One of each size and extension, as far as that goes, and the rest evenly over the run.
        chosen = {group[0] for group in list(alike.values())[: EXAMINED_UP_TO // 2]}
        chosen.update(names[:: -(-len(names) // (EXAMINED_UP_TO // 2))])
        for name in names:
            if name in chosen and name not in self.problem:
                self._examine(name)
        commonest = Counter(self.network.values()).most_common(1)
        unseen = []
        for group in alike.values():
            seen = [name for name in group if name in chosen]
            networks = {self.network.get(name) for name in seen}
            rest = [name for name in group if name not in chosen]
            if len(networks) > 1 or None in networks:  # the size tells nothing here
                for name in rest:
                    self._examine(name)
            elif commonest:
                self.network.update(dict.fromkeys(rest, networks.pop() if networks else commonest[0][0]))
                unseen += rest
        self.unseen = frozenset(unseen)

    def _examine(self, name: str) -> None:
        path = self.folder / name
        damage = keras_files.damage(path)
        try:
            if damage:
                raise Unreadable(damage)
            stamp = keras_files.config_stamp(path)
            if stamp is not None and stamp not in self.by_stamp:
                data = keras_files.config_bytes(path)
                assert data is not None
                config = keras_files.parse_config(data, path)
                self.by_stamp[stamp], self.described[stamp] = self._learn(config, name)
            if stamp is not None:
                refuse_unknown_quantisation(self.described[stamp], name)
                if modes := {keras_quantised.mode_of(node.config) for node in self.described[stamp]} - {""}:
                    self.quantised[name] = " and ".join(sorted(modes))
            self.network[name] = "" if stamp is None else self.by_stamp[stamp]
        except (AdaptorError, OSError) as error:
            self.problem[name] = str(error)

    def _learn(self, config: Mapping[str, Any], source: str) -> tuple[str, list[Node]]:
        nodes = parsed_nodes(config, source)
        digest = architecture_digest(nodes)
        self.known.setdefault(digest, (config, nodes, source))
        return digest, nodes

    def result(self, notes: Notes, left_out: list[str]) -> Survey:
        problems = [*notes.problems, *shortened(left_out)]
        config, nodes, source = self.known[self.chosen] if self.chosen else (None, None, "")
        weights_only = [name for name, digest in self.network.items() if not digest]  # those examined first
        if nodes is None:
            nodes = self._nodes_without_architecture(weights_only[0])
            problems.append(
                f"{self.folder} holds weights alone. Put the architecture beside them (model.json or a .keras file) or "
                "name it (--architecture FILE or module:function) to see the network's graph and feature maps."
            )
        else:
            self._compare_networks(nodes)
        order = outermost_layers(config) if config is not None else [node.path[0] for node in nodes]
        self._compare_weights(weights_only, nodes, order)
        problems += self._remarks()
        readable = [name for name in self.network if name not in self.problem and name not in self.unseen]
        if not readable:
            raise Unreadable(f"No checkpoint in {self.folder} fits the architecture of {source}. "
                             f"{next(iter(self.problem.values()))}")  # fmt: skip
        if config is not None and not keras_files.is_archive(self.folder / readable[0]):
            with keras_files.opened(self.folder / readable[0]) as file:
                problems += remarks_on(config, backend_of(file))
        return Survey(
            folder=self.folder,
            checkpoints=tuple(
                dataclasses.replace(checkpoint, problem=self.problem.get(checkpoint.name))
                for checkpoint in self.checkpoints
            ),
            nodes=tuple(nodes),
            config=config,
            source=source,
            function=source if source and source == self.function else None,
            reference_checkpoint=next(c for c in self.checkpoints if c.name == readable[0]),
            notes=notes,
            problems=tuple(problems),
            unseen=self.unseen,
            network=self.chosen,
            described={
                stamp: keras_matching.counterparts(nodes, self.described[stamp])
                for stamp, digest in self.by_stamp.items()
                if digest == self.chosen
            },
        )

    def _nodes_without_architecture(self, name: str) -> list[Node]:
        with keras_files.opened(self.folder / name) as file:
            nodes = nodes_from_weights(file)
        if not nodes:
            raise Unreadable(f"{self.folder / name} is an HDF5 file, but no layer that Keras saved is in it.")
        return nodes

    def _compare_networks(self, nodes: Sequence[Node]) -> None:
        for name, digest in self.network.items():
            if digest and digest != self.chosen:
                difference = first_difference(self.known[digest][1], nodes)
                self.problem[name] = (
                    f"{name} holds another network than the run: {difference}. So it is not shown with it."
                )

    def _remarks(self) -> list[str]:
        """Sentences about checkpoints that are read otherwise than they are stored."""
        remarks = []
        quantised = [name for name in self.quantised if name not in self.problem]
        if quantised:
            modes = " and ".join(sorted({self.quantised[name] for name in quantised}))
            remarks.append(
                f"{enumerated(quantised)} {'is' if len(quantised) == 1 else 'are'} quantised ({modes}): shown and evaluated "
                "with the scale of the weights applied. What Keras rounds besides, the inputs of these layers, is not rounded."
            )
        if self.by_order:
            remarks.append(
                f"Layers have other names in {self.by_order[0]} than in the network, so its arrays are matched by order, as "
                f"Keras does: {self.by_order[1]}."
            )
        return remarks

    def _compare_weights(self, names: Sequence[str], nodes: Sequence[Node], order: Sequence[str]) -> None:
        # Walking a ResNet-50's file takes 20 ms, so one file of every size stands for all of that size; a
        # mistake in that is caught when the arrays are read, for their shapes are checked then.
        verdicts: dict[int, str | None] = {}
        shapes: dict[tuple[str, str], tuple[int, ...]] = {}
        for name in names:
            size = keras_files.stored_bytes(self.folder / name)
            try:
                if size not in verdicts:
                    if name in self.unseen:
                        continue
                    verdicts[size] = self._misfit(name, nodes, shapes, order)
                if verdicts[size]:
                    self.problem[name] = f"{name} does not hold the run's network: {verdicts[size]}."
            except AdaptorError as error:
                self.problem[name] = str(error)

    def _misfit(
        self,
        name: str,
        nodes: Sequence[Node],
        shapes: dict[tuple[str, str], tuple[int, ...]],
        order: Sequence[str],
    ) -> str | None:
        found: dict[tuple[str, str], tuple[int, ...]] = {}
        with keras_files.opened(self.folder / name) as file:
            called = keras_matching.by_order(file, nodes, order)
            for node in nodes:
                stored = called.get(node.name, node).datasets(file)
                held = {key: dataset.shape for key, dataset in stored.items()}
                own = keras_quantised.own_parameters(node.source_class, held, node.parameter_shapes)
                for parameter, shape in node.parameter_shapes.items():
                    if parameter in own and own[parameter] != shape:
                        return f"{node.name}/{parameter} has the shape {own[parameter]} where {shape} is expected"
                if node.parameter_shapes and not own:
                    return f"it has no arrays for {node.name}"
                if len(own) < len(held):
                    self.quantised[name] = "whole numbers with a scale"
                found.update(((node.name, key), shape) for key, shape in own.items())
            renamed = [(node.name, called[node.name].name) for node in nodes if node.name in called]
            other = next((f"{theirs} stands for {ours}" for ours, theirs in renamed if ours != theirs), None)
            if other and not self.by_order:
                self.by_order = [name, other]
        differing = [key for key in found.keys() | shapes.keys() if shapes and found.get(key) != shapes.get(key)]
        if differing:
            return f"{'/'.join(min(differing))} is not the same as in the other checkpoints"
        shapes.update(found)
        return None
