"""What hostile visitors find: the whole web process on a socket, over a workspace on disk with secrets beside it.

Makes the modules of this folder importable, however pytest was started.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from target_server import TargetServer, served


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TargetServer]:
    with served(tmp_path_factory.mktemp("target")) as server:
        yield server
