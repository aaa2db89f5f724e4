"""Values of statistics that are computed from what is stored, each kept under its own version.

    <store>/derived/<statistic>-<version>/<key>.npy

Losing them costs the time to compute them again; a damaged file counts as absent.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable

import numpy as np

from mloscope.app.process.whole_files import write_file
from mloscope.app.statistics.stored.store import StatisticsStore

logger = logging.getLogger(__name__)


def kept(store: StatisticsStore, name: str, version: int, key: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """What ``compute`` returned the first time. ``key``: of the content that it is computed from."""
    path = store.folder / "derived" / f"{name}-{version}" / f"{key}.npy"
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        pass  # not computed yet, or damaged
    values = compute()
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    try:
        write_file(path, content.getvalue())
    except OSError as error:
        logger.warning("the values of the statistic %s cannot be kept: %s", name, error)
    return values
