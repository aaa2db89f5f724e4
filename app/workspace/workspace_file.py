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
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.evaluation.named_outputs import checked_names, read_class_names
from mloscope.app.workspace.entries import CorpusEntry, RunEntry, check_step_pattern, make_preprocessing
from mloscope.app.workspace.names import url_safe

_MOST_FILE_BYTES = 16 << 20

# ------------------------------------------------------------------------------------- the keys and their types

# The description of a field completes "it must be ...".
_Text = Annotated[str | None, Field(description="text")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Preprocessing(_Table):
    scale: float | None = Field(None, description="a number")
    mean: float | list[Any] | str | None = Field(None, description="a number or a list or text")
    channel_order: _Text = None


class _Run(_Table):
    path: str = Field(description="text")
    format: _Text = None
    corpus: _Text = None
    step_pattern: _Text = None
    architecture: _Text = None
    custom_objects: _Text = None
    trust: bool = Field(False, description="true or false")
    preprocessing: _Preprocessing | None = Field(None, description="a table")
    output: _Text = None
    classes: str | list[Any] | None = Field(None, description="text or a list")


class _Corpus(_Table):
    path: str = Field(description="text")
    format: _Text = None
    hierarchy: _Text = None


class _File(_Table):
    runs: dict[str, _Run] = Field({}, description="a table")
    corpora: dict[str, _Corpus] = Field({}, description="a table")


# ---------------------------------------------------------------------------------------------------- reading


def read_workspace_file(path: Path) -> tuple[tuple[RunEntry, ...], tuple[CorpusEntry, ...]]:
    """Read the entries of a ``mloscope.toml``. Raises :class:`NotFound`, or :class:`BadRequest` naming the wrong key."""
    try:
        document = tomllib.loads(read_regular(path, _MOST_FILE_BYTES).decode())
    except FileNotFoundError:
        raise NotFound(f"The workspace file {path} does not exist.") from None
    except OSError as error:
        raise BadRequest(f"The workspace file {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The workspace file {path} is not TOML: {error}.") from error
    try:
        return _entries(path.parent, _File.model_validate(document))
    except ValidationError as error:
        raise BadRequest(f"In {path}, {_in_words(error.errors()[0])}.") from None
    except (BadRequest, NotFound) as error:
        raise BadRequest(f"In {path}, {str(error).removesuffix('.')}.") from None


def _in_words(error: ErrorDetails) -> str:
    """Describe pydantic's error: table, key and value, and what is expected."""
    table, key = _table_and_key([str(part) for part in error["loc"]])
    where = f"[{'.'.join(table)}]" if table else "the top of the file"
    if key is None:
        return f"{where}: it must be a table of keys and values"
    keys = _keys_of(table)
    if error["type"] == "extra_forbidden":
        return f'{where}: there is no key "{key}"; the keys are {", ".join(keys)}'
    if error["type"] == "missing":
        return f'{where}: the key "{key}" is missing'
    return f"{where}: {key} = {error['input']!r} has the wrong type; it must be {keys[key].description}"


def _table_and_key(place: list[str]) -> tuple[list[str], str | None]:
    """Return the table and the key of an error; the key is None if the table itself is invalid."""
    depth = 0 if len(place) == 1 else 3 if place[2:3] == ["preprocessing"] and len(place) > 3 else 2
    return place[:depth], place[depth] if len(place) > depth else None  # behind the key pydantic names types it tried


def _keys_of(table: list[str]) -> dict[str, Any]:
    kinds: dict[int, type[_Table]] = {0: _File, 2: _Run if table[:1] == ["runs"] else _Corpus, 3: _Preprocessing}
    return dict(kinds[len(table)].model_fields)


# -------------------------------------------------------------------------------- from tables to entries


def _entries(folder: Path, file: _File) -> tuple[tuple[RunEntry, ...], tuple[CorpusEntry, ...]]:
    """``folder``: base of relative paths. Errors begin with the table's name."""
    for kind, tables in (("corpora", file.corpora), ("runs", file.runs)):
        for name in tables:
            if url_safe(name) != name:
                raise BadRequest(
                    f'[{kind}.{name}]: "{name}" cannot be a name, because it stands in addresses; "{url_safe(name)}" could be'
                )
    corpora = [
        CorpusEntry(
            _path(folder, corpus.path),
            name,
            corpus.format,
            _path(folder, corpus.hierarchy) if corpus.hierarchy is not None else None,
        )
        for name, corpus in file.corpora.items()
    ]
    runs = []
    for name, run in file.runs.items():
        if run.corpus is not None and run.corpus not in file.corpora:
            known = ", ".join(file.corpora) or "none"
            raise BadRequest(f'[runs.{name}]: corpus = "{run.corpus}" is not a corpus of this file; it has: {known}')
        try:
            runs.append(RunEntry(_path(folder, run.path), name, run.format, run.corpus, _options(folder, run)))
        except (BadRequest, NotFound) as error:
            raise BadRequest(f"[runs.{name}]: {error}") from None
    return tuple(runs), tuple(corpora)


def _options(folder: Path, run: _Run) -> RunOptions:
    if run.step_pattern is not None:
        check_step_pattern(run.step_pattern)
    architecture = run.architecture
    if architecture is not None and not re.fullmatch(r"[\w.]+:[\w.]+", architecture):
        architecture = str(_path(folder, architecture))
    return RunOptions(
        step_pattern=run.step_pattern,
        architecture=architecture,
        preprocessing=_preprocessing(folder, run.preprocessing) if run.preprocessing is not None else None,
        class_names=_class_names(folder, run.classes) if run.classes is not None else (),
        output=run.output,
        custom_objects=run.custom_objects,
        trust=run.trust,
    )


def _preprocessing(folder: Path, table: _Preprocessing) -> Preprocessing:
    mean = table.mean
    if isinstance(mean, str) and mean != "corpus":
        mean = str(_path(folder, mean))
    return make_preprocessing(table.scale, mean, table.channel_order)


def _class_names(folder: Path, classes: str | list[Any]) -> tuple[str, ...]:
    try:
        return read_class_names(_path(folder, classes)) if isinstance(classes, str) else checked_names(classes)
    except (BadRequest, NotFound) as error:
        raise BadRequest(f"classes: {error}") from None


def _path(folder: Path, text: str) -> Path:
    return folder / Path(text).expanduser()
