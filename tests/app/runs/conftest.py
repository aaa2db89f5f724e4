"""Makes ``framework`` importable, however pytest was started: tests are imported by path, their neighbours are not."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "model_service"))
