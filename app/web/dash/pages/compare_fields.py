"""What an address holds of a comparison: its fields of the view."""

from __future__ import annotations

from mloscope.app.web.dash.view_state import FILM, IMAGES, SPLIT, Choice, Field

FIELDS = (
    *FILM,
    IMAGES,
    SPLIT,
    Field("b-run", "text", "", "compare: the run on side B; A's own where absent"),
    Field(
        "b-step",
        "number",
        None,
        "compare: B's moment where it is fixed or free; the first of the same run, else the last",
        of=("step",),
        unless="b-run",
        lost="B's moment",
    ),
    Field(
        "b-layer",
        "text",
        "",
        "compare: B's layer; the partner of A's where absent",
        of=("network",),
        unless="b-run",
    ),
    Field(
        "b-parameter",
        "text",
        "",
        "compare: B's array; the one like A's where absent",
        of=("network",),
        unless="b-run",
    ),
    Field("b-units", "units", "", "compare: B's units; A's where absent", of=("network",), unless="b-run"),
    Field(
        "compare-show",
        "choice",
        "parameters",
        "what is compared",
        (Choice("parameters", "Parameters"), Choice("features", "Feature maps"), Choice("confusion", "Confusion")),
    ),
    Field(
        "compare-mode",
        "choice",
        "difference",
        "how",
        (
            Choice("side", "Side by side", "A beside B"),
            Choice("difference", "A − B", "A beside B, and their difference, with zero in the middle of the scale"),
            Choice("ratio", "Ratio of norms", "A beside B, and for each tile its norm in A divided by its norm in B"),
            Choice("blink", "Blink", "A and B in turn in the same place"),
            Choice("wipe", "Wipe", "A and B in the same place, with a divider to drag"),
        ),
    ),
    Field(
        "compare-follow",
        "choice",
        "auto",
        "how B's moment follows A's",
        (
            Choice("auto", "automatic"),
            Choice("fixed", "stays at a step"),
            Choice("lag", "some checkpoints behind"),
            Choice("same", "same point of its run"),
            Choice("free", "free, own slider"),
        ),
    ),
    Field("compare-lag", "number", 1, "how many checkpoints B is behind"),
    Field(
        "compare-align",
        "choice",
        "auto",
        "what the same point of another run is; auto: by epoch or step where both count alike, else by share",
        (
            Choice("auto", "automatic"),
            Choice("step", "step", "B is at the same step as A"),
            Choice("epoch", "epoch", "B is at the same epoch as A"),
            Choice("share", "share of training", "B is as far through its training as A"),
            Choice("accuracy", "accuracy", "B is where its accuracy comes nearest to A's"),
        ),
    ),
    Field(
        "compare-pairs",
        "text",
        "",
        'layers paired by hand, such as "conv1:conv1a,conv2:"',
        of=("network",),
        lost="layers paired by hand",
    ),
    Field("compare-panel", "choice", "change", "the panel beside", ("change", "image", "training", "layers")),
    Field(
        "compare-measure",
        "choice",
        "norm",
        "what of each unit is set against the other side's",
        ("norm", "variance"),
    ),
    Field("compare-runs", "text", "", "compare: further runs in the training chart, separated by commas"),
    Field("compare-metric", "text", "", "compare: the metric in the training chart; the first two found where absent"),
    Field(
        "compare-scale",
        "choice",
        "common",
        "whether A and B have one colour scale or their own",
        (
            Choice("common", "One scale", "A and B have the same colour scale"),
            Choice("own", "Own scales", "A and B have a colour scale each, as where one of them looks flat"),
        ),
    ),
    Field("compare-wipe", "number", 50, "where the divider stands, in percent"),
)
