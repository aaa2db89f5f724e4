"""What a chart of a split's statistics at every checkpoint shows: a figure, a sentence, or what it showed before.

contents of the stores "subject", a part of the view, "theme" ──► chart_over_time ──► draw(statistics, steps, labels)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dash import no_update

from mloscope.app import errors
from mloscope.components import theme as themes
from mloscope.components.numbers import step_names

if TYPE_CHECKING:
    from mloscope.app.statistics.queries import Statistics
    from mloscope.app.statistics.run_statistics import RunStatistics


def chart_over_time(
    statistics: Statistics,
    subject: Mapping[str, Any] | None,
    view: Mapping[str, Any] | None,
    theme: str | None,
    draw: Callable[[RunStatistics, list[int], list[str]], Any],
) -> Any:
    """Return what ``draw`` makes of the statistics of the split, the checkpoints' steps and their labels; the sentence of
    the :class:`errors.MloscopeError` that it raises; nothing new while no run is open, or the browser has not said
    everything yet."""
    if not subject or not subject.get("run") or not view or theme is None:
        return no_update
    steps = [checkpoint["step"] for checkpoint in subject["checkpoints"]]
    labels = step_names(subject["checkpoints"])
    try:
        return draw(statistics.of(subject["run"], subject["corpus"], view["split"] or None), steps, labels)
    except errors.MloscopeError as error:
        return themes.empty_figure(theme, str(error))
