"""Makes ``found_patches`` importable: tests are imported by path, their neighbours are not."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "statistics"))
