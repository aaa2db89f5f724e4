"""Top patches as jobs on Dask find them: in the same pass as probabilities, once, and the same whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("distributed", reason="needs Dask: make test installs it")

from brute_force import by_brute_force, listed
from made_up_source import MadeUpSource, labels, maps, noted

from mloscope.app.statistics.computing.dask_workers import connected
from mloscope.app.statistics.computing.engine import Engine, Outcome, is_complete
from mloscope.app.statistics.computing.plan import Job, PlannedStep
from mloscope.app.statistics.patches.asked import AskedPatches
from mloscope.app.statistics.patches.store import PatchStore
from mloscope.app.statistics.stored.store import StatisticsStore

IMAGES = 500
ASKED = AskedPatches(("conv", "dense"))
NONE = AskedPatches(())


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with connected() as found:
        yield found


def job(folder: Path, asked: AskedPatches = ASKED, **source: Any) -> Job:
    """Three checkpoints, each in five slices; what is evaluated is noted beside the store."""
    folder.mkdir(exist_ok=True)
    steps = tuple(PlannedStep(step, f"key{step}", f"{step}", {"step": step}) for step in (0, 10, 20))
    made_up = MadeUpSource(IMAGES, str(folder / "log"), **source)
    return Job(made_up, labels(IMAGES), steps, input_bytes=(64 << 20) // 100, batch=50, patches=asked)


def compute(folder: Path, client: Any, job: Job, **arguments: Any) -> Outcome:
    return Engine(StatisticsStore(folder), str(folder), client, **arguments).compute(job)


def evaluated(folder: Path) -> int:
    return len(noted(folder / "log", "evaluate"))


def found_patches(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "statistics" / "patches").rglob("*.npz"))}


def patches(folder: Path) -> PatchStore:
    return PatchStore(StatisticsStore(folder).folder)


def test_they_are_those_of_a_search_of_everything(tmp_path: Path, client: Any) -> None:
    whole = job(tmp_path)
    assert not is_complete(whole, StatisticsStore(tmp_path))
    outcome = compute(tmp_path, client, whole)
    assert list(outcome.ready) == [0, 10, 20]
    assert evaluated(tmp_path) == 15, "one pass gives both"
    for step in (0, 10, 20):
        for layer in ASKED.layers:
            found = patches(tmp_path).find(f"key{step}", layer)
            assert found is not None
            assert listed(found) == by_brute_force(maps(layer, step, np.arange(IMAGES, dtype=np.float32)))
    assert is_complete(whole, StatisticsStore(tmp_path))
    assert not list((tmp_path / "statistics" / "unfinished-patches").rglob("*.npz"))


def test_what_is_there_is_not_searched_again(tmp_path: Path, client: Any) -> None:
    compute(tmp_path, client, job(tmp_path, NONE))
    plane = (tmp_path / "statistics" / "planes" / "key10" / "about.json").read_bytes()
    compute(tmp_path, client, job(tmp_path, AskedPatches(("conv",))))
    assert evaluated(tmp_path) == 30
    assert (tmp_path / "statistics" / "planes" / "key10" / "about.json").read_bytes() == plane
    compute(tmp_path, client, job(tmp_path))
    assert evaluated(tmp_path) == 45, "the other layer alone"
    assert compute(tmp_path, None, job(tmp_path)).evaluated == 0
    assert compute(tmp_path, client, job(tmp_path, AskedPatches(("dense",), 3))).evaluated == 0, "fewer are there"
    assert compute(tmp_path, client, job(tmp_path, AskedPatches(("dense",), 12))).evaluated == 3 * IMAGES


def test_a_pause_and_a_lost_slice_change_nothing(tmp_path: Path, client: Any) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    compute(whole, client, job(whole))
    stop = threading.Event()
    report = lambda progress: progress.done >= IMAGES + 100 and stop.set()  # noqa: E731
    assert compute(torn, client, job(torn, delay_s=0.02), report=report, stop=stop.is_set).state == "paused"
    next((torn / "statistics" / "unfinished-patches").rglob("*.npz")).write_bytes(b"torn")
    assert len(compute(torn, client, job(torn)).problems) == 1
    assert compute(torn, client, job(torn)).problems == {}
    assert found_patches(torn) == found_patches(whole)


def test_two_processes_find_what_one_thread_finds(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    compute(tmp_path / "one", client, job(tmp_path / "one"))
    with connected(processes=2) as two:
        compute(tmp_path / "two", two, job(tmp_path / "two"))
    assert len({line.split()[2] for line in noted(tmp_path / "two" / "log", "evaluate")}) == 2
    assert found_patches(tmp_path / "two") == found_patches(tmp_path / "one")
