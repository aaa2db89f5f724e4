"""Which steps the fixtures measure, and what made-up probabilities predict."""

from __future__ import annotations

import numpy as np

STEPS = (0, 100, 200)


def predicted(probabilities: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(probabilities[:, 0]), 10, np.nan_to_num(probabilities).argmax(axis=1))
