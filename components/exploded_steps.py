"""Which steps exploded: one would set the scale of all the others, so it is left out of scales over time, and that is said.

The rule of films (``assets/films/span.mjs`` has its two numbers from here), of charts, of histograms and of saved films.
"""

from __future__ import annotations

import numpy as np

EXPLODED = 1000
"""Times the median step's largest absolute value; what training does to weights and maps stays far below."""
LEAST_STEPS = 3
"""A median of fewer says nothing."""


def exploded_steps(values: np.ndarray) -> np.ndarray:
    """Positions of the exploded steps. values: float (step, value); what is not finite does not count."""
    reach = np.where(np.isfinite(values), np.abs(values), 0).max(axis=1, initial=0)
    known = np.sort(reach[reach > 0])
    if len(known) < LEAST_STEPS:
        return np.array([], np.intp)
    return np.flatnonzero(reach > EXPLODED * known[(len(known) - 1) // 2])
