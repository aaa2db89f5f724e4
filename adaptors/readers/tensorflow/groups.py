"""Which checkpoints of a TensorFlow run are of one network, and which variables that network has."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mloscope.adaptors.files.protobuf_wire import Message
from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.files.run_folder import EXAMINED_UP_TO, none_readable
from mloscope.adaptors.interface import AdaptorError, Checkpoint, Unreadable
from mloscope.adaptors.networks.differences import first_difference
from mloscope.adaptors.readers.tensorflow import tensor_bundle
from mloscope.adaptors.readers.tensorflow.tensor_bundle import INDEX, open_bundle
from mloscope.adaptors.readers.tensorflow.variables import Variable, layers_from, variables_of

LARGEST_DESCRIPTION_BYTES = 512 * 1024 * 1024
_Sizes = tuple[int, int]
"""Of a checkpoint's index and data: checkpoints of one network are alike in both."""
Network = frozenset[tuple[str, tuple[int, ...]]]
"""The keys and shapes of a network's variables. What an optimizer remembers is no part of it: a checkpoint from before
training, or saved without the optimizer, is of the same network."""


class Groups:
    """The checkpoints sorted by whether they hold the same network; those of the largest group are the run's."""

    def __init__(self, folder: Path, checkpoints: Sequence[Checkpoint]) -> None:
        self.folder = folder
        problem: dict[str, str] = {}
        group: dict[str, Network] = {}
        self._variables: dict[Network, list[Variable]] = {}
        by_size: dict[_Sizes, tuple[Network, dict[str, int]]] = {}
        metas = [path for each in checkpoints if (path := self._meta(each.name)).is_file()]
        self._declared = declared_variables(metas[-1]) if metas else []
        for checkpoint in checkpoints:
            try:
                # Of a long run one checkpoint of every size is opened; reading an index makes its checksums.
                group[checkpoint.name] = self._network(checkpoint, by_size, len(checkpoints) <= EXAMINED_UP_TO)
            except (AdaptorError, OSError) as error:
                problem[checkpoint.name] = str(error)
        if not group:
            raise none_readable(len(checkpoints), folder, next(iter(problem.values())))
        chosen = Counter(group.values()).most_common(1)[0][0]
        self.variables = self._variables[chosen]
        for name, found in group.items():
            if found != chosen:
                problem[name] = (
                    f"{name} holds another network than the run ({first_difference(found, chosen)}), so it is not shown "
                    "with it."
                )
        self.checkpoints = tuple(
            dataclasses.replace(checkpoint, problem=problem.get(checkpoint.name)) for checkpoint in checkpoints
        )
        own = [name for name, found in group.items() if found == chosen]
        self.reference = folder / own[0]
        self.metas = [path for name in own if (path := self._meta(name)).is_file()]
        """The ``.meta`` graphs of the run's checkpoints, in the order of their steps."""
        self.layers = layers_from(self.variables)
        self.places: Mapping[tuple[str, str], str] = {
            (each.layer, f"{each.name} {each.slot}" if each.slot else each.name): each.key for each in self.variables
        }

    def _network(
        self, checkpoint: Checkpoint, by_size: dict[_Sizes, tuple[Network, dict[str, int]]], examine: bool
    ) -> Network:
        path = self.folder / checkpoint.name
        prefix = Path(str(path).removesuffix(INDEX))
        size = path.stat().st_size, _size_of_data(prefix)
        if (examine or size not in by_size) and not tensor_bundle.is_index(path):
            raise Unreadable(f"{path} is not the index of a TensorFlow checkpoint, or it is cut off.")
        ends = by_size[size][1] if size in by_size else _ends(open_bundle(prefix))
        damage = _too_short(prefix, ends)
        if damage:
            raise Unreadable(damage)
        if size not in by_size:
            found = variables_of(open_bundle(prefix), self._declared)
            network = frozenset((each.key, each.entry.shape) for each in found if not each.slot)
            # Of all checkpoints of a network, the one with the most slots tells what there is.
            if len(found) > len(self._variables.get(network, ())):
                self._variables[network] = found
            by_size[size] = network, ends
        if not by_size[size][0]:
            raise Unreadable(f"{path} holds no variables of a network.")
        return by_size[size][0]

    def _meta(self, name: str) -> Path:
        return self.folder / f"{name.removesuffix(INDEX)}.meta"


def _size_of_data(prefix: Path) -> int:
    try:
        return Path(f"{prefix}.data-00000-of-00001").stat().st_size
    except OSError:
        return -1  # in several shards, or gone


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


def read_description(path: Path) -> bytes:
    """The bytes of a file that describes a network. Raises OSError where it is too large, or no regular file."""
    return read_regular(path, LARGEST_DESCRIPTION_BYTES)


def declared_variables(path: Path) -> list[str]:
    """The variables of a ``.meta`` graph in the order they were made; empty where it cannot be read."""
    try:
        graph = Message(read_description(path), str(path)).message(2)
        return [node.text(1) for node in graph.messages(1) if node.text(2) in ("VariableV2", "VarHandleOp", "Variable")]
    except (AdaptorError, OSError):
        return []
