"""The workspace file, ``mloscope.toml``: runs and corpora by name. Relative paths in it are relative to the file:

    [runs.lenet]
    path = "runs/lenet"            # the only key that must be there
    format = "keras"               # default: whichever adaptor fits
    corpus = "mnist"               # default: the first corpus
    step_pattern = "epoch-([0-9]+)"
    architecture = "model.json"    # or "module:function"
    custom_objects = "my_layers"   # a module with the network's own classes; imported from the current folder too
    trust = false
    preprocessing = { scale = 0.00392156862745098, mean = [0.5, 0.5, 0.5], channel_order = "rgb" }
    output = "predictions"         # the layer that tells classes; default: the network's declared output
    classes = "labels.txt"         # names of its outputs: a file, or a list such as ["cat", "dog"]

    [corpora.mnist]
    path = "data/mnist"
    format = "mnist-idx"
    hierarchy = "animals.json"     # groups of classes; default: hierarchy.json, hierarchy.txt beside it

``mean`` is a number, a list of one number per channel, the path of a ``.npy`` file, or "corpus" for the mean
image of the corpus's training split.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.evaluation.named_outputs import checked_names, read_class_names
from mloscope.app.workspace.entries import CorpusEntry, RunEntry, check_step_pattern, make_preprocessing
from mloscope.app.workspace.names import url_safe

_MOST_FILE_BYTES = 16 << 20


def read_workspace_file(path: Path) -> tuple[tuple[RunEntry, ...], tuple[CorpusEntry, ...]]:
    """Read the entries of a ``mloscope.toml``. Raises :class:`NotFound`, or :class:`BadRequest` naming the wrong key."""
    try:
        document = tomllib.loads(read_regular(path, _MOST_FILE_BYTES).decode())
    except FileNotFoundError:
        raise NotFound(f"There is no workspace file {path}.") from None
    except OSError as error:
        raise BadRequest(f"The workspace file {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The workspace file {path} is no TOML: {error}.") from error
    return _TomlReader(path).entries(document)


@dataclass(frozen=True)
class _TomlReader:
    file: Path

    def entries(self, document: Mapping[str, Any]) -> tuple[tuple[RunEntry, ...], tuple[CorpusEntry, ...]]:
        top = self.table("the top of the file", document, {"runs": dict, "corpora": dict})
        corpora = []
        for name, table in top.get("corpora", {}).items():
            where = f"[corpora.{name}]"
            self.check_name(where, name)
            keys = self.table(where, table, {"path": str, "format": str, "hierarchy": str}, needed=("path",))
            hierarchy = self.path(keys["hierarchy"]) if "hierarchy" in keys else None
            corpora.append(CorpusEntry(self.path(keys["path"]), name, keys.get("format"), hierarchy))
        runs = []
        for name, table in top.get("runs", {}).items():
            where = f"[runs.{name}]"
            self.check_name(where, name)
            runs.append(self.run(where, name, table))
            corpus = runs[-1].corpus
            if corpus is not None and corpus not in top.get("corpora", {}):
                known = ", ".join(top.get("corpora", {})) or "none"
                raise self.wrong(where, f'corpus = "{corpus}" names no corpus of this file; it has: {known}')
        return tuple(runs), tuple(corpora)

    def run(self, where: str, name: str, table: Any) -> RunEntry:
        keys = self.table(
            where,
            table,
            {
                "path": str,
                "format": str,
                "corpus": str,
                "step_pattern": str,
                "architecture": str,
                "custom_objects": str,
                "trust": bool,
                "preprocessing": dict,
                "output": str,
                "classes": (str, list),
            },
            needed=("path",),
        )
        pattern = keys.get("step_pattern")
        if pattern is not None:
            check_step_pattern(pattern, lambda sentence: self.wrong(where, sentence))
        architecture = keys.get("architecture")
        if architecture is not None and not re.fullmatch(r"[\w.]+:[\w.]+", architecture):
            architecture = str(self.path(architecture))
        preprocessing = keys.get("preprocessing")
        options = RunOptions(
            step_pattern=pattern,
            architecture=architecture,
            preprocessing=None
            if preprocessing is None
            else self.preprocessing(f"[runs.{name}.preprocessing]", preprocessing),
            class_names=self.class_names(where, keys["classes"]) if "classes" in keys else (),
            output=keys.get("output"),
            custom_objects=keys.get("custom_objects"),
            trust=keys.get("trust", False),
        )
        return RunEntry(self.path(keys["path"]), name, keys.get("format"), keys.get("corpus"), options)

    def class_names(self, where: str, said: str | list[Any]) -> tuple[str, ...]:
        try:
            return read_class_names(self.path(said)) if isinstance(said, str) else checked_names(said)
        except (BadRequest, NotFound) as error:
            raise self.wrong(where, f"classes: {str(error).removesuffix('.')}") from None

    def preprocessing(self, where: str, table: Any) -> Preprocessing:
        keys = self.table(
            where,
            table,
            {"scale": (int, float), "mean": (int, float, list, str), "channel_order": str},
        )
        mean = keys.get("mean")
        if isinstance(mean, str) and mean != "corpus":
            mean = str(self.path(mean))
        try:
            return make_preprocessing(keys.get("scale"), mean, keys.get("channel_order"))
        except BadRequest as error:
            raise self.wrong(where, str(error).removesuffix(".")) from None

    def table(
        self,
        where: str,
        table: Any,
        kinds: Mapping[str, type | tuple[type, ...]],
        needed: Iterable[str] = (),
    ) -> Mapping[str, Any]:
        if not isinstance(table, dict):
            raise self.wrong(where, "it must be a table of keys and values")
        for key, value in table.items():
            if key not in kinds:
                raise self.wrong(where, f'there is no key "{key}"; the keys are {", ".join(kinds)}')
            if not isinstance(value, kinds[key]) or (isinstance(value, bool) and kinds[key] is not bool):
                raise self.wrong(where, f"{key} = {value!r} has the wrong type; it must be {_in_words(kinds[key])}")
        for key in needed:
            if key not in table:
                raise self.wrong(where, f'the key "{key}" is missing')
        return table

    def check_name(self, where: str, name: str) -> None:
        if url_safe(name) != name:
            raise self.wrong(
                where,
                f'"{name}" cannot be a name, because it stands in addresses; "{url_safe(name)}" could be',
            )

    def path(self, text: str) -> Path:
        return self.file.parent / Path(text).expanduser()

    def wrong(self, where: str, sentence: str) -> BadRequest:
        return BadRequest(f"In {self.file}, {where}: {sentence}.")


def _in_words(kinds: type | tuple[type, ...]) -> str:
    words = {
        str: "text",
        int: "a number",
        float: "a number",
        bool: "true or false",
        list: "a list",
        dict: "a table",
    }
    return " or ".join(dict.fromkeys(words[kind] for kind in (kinds if isinstance(kinds, tuple) else (kinds,))))
