"""``fuzz`` is no part of the installed package: it is imported from the top of the tree."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Other processes get this path too, and so find the readings that are planted here.
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

REAL_DATA = Path(os.environ.get("MLOSCOPE_REAL_DATA", ROOT / "../shared/real"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real files, which are what is damaged; skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real files at {REAL_DATA}; set MLOSCOPE_REAL_DATA")
    return REAL_DATA
