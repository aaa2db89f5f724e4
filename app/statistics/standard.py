"""The statistics that come with ML-o-scope: one entry of OURS each.

Those of probabilities and clusters are looked up where they were measured; see :mod:`mloscope.app.statistics.measures`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from mloscope.app.runs.parameters import norms
from mloscope.app.statistics.clusters.store import StepClusters
from mloscope.app.statistics.stored.step_statistics import StepStatistics
from mloscope.app.statistics.table import Statistic
from mloscope.app.statistics.weights import LayerWeights


def _stored(
    name: str, scope: str, unit: str, help: str, look_up: Callable[[Any], Any], made_of: str = "probabilities"
) -> Statistic:
    return Statistic(name, help, unit, scope, made_of, 1, look_up, is_stored=True)


def _rate(name: str, unit: str, help: str) -> Statistic:
    return _stored(name, "checkpoint", unit, help, lambda step: step.rates[name])


def _per_class(name: str, unit: str, help: str) -> Statistic:
    return _stored(name, "class", unit, help, lambda step: step.summary[name])


def _per_image(name: str, unit: str, help: str) -> Statistic:
    return _stored(name, "image", unit, help, operator.attrgetter(name))


def _share_of_cell(step: StepStatistics) -> np.ndarray:
    support = np.bincount(step.cells[:, 0], step.cells[:, 2], step.classes)
    return step.cells[:, 2] / support[step.cells[:, 0]]


def _predicted(step: StepStatistics) -> np.ndarray:
    return np.where(step.predicted < 0, np.nan, step.predicted)


def _cluster(clusters: StepClusters) -> np.ndarray:
    return np.where(clusters.assignment < 0, np.nan, clusters.assignment)


def _norm_of_layer(weights: LayerWeights) -> float:
    values = [np.asarray(array, np.float64).ravel() for array in weights.arrays.values()]
    return norms(np.concatenate([*values, np.zeros(0)])[np.newaxis])[0]


def _norm_of_units(weights: LayerWeights) -> np.ndarray:
    return norms(weights.units().astype(np.float64))


OURS = (
    _rate("accuracy", "share", "Share of the labelled images predicted right; an image without a prediction counts as wrong."),
    _rate("top_5_accuracy", "share", "Share of the labelled images whose class is among the five most probable."),
    _rate("loss", "nats", "Mean of -ln p of the true class, p at least 1e-7."),
    _rate("calibration_error", "share", "Expected calibration error over 15 bins of equal width."),
    _rate("not_predicted", "images", "Images for which the network gives NaN, or that cannot be read."),
    _rate("labelled", "images", "Images whose class is known."),
    _per_class("precision", "share", "Share of the images predicted as the class that are of it."),
    _per_class("recall", "share", "Share of the images of the class that are predicted as it."),
    _per_class("support", "images", "Labelled images of the class."),
    _stored("confusion", "cell", "images", "Images of the actual class with the prediction.", lambda step: step.cells[:, 2]),
    _stored("confusion_share", "cell", "share", "Share of the actual class's images with the prediction.", _share_of_cell),
    _stored("predicted", "image", "class", "Number of the predicted class.", _predicted),
    _per_image("confidence", "share", "Probability of the predicted class."),
    _per_image("true_probability", "share", "Probability of the image's own class."),
    _stored("image_loss", "image", "nats", "-ln p of the image's own class, p at least 1e-7.", lambda step: step.loss),
    _per_image("margin", "", "Probability of the image's own class less that of the best other one, -1 to 1."),
    _per_image("in_top_5", "yes or no", "Whether the image's own class is among the five most probable."),
    _stored("cluster_size", "cluster", "images", "Images in the cluster.", lambda found: found.sizes, "clusters"),
    _stored("cluster_purity", "cluster", "share", "Share of the cluster's labelled images that are of its most frequent class.",
            lambda found: found.about["purity"], "clusters"),
    _stored("cluster", "image", "cluster", "Number of the image's cluster.", _cluster, "clusters"),
    _stored("cluster_distance", "image", "", "Distance of the image's probabilities from the centre of its cluster.",
            lambda found: found.distance, "clusters"),
    Statistic("weight_norm", "L2 norm of all arrays of the layer.", "", "layer", "weights", 1, _norm_of_layer),
    Statistic("unit_norm", "L2 norm of each unit of the layer's first array.", "", "unit", "weights", 1, _norm_of_units),
)  # fmt: skip
"""In the order of the documentation's table."""
