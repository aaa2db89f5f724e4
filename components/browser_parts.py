"""The parts that the browser draws by itself, as Dash components; the modules in ``assets/`` hold what they do.

Dash finds the JavaScript of a component as ``window[_namespace][_type]``; ``assets/main.mjs`` puts all of them there. None of these
parts has a callback: they listen to the time bus (``assets/base/time_bus.mjs``) and to the view (``assets/base/view.mjs``).
"""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component


class BrowserPart(Component):
    """A component of the namespace ``mloscope``; made by :func:`browser_part`."""

    _namespace = "mloscope"
    _children_props: tuple[str, ...] = ()
    _base_nodes = ("children",)
    _valid_wildcard_attributes: tuple[str, ...] = ()
    available_wildcard_properties: tuple[str, ...] = ()

    def __init__(self, **properties: Any) -> None:
        super().__init__(**{name: value for name, value in properties.items() if value is not None})


def browser_part(name: str, help: str, *properties: str) -> type[BrowserPart]:
    """Return the component that the browser draws with ``mloscope[name]``: it takes an ``id`` and the properties."""
    known = ("id", *properties)
    about = {"_type": name, "_prop_names": known, "available_properties": known}
    return type(name, (BrowserPart,), {"__module__": __name__, "__doc__": help, **about})


TimeSlider = browser_part(
    "TimeSlider", "The timeline: the native range input ``#time-slider``, every checkpoint a stop; play, speed, jump."
)
Chart = browser_part(
    "Chart",
    "The place of a Plotly chart, its one child: says what is missing until what draws charts has come. ``graph``: the chart's id; "
    "``height``: of the place meanwhile, in CSS.",
    "graph", "height", "children",
)  # fmt: skip
BasisLine = browser_part(
    "BasisLine",
    "What the page's numbers rest on, in a line that opens the whole record. ``editor``: and the form that names outputs.",
    "editor",
)
FilmCanvas = browser_part(
    "FilmCanvas",
    "The selected layer at the time bus's step. ``show``: its ``parameters``, or its ``features`` of the selected image.",
    "show",
)
ImageGrid = browser_part("ImageGrid", "Search and thumbnails of the corpus, and the selected image.")
ImageCard = browser_part(
    "ImageCard", "The card of the selected image: what the network takes it for, and since when it is right or wrong."
)
PredictionBars = browser_part(
    "PredictionBars", "The probability of each class for the selected image at the step of the time bus."
)
LabPicture = browser_part("LabPicture", "The picture of the lab, moved, turned, covered and painted by hand.")
LabChanges = browser_part("LabChanges", "The changes of the lab's picture, as rows of numbers.")
LabBars = browser_part("LabBars", "The probability of each class for the lab's picture at the step of the time bus.")
LabLayer = browser_part("LabLayer", "The layer that is shown in the lab.")
LabFilms = browser_part("LabFilms", "The selected layer, of the changed picture and of the unchanged one.")
LabSweep = browser_part(
    "LabSweep",
    "What becomes of the lab's picture that is changed little by little: by step and amount, and at this step.",
)
KeyMap = browser_part("KeyMap", "All keys and what they do, as their handlers are registered.")
NetworkGraph = browser_part("NetworkGraph", "The network as a graph, left to right; a click selects a layer.")
StatisticsState = browser_part(
    "StatisticsState",
    "What has no statistics yet and how to get them; the job that computes them. Within an element of the class "
    "``statistics-page`` it stands in the picture's place while there is nothing to show. ``needs``: ``classes`` where the page "
    "means nothing unless outputs are matched with the corpus's classes.",
    "needs",
)
Comparison = browser_part(
    "Comparison", "Two films side by side, and what becomes of both; with the controls of both sides."
)
ComparisonLayers = browser_part(
    "ComparisonLayers", "Which layers of two runs belong together, and the selects that pair them by hand."
)
ComparisonPredictions = browser_part(
    "ComparisonPredictions", "Class probabilities of the selected image on both sides, in pairs of bars."
)
ComparisonConfusion = browser_part(
    "ComparisonConfusion", "The confusion matrices of both sides and their difference, and the images that moved."
)
ConfusionMatrix = browser_part(
    "ConfusionMatrix",
    "The confusion matrix at the step of the time bus. ``figures``: Plotly's heat map for each theme, ``light`` and ``dark``.",
    "figures",
)
ConfusionTools = browser_part(
    "ConfusionTools", "What the matrix's shading and order follow, and the search for a class."
)
ConfusionAccuracy = browser_part(
    "ConfusionAccuracy", "How many images are classified correctly at the step of the time bus, exactly."
)
ConfusionCell = browser_part(
    "ConfusionCell", "The selected cell of the matrix: its count over all steps, and its images."
)
ConfusionPairs = browser_part("ConfusionPairs", "The most confused pairs of classes, or those that have grown most.")
ConfusionChanges = browser_part("ConfusionChanges", "Images that are taken for another class than at an earlier step.")
ClusterRows = browser_part(
    "ClusterRows",
    "A row for each cluster of images.",
)
PointMap = browser_part(
    "PointMap",
    "All images on a map of their class probabilities.",
)
ClusterImages = browser_part(
    "ClusterImages",
    "The images of the selected cluster, where they came from and go to, and the images within the lasso.",
)
RunTable = browser_part(
    "RunTable",
    "All runs as a table that one searches, sorts, groups and chooses from. ``editor``: and gives tags, and connects runs.",
    "editor",
)
SavedViews = browser_part(
    "SavedViews",
    "Buttons that save this view and open the dialog of saved ones. ``editor``: and may save, rename and delete.",
    "editor",
)
RunPicker = browser_part(
    "RunPicker", "The run that is shown, and a list with a search to choose another: names, state, a metric."
)
RunChoice = browser_part(
    "RunChoice",
    "Which runs are drawn, and in which of the ``colours``: a list with a search, chosen runs first.",
    "colours",
)
UnitHead = browser_part(
    "UnitHead",
    "Which unit of which layer the page is about, the unit before and after, and since when it looks as it does.",
)
UnitFilm = browser_part("UnitFilm", "The selected unit alone, as the kind of film ``show`` draws it.", "show")
UnitPatches = browser_part(
    "UnitPatches", "The images that excite the selected unit most, cut to what it sees of them; or how to find them."
)
ViewSelect = browser_part(
    "ViewSelect",
    "A select that shows and sets a ``field`` of the view. ``options``: pairs of a value and its text.",
    "field", "label", "help", "options",
)  # fmt: skip
PinTray = browser_part("PinTray", "Pinned layers and units: a row of small films that follow the slider.")
Fold = browser_part(
    "Fold",
    "A heading of ``level`` 2 or 3 that folds its ``panel``, which is remembered: all else in the element around it whose "
    "``data-panel`` is that name.",
    "panel", "title", "level",
)  # fmt: skip
PanelEdge = browser_part(
    "PanelEdge",
    "The edge of a ``panel``, dragged or moved by keys along the ``axis`` x or y, which is remembered. ``label``: what the panel "
    "is; ``side``: ``after`` where it lies right of the edge; ``sized``: selector of what has the size; ``least``, ``most``: of "
    "it in pixels; ``folds``: whether a button folds it.",
    "panel", "label", "axis", "side", "sized", "least", "most", "folds",
)  # fmt: skip
