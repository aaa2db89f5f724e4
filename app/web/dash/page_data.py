"""What the browser knows from the server before it asks for anything: JSON in script elements of the page's head.

Whatever Python and JavaScript both need is written in Python and read there by ``assets/base/page_data.mjs``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from mloscope.app.evaluation.sweeps import SWEEPS
from mloscope.app.export import film_words
from mloscope.app.export.film_formats import FORMATS
from mloscope.app.films import selection
from mloscope.app.films.kinds import as_json, film_kinds
from mloscope.app.images import changes
from mloscope.app.runs import unit_selection
from mloscope.app.statistics import image_orders
from mloscope.app.web.dash import view_state
from mloscope.app.web.dash.page import Page, view_parts, view_schema
from mloscope.app.workspace import run_labels, saved_views
from mloscope.components import colour_tables, exploded_steps, glossary
from mloscope.components.figures.confusion_heat_map import SHADES, shade_scale
from mloscope.components.theme import CATEGORIES, CLUSTERS


def scripts(pages: Sequence[Page]) -> str:
    """Return the elements' HTML."""
    return "".join(element_of(name, value) for name, value in page_data(pages).items())


def page_data(pages: Sequence[Page]) -> dict[str, Any]:
    """Return the data by the id of its element."""
    return {
        "view-schema": view_schema(pages).as_json(),
        "view-parts": {part.id: {"keys": part.keys, "onlyWhere": dict(part.only_where)} for part in view_parts(pages)},
        "film-kinds": [as_json(kind) for kind in film_kinds().values()],
        "film-formats": [
            {"name": name, "title": each.title, "refusal": each.refusal} for name, each in FORMATS.items()
        ],
        "colour-tables": {name: _table(name) for name in colour_tables.NAMES},
        "categories": CATEGORIES,
        "confusion-shades": {theme: shade_scale(theme) for theme in SHADES},
        "image-orders": {
            "order": [[order.name, order.title, order.help] for order in image_orders.ORDERS.values()],
            "judged": [[name, title, ""] for name, title in image_orders.JUDGED.items()],
        },
        "image-changes": changes.as_json(),
        "sweeps": [[sweep.name, sweep.title, sweep.unit] for sweep in SWEEPS.values()],
        "cluster-colours": CLUSTERS,
        "hands-units-on": sorted(film_words.HANDS_ON),
        "glossary": glossary.WORDS,
        "limits": {
            "unit": unit_selection.MAXIMUM_UNIT,
            "range": unit_selection.LONGEST_RANGE,
            "text": view_state.LONGEST_TEXT,
            "viewName": saved_views.LONGEST_NAME,
            "viewNote": saved_views.LONGEST_NOTE,
            "label": run_labels.LONGEST,
            "unitsPerPage": selection.FIRST_UNITS,
            "vectorsPerPage": selection.FIRST_VECTORS,
            "channelsPerPage": selection.FIRST_CHANNELS,
            "explodedTimes": exploded_steps.EXPLODED,
            "explodedLeastSteps": exploded_steps.LEAST_STEPS,
        },
    }


def _table(name: str) -> dict[str, Any]:
    colours = base64.b64encode(colour_tables.colour_table(name).tobytes()).decode()
    return {"diverging": colour_tables.is_diverging(name), "rgb": colours}


def element_of(name: str, value: Any) -> str:
    """Return a script element of the page's head that holds JSON."""
    text = json.dumps(value, separators=(",", ":")).replace("</", "<\\/")
    return f'<script id="{name}" type="application/json">{text}</script>\n'
