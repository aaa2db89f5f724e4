"""How large each cluster is, and how pure the selected one, over the whole of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from mloscope.components import theme as themes
from mloscope.components.figures.time_axis import time_axis


def cluster_course(
    sizes: np.ndarray, purity: np.ndarray, step_labels: Sequence[str], *, selected: int | None, theme: str
) -> go.Figure:
    """Lines over all checkpoints.

    sizes: float (checkpoint, cluster), number of images; purity: float (checkpoint, cluster), 0..1, NaN for a cluster without
    labelled images. Both NaN where a checkpoint has no clusters: the line is broken there, never bridged. selected: a
    cluster, drawn strongly with its purity on an axis of its own (right), or None.
    """
    positions = np.arange(len(step_labels))
    figure = go.Figure()
    for cluster in range(sizes.shape[1]):
        strong = cluster == selected
        figure.add_scatter(
            x=positions, y=sizes[:, cluster], mode="lines", name=f"cluster {cluster}", text=list(step_labels),
            opacity=1.0 if strong else 0.75 if selected is None else 0.25,
            line={"color": themes.CLUSTERS[cluster % len(themes.CLUSTERS)], "width": 2.5 if strong else 1},
            hovertemplate=f"cluster {cluster}<br>step %{{text}}: <b>%{{y:,}} images</b><extra></extra>",
        )  # fmt: skip
    if selected is not None:
        figure.add_scatter(
            x=positions, y=purity[:, selected], mode="lines", name="purity", text=list(step_labels), yaxis="y2",
            line={"color": themes.TOKENS[theme]["text"], "width": 1.5, "dash": "dot"},
            hovertemplate=f"purity of cluster {selected}<br>step %{{text}}: <b>%{{y:.1%}}</b><extra></extra>",
        )  # fmt: skip
    if len(step_labels) == 1:
        figure.update_traces(mode="markers")
    figure.update_layout(
        template=themes.template(theme),
        showlegend=False,
        margin={"l": 48, "r": 44 if selected is not None else 18},
        xaxis=time_axis(step_labels),
        yaxis={"rangemode": "tozero", "title": {"text": "images"}},
        yaxis2={
            "overlaying": "y", "side": "right", "range": [-0.02, 1.02], "tickformat": ".0%", "tickvals": [0, 0.5, 1],
            "showgrid": False, "visible": selected is not None,
        },
    )  # fmt: skip
    return figure
