"""Kinds of films: what a layer can be filmed as over the checkpoints of a run.

Each is a class registered under the entry points ``mloscope.film_kinds``; ours are there like a stranger's. The table's
JSON (:func:`as_json`) feeds the selector, the legend, the sentences of the page, the REST API and its documentation.

    question ──► kind.open ──► Footage ──► frames, checkpoint by checkpoint ──► encoded and kept by mloscope.app.films
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import EntryPoint
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from mloscope.adaptors.entry_points import FILM_KINDS, registered
from mloscope.adaptors.installation import PACKAGE
from mloscope.adaptors.interface import Checkpoint, Layer
from mloscope.app.errors import BadRequest
from mloscope.app.evaluation.feature_maps import FeatureMaps
from mloscope.app.evaluation.pictures import Pictures
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.workspace.workspace import Workspace

logger = logging.getLogger(__name__)

Scale = Literal["diverging", "sequential", "rgb"]
Shape = tuple[int, int, int, int, int]
"""(unit, channel, row, column, component) of everything the layer has at a checkpoint."""


@dataclass(frozen=True)
class Option:
    """A choice that a kind offers, a parameter of its REST address."""

    name: str
    help: str
    default: str = ""
    choices: tuple[str, ...] = ()
    """Values that it may have; empty: any text."""
    where: tuple[str, tuple[str, ...]] | None = None
    """Another option and its values with which this one means something; None: with all."""


@dataclass(frozen=True)
class FilmQuestion:
    """What a film is to show."""

    run: OpenedRun
    layer: Layer
    kind: str
    """Name of a kind."""
    options: Mapping[str, str | None] = field(default_factory=dict)
    """Of the kind, by name; one that is not given has its default."""
    image: str | None = None
    corpus: str | None = None
    """The image's; default: the run's."""
    units: tuple[int, ...] | None = None
    """None for all, or the first of many; see :mod:`mloscope.app.films.selection`."""
    channels: tuple[int, ...] | None = None
    near: int | None = None
    """The step whose neighbours come first; default: the first checkpoint."""

    def option(self, name: str) -> str:
        """The option's value; whoever opens a kind has filled in the defaults."""
        return self.options[name] or ""


@dataclass(frozen=True)
class Sources:
    """What a kind can make its frames from."""

    workspace: Workspace
    feature_maps: FeatureMaps
    pictures: Pictures


Figures = Mapping[str, Sequence[float | str | None]]
"""What stands beside a picture, by what it is called: of each unit a number, a word instead of it, or nothing."""


class Frame(NamedTuple):
    """A checkpoint's picture, or why there is none."""

    step: int
    values: np.ndarray | None
    """float, of the footage's shape."""
    problem: str | None = None
    """A sentence where there are no values."""
    is_lasting: bool = False
    """The problem remains for as long as the checkpoint's file does."""
    figures: Figures = MappingProxyType({})
    """Beside the picture; legends and hovers say them. A unit with a word instead of a number has no picture, and the word says why."""


class Footage(Protocol):
    """A question that a kind has checked, and all that is known of it before anything is read or evaluated."""

    @property
    def shape(self) -> Shape: ...

    @property
    def content(self) -> str:
        """Everything that decides a frame, but for run, layer and checkpoint, as text: part of its key in the cache."""
        ...

    @property
    def parameter(self) -> str | None:
        """The parameter of the layer that is shown, where it is one."""
        ...

    def frames(
        self, checkpoints: Sequence[Checkpoint], fingerprints: Mapping[int, str], priority: int = 0
    ) -> Iterator[Frame]:
        """One frame per checkpoint, in their order, of the files with these fingerprints (by step). Lazily: a frame may be
        large. ``priority``: 0 where somebody waits, 1 for what comes later."""
        ...


