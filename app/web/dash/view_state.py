"""The view: everything that one link holds. Pages declare its fields, :class:`ViewSchema` folds them, the browser reads its JSON.

The address of a view is path (which page), search (``?run=&corpus=``: what the page needs in order to exist) and hash: one
readable ``key=value`` each, in the order of the fields, defaults left out: ``#step=120&layer=conv2&units=0-31&image=test-42``.

A bad entry never breaks a page: :meth:`ViewSchema.parse` returns the default and a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

from mloscope.app.films.kinds import film_kinds
from mloscope.app.runs.unit_selection import format_units, parse_units
from mloscope.app.runs.units import RANKING_RULES
from mloscope.components import colour_tables

KINDS = ("text", "choice", "number", "units")
OWNERS = ("layer", "network", "run", "corpus", "step", "split")
LONGEST_TEXT = 1000


class Choice(str):
    """A value of a field: itself in addresses; on pages its text, and help under the pointer where that does not say enough."""

    text: str
    help: str

    def __new__(cls, value: str, text: str = "", help: str = "") -> Choice:
        choice = super().__new__(cls, value)
        choice.text, choice.help = text or value, help
        return choice


@dataclass(frozen=True)
class Field:
    """One key of the hash."""

    key: str
    """Small letters, digits and hyphens: it stands in addresses."""
    kind: str
    """One of :data:`KINDS`. A number is whole, 0 or more; where its default is None it may be absent. Units are a selection
    as :mod:`mloscope.app.runs.unit_selection` reads it."""
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    longest: int = LONGEST_TEXT
    """How many letters a text may have."""
    of: tuple[str, ...] = ()
    """What the value belongs to, of :data:`OWNERS`: it goes back to its default when another one is chosen. A value of a ``layer``
    goes with the selected layer, one of a ``network`` where the other run has other layers, one of a ``step`` or ``split`` where the
    other run or corpus has no such checkpoint or split. Empty: it means the same everywhere."""
    unless: str = ""
    """Key of a field that, where it is set, says what the value belongs to instead."""
    lost: str = ""
    """What people call the value, for the notice that says it could not be kept; empty where that need not be said."""

    def options(self) -> tuple[tuple[str, str, str], ...]:
        """Return value, text and help of each choice, for the controls of pages."""
        choices = (each if isinstance(each, Choice) else Choice(each) for each in self.choices)
        return tuple((str(choice), choice.text, choice.help) for choice in choices)

    def parsed(self, text: str) -> Any:
        """Return the value that an address means. Raises ValueError with a sentence."""
        if self.kind == "number":
            if not re.fullmatch(r"\d{1,15}", text):
                raise ValueError(f'{self.key}="{text}" is not a whole number of 0 or more.')
            return int(text)
        if self.kind == "choice":
            if text not in self.choices:
                raise ValueError(f'{self.key}="{text}" is not one of {", ".join(self.choices)}.')
            return text
        if self.kind == "units":
            try:
                return format_units(parse_units(text))
            except ValueError as error:
                raise ValueError(f"{self.key}: {error}") from None
        if len(text) > self.longest or not text.isprintable():
            raise ValueError(f"{self.key} is too long or not printable.")
        return text

    def check(self, value: Any) -> None:
        """Raise ValueError with a sentence unless the browser's store may hold this value."""
        if self.kind == "number":
            whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15
            right = whole or (value is None and self.default is None)
        elif self.kind == "choice":
            right = value in self.choices
        else:
            right = isinstance(value, str)
        if not right:
            raise ValueError(f"{self.key} is not a valid {self.kind}.")
        if self.kind == "units":
            parse_units(value)


STEP = Field("step", "number", None, "the moment of training; the last checkpoint where absent")
SHARED = (
    STEP,
    Field("layer", "text", "", "name of the selected layer; the first with parameters where absent"),
    Field("unit", "number", 0, "the selected unit: it is outlined and enlarged", of=("layer",)),
    Field(
        "units", "units", "", 'the units shown, "0-15,40"; where absent all, or the first page of many', of=("layer",)
    ),
    Field("channels", "units", "", "the incoming channels shown of each filter, in the same notation", of=("layer",)),
    Field(
        "parameter",
        "text",
        "",
        "which array of the layer: kernel, bias, gamma ...; the first where absent",
        of=("layer",),
    ),
    Field("image", "text", "", "id of the selected image"),
    Field("card", "choice", "", "whether the card of the selected image is open", ("", "open")),
)
"""What every page has: the time bus and the subject decide them."""


def _options_of_kinds(but: Collection[str]) -> tuple[Field, ...]:
    """A field for each option that kinds of films offer; what several call by one name is one."""
    options = (option for kind in film_kinds().values() for option in kind.options)
    fields = {option.name: Field(option.name, "text", "", option.help) for option in options if option.name not in but}
    return tuple(fields.values())


