"""What pages and the REST API ask about top patches, as JSON."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from mloscope.app.errors import NotFound
from mloscope.app.statistics.expected_duration import expected_seconds
from mloscope.app.statistics.patches.course import SHARE, PatchCourse, fields_of, layers_with_patches, patch_course
from mloscope.app.statistics.run_statistics import RunStatistics

COST = 1.25
"""How much longer the pass over all images takes with top patches, at most."""


def overview(of: RunStatistics) -> dict[str, Any]:
    """Which layers have top patches, when their units settle, and how the rest can be had."""
    steps = sum(state.problem is None for state in of.steps)
    seconds = expected_seconds(of.opened_run.layers, steps * len(of.positions), steps, of.job().get("rate"))
    return {
        "layers": [_layer(name, course) for name, course in layers_with_patches(of).items()],
        "share": SHARE,
        "command": f"{of.command} --top-patches",
        "expected_seconds": COST * seconds,
    }


def _layer(name: str, course: PatchCourse) -> dict[str, Any]:
    settled = course.settled()
    known = [step for step in settled if step is not None]
    return {
        "layer": name,
        "units": course.units,
        "steps": list(course.steps),
        "settled": settled,
        "median_settled": median(known) if known else None,
        "dead": int(course.found[-1].is_dead.sum()),
    }


def at_step(of: RunStatistics, step: int, layer: str, offset: int, limit: int) -> dict[str, Any]:
    """The patches of some of a layer's units at one step."""
    course = patch_course(of, layer)
    of.opened_run.checkpoint(step)  # which says so if there is none
    if step not in course.steps:
        raise NotFound(f'Step {step} has no top patches of "{layer}" yet; this finds them: {of.command} --top-patches')
    place = course.steps.index(step)
    units = range(course.units)[offset : offset + limit]
    return {
        "total": course.units,
        "units": [_unit(of, layer, course, place, unit) for unit in units],
        **_input(of, layer),
    }


def of_unit(of: RunStatistics, layer: str, unit: int) -> dict[str, Any]:
    """The patches of one unit at all steps."""
    course = patch_course(of, layer)
    if not 0 <= unit < course.units:
        raise NotFound(f'The layer "{layer}" has the units 0 to {course.units - 1}; {unit} is none of them.')
    steps = [{"step": step, **_unit(of, layer, course, place, unit)} for place, step in enumerate(course.steps)]
    return {
        "units": course.units,
        "settled": course.settled()[unit],
        "share": SHARE,
        "steps": steps,
        **_input(of, layer),
    }


def _input(of: RunStatistics, layer: str) -> dict[str, Any]:
    found = fields_of(of, layer)
    return {"input": None, "field": None} if found is None else {"input": list(found[1]), "field": list(found[0].size)}


def _unit(of: RunStatistics, layer: str, course: PatchCourse, place: int, unit: int) -> dict[str, Any]:
    found, fields, ids = course.found[place], fields_of(of, layer), of.image_ids()
    patches = []
    for rank, image in enumerate(course.images[place, unit].tolist()):
        if image < 0:
            break
        row, column = found.places[unit, rank].tolist()
        patches.append(
            {
                "image": ids[image],
                "position": image,
                "row": row,
                "column": column,
                "value": float(found.values[unit, rank]),
                "box": None if fields is None else list(fields[0].box(row, column)),
                "since": course.steps[course.since[place, unit, rank]],
            }
        )
    counted, mean, overlap = int(found.counted[unit]), float(found.mean[unit]), float(course.overlap[place, unit])
    return {
        "unit": unit,
        "state": "dead" if found.is_dead[unit] else "alive" if counted else "not a number",
        "mean": _number(mean),
        "excited": int(found.excited[unit]) / counted if counted else None,
        "overlap": _number(overlap),
        "patches": patches,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