@runtime_checkable
class FilmKind(Protocol):
    """One kind. Its class is made without arguments and holds nothing."""

    name: ClassVar[str]
    """Stands in addresses as ``show``; lower-case letters, digits and dashes."""
    title: ClassVar[str]
    help: ClassVar[str]
    """A sentence for people who choose among kinds."""
    doing: ClassVar[str]
    """What goes on while it loads: "reading parameters"."""
    needs_image: ClassVar[bool]
    needs_evaluation: ClassVar[bool]
    scale: ClassVar[Scale]
    options: ClassVar[tuple[Option, ...]]
    order: ClassVar[int] = 9
    """Where it stands among kinds; those of one number stand by title."""
    of_units: ClassVar[bool] = True
    """Whether it has a picture of each unit of the layer; else the question's units are not looked at."""

    is_chained: ClassVar[bool] = False
    """Whether each checkpoint's picture is made from that of the one before; then the film is made in the order of time."""

    def pace(self, question: FilmQuestion) -> str:
        """What takes as long as this per checkpoint: questions of one pace are grouped by how long others of it took."""
        return question.run.architecture

    def open(self, question: FilmQuestion, sources: Sources) -> Footage:
        """Check the question. Raises :class:`mloscope.app.errors.MloscopeError` where it cannot be answered."""
        ...


# ------------------------------------------------------------------------------------------------ the table


@functools.cache
def film_kinds() -> dict[str, FilmKind]:
    """All kinds that are installed, ours first, by name."""
    return table_of()


def table_of(points: Iterable[EntryPoint] | None = None) -> dict[str, FilmKind]:
    """The kinds of these entry points (default: all that are installed), ours first, each in its order. One of another
    package that cannot be loaded, or whose name is taken, is left out with a warning. Raises ValueError where two of ours share a name."""
    kinds: list[tuple[bool, FilmKind]] = []
    for found in registered(FILM_KINDS, points):
        try:
            kind = found.implementation() if found.implementation else None
            problem = found.problem or _flaw(kind)
        except Exception as error:  # a stranger's class may raise anything
            problem = f"it cannot be made: {type(error).__name__}: {error}"
        if problem:
            logger.warning("The film kind %s of %s is left out: %s", found.name, found.package, problem)
        else:
            kinds.append((found.package != PACKAGE, kind))
    kinds.sort(key=lambda each: (each[0], each[1].order, each[1].title))
    table: dict[str, FilmKind] = {}
    for is_foreign, kind in kinds:
        if kind.name not in table:
            table[kind.name] = kind
        elif is_foreign:
            logger.warning('The film kind %s is left out: its name "%s" is taken.', type(kind).__qualname__, kind.name)
        else:
            raise ValueError(f"film kinds must have unique names, got {[each.name for _, each in kinds]}")
    return table


def _flaw(kind: Any) -> str | None:
    """Why this is not a film kind; None where it is one."""
    lacking = [name for name in (*FilmKind.__annotations__, "pace") if not hasattr(kind, name)]
    return f"it lacks {', '.join(lacking)}" if lacking else None


def kind_of(name: str, kinds: Mapping[str, FilmKind] | None = None) -> FilmKind:
    """The kind of this name. Raises :class:`BadRequest`."""
    known = film_kinds() if kinds is None else kinds
    try:
        return known[name]
    except KeyError:
        raise BadRequest(f'show must be one of {", ".join(known)}; got "{name}".') from None


def options_of(kind: FilmKind, given: Mapping[str, str | None]) -> dict[str, str]:
    """The kind's options, with defaults for what is not given. Raises :class:`BadRequest` for a value that is not a
    choice."""
    options = {}
    for option in kind.options:
        value = given.get(option.name) or option.default
        if option.choices and value not in option.choices:
            raise BadRequest(f'{option.name} must be one of {", ".join(option.choices)}; got "{value}".')
        options[option.name] = value
    return options


def as_json(kind: FilmKind) -> dict[str, Any]:
    """All that pages and the API say about a kind."""
    return {
        "name": kind.name,
        "title": kind.title,
        "help": kind.help,
        "doing": kind.doing,
        "needs_image": kind.needs_image,
        "needs_evaluation": kind.needs_evaluation,
        "scale": kind.scale,
        "of_units": kind.of_units,
        "options": [
            {
                **asdict(option),
                "choices": list(option.choices),
                "where": option.where and [option.where[0], list(option.where[1])],
            }
            for option in kind.options
        ],
    }
