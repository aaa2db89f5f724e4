"""Runs tests in forked processes against a module whose source is another than that on disk. No file is changed."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSED, FAILED, TIMED_OUT = "passed", "failed", "timed out"
PRELOADED = {"numpy", "scipy", "pandas", "sklearn", "hypothesis", "pytest", "_pytest", "h5py", "PIL", "plotly", "redis"}
OPTIONS = (
    "-o",
    "addopts=",
    "--import-mode=importlib",
    "-W",
    "ignore",
    "-x",
    "-q",
    "--no-header",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:unraisableexception",  # which collects garbage several times, a third of the time of a short test
    "-m",
    "not slow and not browser",
)


class _Replaced(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds one module, with this source."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.name:
            return None
        spec = importlib.util.spec_from_loader(name, self, origin=str(self.path))
        assert spec is not None
        spec.has_location = True
        return spec

    def get_source(self, fullname: str) -> str:
        return self.source


@dataclass
class Running:
    """A forked process that runs the tests."""

    pid: int
    ends: float
    """Of :func:`time.monotonic`, when it is killed."""

    def outcome(self) -> str | None:
        """:data:`PASSED` (nothing was noticed), :data:`FAILED`, :data:`TIMED_OUT`; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            return PASSED if status == 0 else FAILED
        if time.monotonic() < self.ends:
            return None
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return TIMED_OUT


def start(module: str, path: Path, source: str, tests: Sequence[str], timeout_s: float) -> Running:
    """Fork, and run the tests with the module's source replaced."""
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os._exit(_run(module, path, source, tests))
    return Running(pid, time.monotonic() + timeout_s)


def _run(module: str, path: Path, source: str, tests: Sequence[str]) -> int:
    import pytest
    from hypothesis import Phase, settings

    # Without conftest.py, whose profile this is; a slow machine is no failure, and nobody reads the smallest example.
    settings.register_profile(
        "mutants",
        deadline=None,
        derandomize=True,
        max_examples=25,
        database=None,
        phases=(Phase.explicit, Phase.generate),
    )
    settings.load_profile("mutants")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    sys.meta_path.insert(0, _Replaced(module, path, source))
    try:
        return int(pytest.main([*OPTIONS, *tests]))
    except BaseException:
        return 1


def third_party_modules(tests: Sequence[str]) -> list[str]:
    """What the tests import that is not ours, found out in a process of its own; to be imported once, before forking."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        import pytest

        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(nothing, stream)
        pytest.main([*OPTIONS, "--collect-only", *tests])
        with os.fdopen(writer, "w") as pipe:
            json.dump(sorted(sys.modules), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        names = json.load(pipe)
    os.waitpid(pid, 0)
    return [name for name in names if name.split(".")[0] in PRELOADED]
