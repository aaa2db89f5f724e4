"""Made-up probabilities of a network that learns, and runs of them in a store."""

from __future__ import annotations

import numpy as np

from mloscope.app.statistics.stored.store import StatisticsStore

IMAGES, CLASSES = 600, 6


def training(
    steps: int, images: int = IMAGES, classes: int = CLASSES, seed: int = 3
) -> tuple[list[np.ndarray], np.ndarray]:
    """Probabilities float32 (image, class) of a network that learns, by step, and the labels; some images waver."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=images)
    own = random.normal(size=(images, classes))
    found = []
    for step in range(steps):
        learnt = step / max(1, steps - 1)
        scores = own * 1.2 + random.normal(size=own.shape) * 0.3
        scores[np.arange(images), labels] += 5 * learnt
        scores *= 0.2 + learnt
        odds = np.exp(scores)
        found.append((odds / odds.sum(axis=1, keepdims=True)).astype(np.float32))
    return found, labels


def write_step(store: StatisticsStore, key: str, probabilities: np.ndarray, labels: np.ndarray, form: str = "full"):
    images, classes = probabilities.shape
    plane = store.begin(key, {"images": images, "classes": classes, "form": form}, labels)
    plane.write(0, images, probabilities)
    return plane.finish()


def a_run(store: StatisticsStore, steps: int = 4, form: str = "full", name: str = "plane"):
    """Planes of steps 0, 10, 20, ...; image 5 is not predicted at step 10."""
    found, labels = training(steps)
    if steps > 1:
        found[1] = found[1].copy()
        found[1][5, 0] = np.nan
    return [(10 * n, write_step(store, f"{name}{n}", p, labels, form)) for n, p in enumerate(found)], labels