FILM = (
    Field(
        "colour", "choice", "auto", "colour table",
        (Choice("auto", "automatic"), *(Choice(name, title) for name, title in colour_tables.TITLES.items())),
    ),
    Field(
        "range", "choice", "fixed", "what the ends of the colour scale follow",
        (Choice("fixed", "one scale for all steps"), Choice("step", "per step"), Choice("unit", "per unit")),
    ),
    Field(
        "symmetric", "choice", "auto", "whether the scale is symmetric about zero",
        (Choice("auto", "automatic"), Choice("yes", "symmetric about 0"), Choice("no", "from lowest to highest")),
    ),
    Field(
        "layout", "choice", "tiles", "how dense weights are drawn",
        (Choice("tiles", "preceding map"), Choice("matrix", "matrix")),
    ),
    Field("units-by", "choice", "", "the rule that put the shown units first", ("", *RANKING_RULES), of=("layer",)),
    Field(
        "bars",
        "choice",
        "number",
        "how bars stand: by the units' numbers, or the greatest value first",
        ("number", "value"),
    ),
    Field("zoom", "choice", "fit", "screen pixels for each value", ("fit", "1", "2", "4", "8", "16", "32")),
    *_options_of_kinds({"parameter", "layout"}),
)  # fmt: skip
"""For pages that draw films."""
IMAGES = Field(
    "images",
    "text",
    "",
    "the images searched for, as the API's images?search=&label=&split=&random=&order=&judged=; where absent all",
)
"""For pages with a grid of images; written as :mod:`mloscope.app.images.image_query` reads it."""
CHOSEN_RUNS = Field("runs-chosen", "text", "", "names of the chosen runs, separated by commas", longest=40_000)
"""For pages about several runs."""
SPLIT = Field(
    "split", "text", "", "the split that statistics are shown of; test where there is one, else the last",
    of=("split",), lost="the split",
)  # fmt: skip
"""For pages that show statistics."""


class ViewSchema:
    """The fields of the view in the order of the address: those of every page first, then what pages add, each once.

    Raises ValueError if two pages mean different things by one key.
    """

    def __init__(self, fields: Iterable[Field]) -> None:
        self._by_key = {field.key: field for field in SHARED}
        for field in fields:
            if self._by_key.setdefault(field.key, field) != field:
                raise ValueError(f'Two pages define the field "{field.key}" of the view differently; rename one.')
        self.fields = tuple(self._by_key.values())

    def field(self, key: str) -> Field:
        return self._by_key[key]

    def as_json(self) -> list[dict[str, Any]]:
        """Return the fields as the browser's module of the view takes them."""
        return [
            {"key": field.key, "kind": field.kind, "default": field.default}
            | {
                name: list(value) if isinstance(value, tuple) else value
                for name in ("choices", "of", "unless", "lost")
                if (value := getattr(field, name))
            }
            | ({"longest": field.longest} if field.longest != LONGEST_TEXT else {})
            | (_texts_of(field) if field.choices else {})
            for field in self.fields
        ]

    def defaults(self) -> dict[str, Any]:
        return {field.key: field.default for field in self.fields}

    def check(self, view: Mapping[str, Any], keys: Iterable[str] | None = None) -> None:
        """Raise ValueError with a sentence unless ``view`` has each of ``keys`` with a value that its field allows.

        By default all but the step, which belongs to the time bus: that is what the store "view" holds.
        """
        for key in keys if keys is not None else self._by_key:
            if key == STEP.key:
                continue
            if key not in view:
                raise ValueError(f"{key} is missing; reload the page, which may be another version's.")
            self._by_key[key].check(view[key])

    def parse(self, hash_text: str) -> tuple[dict[str, Any], list[str]]:
        """Return the view of a location's hash (with or without ``#``), complete with defaults, and a sentence per bad entry."""
        view, problems = self.defaults(), []
        for key, text in parse_qsl(hash_text.lstrip("#"), keep_blank_values=True):
            field = self._by_key.get(key)
            if field is None:
                problems.append(f'The address has an entry "{key[:40]}" that means nothing here; it is left out.')
                continue
            try:
                view[key] = field.parsed(text)
            except ValueError as error:
                problems.append(f"{error} The default is used.")
        return view, problems

    def format(self, view: Mapping[str, Any]) -> str:
        """Return the hash, without ``#``, that :meth:`parse` reads back as ``view``; empty for the default view."""
        return "&".join(
            f"{field.key}={quote(str(view[field.key]), safe=',-_.~/:')}"
            for field in self.fields
            if view.get(field.key, field.default) not in (field.default, None)
        )


def _texts_of(field: Field) -> dict[str, Any]:
    return {"texts": [[text, help_] for _, text, help_ in field.options()]}
