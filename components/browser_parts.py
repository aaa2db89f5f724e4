"""The parts that the browser draws by itself, as Dash components: the modules in ``assets/`` hold what they do.

Dash finds the JavaScript of a component as ``window[_namespace][_type]``; ``assets/main.mjs`` puts all of them there. None of these
parts has a callback: they listen to the time bus (``assets/base/time_bus.mjs``) and to the view (``assets/base/view.mjs``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from dash.development.base_component import Component


class _BrowserPart(Component):
    """A component of the namespace ``mloscope`` with the properties that its ``__init__`` passes on."""

    _namespace = "mloscope"
    _children_props: tuple[str, ...] = ()
    _base_nodes = ("children",)
    _prop_names: tuple[str, ...] = ("id",)
    available_properties: tuple[str, ...] = ("id",)
    _valid_wildcard_attributes: tuple[str, ...] = ()
    available_wildcard_properties: tuple[str, ...] = ()

    def __init__(self, **properties: Any) -> None:
        super().__init__(**{name: value for name, value in properties.items() if value is not None})


class TimeSlider(_BrowserPart):
    """The timeline: the native range input ``#time-slider``, every checkpoint a stop; play, speed, jump."""

    _type = "TimeSlider"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class BasisLine(_BrowserPart):
    """What the page's numbers rest on, in a line that opens the whole record and the form that names outputs."""

    _type = "BasisLine"
    _prop_names = ("id", "editor")
    available_properties = ("id", "editor")

    def __init__(self, id: str | None = None, editor: bool = False) -> None:
        super().__init__(id=id, editor=editor)


class FilmCanvas(_BrowserPart):
    """The selected layer's parameters, or its feature maps of the selected image, at the time bus's step."""

    _type = "FilmCanvas"
    _prop_names = ("id", "show")
    available_properties = ("id", "show")

    def __init__(self, id: str | None = None, show: Literal["parameters", "features"] = "parameters") -> None:
        if show not in ("parameters", "features"):
            raise ValueError(f'show is "{show}"; it must be "parameters" or "features".')
        super().__init__(id=id, show=show)


class ImageGrid(_BrowserPart):
    """Search and thumbnails of the corpus, and the selected image."""

    _type = "ImageGrid"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class PredictionBars(_BrowserPart):
    """The probability of each class for the selected image at the step of the time bus."""

    _type = "PredictionBars"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class NetworkGraph(_BrowserPart):
    """The network as a graph, left to right; a click selects a layer."""

    _type = "NetworkGraph"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class StatisticsState(_BrowserPart):
    """What has no statistics yet and how to get them; the job that computes them. What comes after it in the same parent is
    hidden while there is nothing at all to show (``assets/statistics.css``)."""

    _type = "StatisticsState"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class Comparison(_BrowserPart):
    """Two films side by side, and what becomes of both; with the controls of both sides."""

    _type = "Comparison"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class ComparisonLayers(_BrowserPart):
    """Which layers of two runs belong together, and the selects that pair them by hand."""

    _type = "ComparisonLayers"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class ComparisonPredictions(_BrowserPart):
    """Class probabilities of the selected image on both sides, in pairs of bars."""

    _type = "ComparisonPredictions"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class ComparisonConfusion(_BrowserPart):
    """The confusion matrices of both sides and their difference, and the images that moved."""

    _type = "ComparisonConfusion"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class ConfusionMatrix(_BrowserPart):
    """The confusion matrix at the step of the time bus. ``figures``: Plotly's heat map for each theme, ``light`` and ``dark``."""

    _type = "ConfusionMatrix"
    _prop_names = ("id", "figures")
    available_properties = ("id", "figures")

    def __init__(self, id: str | None = None, figures: dict[str, Any] | None = None) -> None:
        super().__init__(id=id, figures=figures)


class ConfusionTools(_BrowserPart):
    """What the matrix's shading and order follow, and the search for a class."""

    _type = "ConfusionTools"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class ConfusionAccuracy(_BrowserPart):
    """How many images are classified correctly at the step of the time bus, exactly."""

    _type = "ConfusionAccuracy"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class ConfusionCell(_BrowserPart):
    """The selected cell of the matrix: its count over all steps, and its images."""

    _type = "ConfusionCell"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class ConfusionPairs(_BrowserPart):
    """The most confused pairs of classes, or those that have grown most."""

    _type = "ConfusionPairs"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class ConfusionChanges(_BrowserPart):
    """Images that are taken for another class than at an earlier step."""

    _type = "ConfusionChanges"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)


class ClusterRows(_BrowserPart):
    """A row for each cluster of images. ``colours`` are told apart with every colour blindness; shapes follow them."""

    _type = "ClusterRows"
    _prop_names = ("id", "colours")
    available_properties = ("id", "colours")

    def __init__(self, id: str | None = None, colours: Sequence[str] = ()) -> None:
        super().__init__(id=id, colours=list(colours))


class PointMap(_BrowserPart):
    """All images on a map of their class probabilities, moving with time."""

    _type = "PointMap"
    _prop_names = ("id", "colours")
    available_properties = ("id", "colours")

    def __init__(self, id: str | None = None, colours: Sequence[str] = ()) -> None:
        super().__init__(id=id, colours=list(colours))


class ClusterImages(_BrowserPart):
    """The images of the selected cluster, where they came from and go to, and the images within the lasso."""

    _type = "ClusterImages"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
