"""Jobs on Dask: what is computed, in what order, what happens when something breaks, and that the same comes of it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("distributed", reason="needs Dask: make test installs it")

from made_up_source import CLASSES, MadeUpSource, expected, labels, noted

from mloscope.app.errors import Conflict, MloscopeError, NotPossible, Unavailable
from mloscope.app.statistics.computing.dask_workers import connected
from mloscope.app.statistics.computing.engine import Engine, Outcome, Progress
from mloscope.app.statistics.computing.plan import Job, PlannedStep
from mloscope.app.statistics.patches.asked import AskedPatches
from mloscope.app.statistics.stored.store import StatisticsStore

IMAGES = 1000
BATCH = 100
HERE = Path(__file__).parent
IMPORTABLE = os.pathsep.join(map(str, (HERE, HERE.parent)))
"""Where other processes find this module and ``made_up_source``."""


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with connected() as found:
        yield found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def make_job(log: Path) -> Callable[..., Job]:
    def make(steps: tuple[int, ...] = (0, 10, 20), images: int = IMAGES, form: str | None = None, **source: Any) -> Job:
        return planned_job(steps, images, str(log), form, **source)

    return make


def planned_job(steps: tuple[int, ...], images: int, log: str, form: str | None = None, **source: Any) -> Job:
    return Job(
        MadeUpSource(images, log, **source),
        labels(images),
        tuple(PlannedStep(step, f"key{step}", f"{step}", {"step": step, "source": "evaluated"}) for step in steps),
        # A slice of 250 images: so few, so that a small job has several.
        input_bytes=(64 << 20) // 250,
        batch=50,
        form=form,
    )


def compute(folder: Path, client: Any, job: Job, **arguments: Any) -> Outcome:
    return Engine(StatisticsStore(folder), str(folder), client, **arguments).compute(job)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a store, without what no two runs share: when a plane was made, and how long it took."""
    found = {}
    for path in sorted((folder / "statistics").rglob("*")):
        if path.is_dir() or ".tmp" in str(path):  # what a killed process leaves, for a day
            continue
        data = path.read_bytes()
        if path.name == "about.json":
            about = json.loads(data)
            for name in ("created", "seconds"):
                about.pop(name, None)
            data = json.dumps(about).encode()
        found[str(path.relative_to(folder))] = data
    return found


def test_the_order_follows_the_step_that_is_looked_at(tmp_path: Path, client, make_job, log: Path) -> None:
    told: list[Progress] = []
    done = lambda: {int(line.split()[0]) for line in noted(log, "evaluate")}  # noqa: E731
    first = lambda: 0 if 40 in done() else 50  # noqa: E731
    outcome = compute(tmp_path, client, make_job(steps=(0, 10, 20, 30, 40, 50)), first=first, report=told.append)
    order = list(dict.fromkeys(int(line.split()[0]) for line in noted(log, "evaluate")))
    assert (order[:2], order[-3:]) == ([50, 40], [10, 20, 30]) or order[:3] == [50, 40, 30]
    assert list(outcome.ready) == [0, 10, 20, 30, 40, 50]
    assert next(each.step for each in told if each.step is not None) == 50


def test_every_checkpoint_is_evaluated_over_every_image(tmp_path: Path, client, make_job, log: Path) -> None:
    told: list[Progress] = []
    outcome = compute(tmp_path, client, make_job(), report=told.append)
    assert (outcome.state, outcome.problems, outcome.evaluated, outcome.device) == (
        "done",
        {},
        3 * IMAGES,
        "arithmetic",
    )
    assert list(outcome.ready) == [0, 10, 20]
    for step, plane in outcome.ready.items():
        wanted = expected(step, np.arange(IMAGES, dtype=np.float32))
        np.testing.assert_array_equal(plane.probabilities()[1], wanted)
        np.testing.assert_array_equal(plane.predicted, wanted.argmax(axis=1))
        np.testing.assert_array_equal(plane.actual, labels(IMAGES))
        assert plane.about["step"] == step
        assert plane.about["versions"] == {"arithmetic": "1"}
        assert plane.about["classes"] == CLASSES
    assert Counter(line.rsplit(" ", 1)[0] for line in noted(log, "evaluate")) == {
        f"{step} {start}": 1 for step in (0, 10, 20) for start in range(0, IMAGES, 250)
    }
    assert len(noted(log, "prepare")) == 4, "prepared slices are kept between checkpoints"
    assert not list((tmp_path / "statistics" / "unfinished").iterdir())
    assert told[0].state == "starting"
    assert {progress.state for progress in told} == {"starting", "running"}
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    assert {progress.of for progress in told} == {3 * IMAGES}
    rated = [progress for progress in told if progress.rate]
    assert rated
    assert all(progress.seconds_left == (progress.of - progress.done) / progress.rate for progress in rated)


def test_the_second_time_nothing_is_evaluated(tmp_path: Path, client, make_job, log: Path) -> None:
    compute(tmp_path, client, make_job(steps=(0, 10)))
    before = content(tmp_path)
    outcome = compute(tmp_path, None, make_job(steps=(0, 10)))
    assert (outcome.evaluated, list(outcome.ready)) == (0, [0, 10])
    assert content(tmp_path) == before
    outcome = compute(tmp_path, client, make_job())
    assert (outcome.evaluated, list(outcome.ready)) == (IMAGES, [0, 10, 20])
    assert len(noted(log, "evaluate")) == 12


def test_checkpoints_become_complete_one_after_the_other(tmp_path: Path, client, make_job, log: Path) -> None:
    compute(tmp_path, client, make_job())
    steps = [int(line.split()[0]) for line in noted(log, "evaluate")]
    assert steps == sorted(steps)


def test_slices_that_memory_cannot_keep_are_prepared_once_for_several_checkpoints(
    tmp_path: Path, client, make_job, log: Path
) -> None:
    outcome = compute(tmp_path, client, make_job(steps=tuple(range(10))), keep_bytes=0)
    assert len(outcome.ready) == 10
    prepared = Counter(noted(log, "prepare"))
    assert set(prepared) == {"0", "250", "500", "750"}
    assert max(prepared.values()) == 2, "once for 8 checkpoints, and once for the last 2"
    starts = [line.split()[1] for line in noted(log, "evaluate")[:32]]
    assert starts == sorted(starts, key=int)


def test_a_pause_waits_for_what_is_in_hand_and_the_next_job_goes_on(
    tmp_path: Path, client, make_job, log: Path
) -> None:
    stop = threading.Event()
    told: list[Progress] = []

    def report(progress: Progress) -> None:
        told.append(progress)
        if progress.done >= IMAGES + 250:
            stop.set()

    outcome = compute(tmp_path, client, make_job(delay_s=0.02), report=report, stop=stop.is_set)
    assert outcome.state == "paused"
    assert told[-1].state == "paused"
    assert list(outcome.ready) == [0]
    done = len(noted(log, "evaluate"))
    assert 5 <= done < 12
    assert StatisticsStore(tmp_path).covered("key10") == (done - 4) * 250
    outcome = compute(tmp_path, client, make_job())
    assert (outcome.state, list(outcome.ready), outcome.evaluated) == ("done", [0, 10, 20], (12 - done) * 250)
    assert len(noted(log, "evaluate")) == 12


def test_a_broken_checkpoint_stops_nothing_and_is_named(tmp_path: Path, client, make_job) -> None:
    job = make_job(steps=(0, 10, 20, 30, 40), broken=(10,), poisoned=(20,), changing=(30,))
    job = dataclasses.replace(job, problems={50: "50.npz is cut off."})
    outcome = compute(tmp_path, client, job)
    assert outcome.state == "done"
    assert list(outcome.ready) == [0, 20, 40]
    assert outcome.problems == {
        10: "step 10 is cut off.",
        30: "The checkpoint was changed while it was evaluated; start again.",
        50: "50.npz is cut off.",
    }
    poisoned = outcome.ready[20]
    assert poisoned.summary["not_predicted"] == IMAGES
    assert (np.asarray(poisoned.predicted) == -1).all()
    assert poisoned.summary["accuracy"] == 0


def test_a_checkpoint_that_takes_all_memory_is_tried_again_and_named(tmp_path: Path, client, make_job, log) -> None:
    outcome = compute(tmp_path, client, make_job(steps=(0, 10), sick=(10,)))
    assert list(outcome.ready) == [0]
    assert outcome.problems == {10: "There is not enough memory to evaluate it; a smaller --batch may help."}
    assert len([line for line in noted(log, "evaluate") if line.startswith("10 0 ")]) == 3


def test_a_store_that_cannot_be_written_ends_the_job(tmp_path: Path, client, make_job) -> None:
    with pytest.raises(MloscopeError, match="cannot be written: store: No space left on device"):
        compute(tmp_path, client, make_job(unwritable=(0,)))


def test_a_worker_that_cannot_open_the_run_ends_the_job(tmp_path: Path, client, make_job) -> None:
    with pytest.raises(NotPossible, match="no TensorFlow on this worker"):
        compute(tmp_path, client, make_job(closed=True))


def test_labels_that_are_no_classes_end_the_job(tmp_path: Path, client, make_job) -> None:
    job = make_job()
    with pytest.raises(Conflict, match="run and corpus do not belong together"):
        compute(tmp_path, client, dataclasses.replace(job, labels=job.labels + 4))


def test_more_may_be_kept_than_was(tmp_path: Path, client, make_job) -> None:
    few = compute(tmp_path, client, make_job(steps=(0,), form="top-20")).ready[0]
    assert few.form == "top-20"
    more = compute(tmp_path, client, make_job(steps=(0,), form="full")).ready[0]
    assert more.form == "full"
    again = compute(tmp_path, client, make_job(steps=(0,), form="top-20"))
    assert (again.evaluated, again.ready[0].form) == (0, "full")


def test_there_is_no_scheduler_at_a_wrong_address() -> None:
    with (
        pytest.raises(Unavailable, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:1 "),
        connected("tcp://127.0.0.1:1", timeout_s=0.5),
    ):
        pass


# ------------------------------------------------------------------------------------------------ several processes


def dask(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": IMPORTABLE}
    with open(log, "ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments], stdout=stream, stderr=stream, env=environment, cwd=log.parent
        )


def until(condition: Callable[[], Any], what: str, timeout_s: float = 40) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain until {what}")


WITH_PATCHES = AskedPatches(("conv", "dense"))
"""What may be asked for besides is lost as little."""
KILLED = """
import dataclasses
import sys
from test_engine import WITH_PATCHES, planned_job
from made_up_source import MadeUpSource
from mloscope.app.statistics.computing.dask_workers import connected
from mloscope.app.statistics.computing.engine import Engine
from mloscope.app.statistics.stored.store import StatisticsStore
folder, log = sys.argv[1:]
with connected() as client:
    job = dataclasses.replace(planned_job((0, 10, 20), 1000, log, delay_s=0.05), patches=WITH_PATCHES)
    Engine(StatisticsStore(folder), folder, client).compute(job)
"""


def test_a_killed_process_loses_the_task_in_hand_and_no_more(tmp_path: Path, client, make_job, log: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    job = dataclasses.replace(make_job(), patches=WITH_PATCHES)
    compute(undisturbed, client, job)
    log.unlink()
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(killed), str(log)],
        env={**os.environ, "PYTHONPATH": IMPORTABLE},
    )
    until(lambda: len(noted(log, "evaluate")) >= 7, "some tasks are done")
    process.kill()
    process.wait()
    before = len(noted(log, "evaluate"))
    assert before < 12, "killed too late"
    outcome = compute(killed, client, job)
    assert list(outcome.ready) == [0, 10, 20]
    assert len(noted(log, "evaluate")) in (12, 13), "nothing but the task in hand is evaluated again"
    assert content(killed) == content(undisturbed)


@pytest.mark.slow
def test_a_killed_worker_of_a_real_cluster_costs_nothing(tmp_path: Path, client, make_job, log: Path) -> None:
    """A scheduler and two workers, each a process; one is killed with a task in hand. The store is the same, byte for
    byte, as the one that a thread of this process makes."""
    undisturbed, cluster = tmp_path / "undisturbed", tmp_path / "cluster"
    job = dataclasses.replace(make_job(steps=tuple(range(0, 50, 10))), patches=WITH_PATCHES)
    compute(undisturbed, client, job)
    log.unlink()
    file, said = tmp_path / "scheduler.json", tmp_path / "dask.log"
    processes = [
        dask("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file), log=said),
        *(
            dask(
                "worker", "--scheduler-file", str(file), "--no-nanny", "--nthreads", "1", "--no-dashboard",
                "--resources", "GPU=1", "--death-timeout", "60", log=said,
            )
            for _ in range(2)
        ),
    ]  # fmt: skip
    try:
        until(lambda: file.exists() and file.read_text().endswith("}"), "the scheduler is there")
        address = json.loads(file.read_text())["address"]
        with connected(address) as found:
            until(lambda: len(found.scheduler_info(n_workers=-1)["workers"]) == 2, "both workers are there")
            killed = []

            def report(progress: Progress) -> None:
                if progress.done >= IMAGES and not killed:
                    pid = int(noted(log, "evaluate")[-1].split()[-1])
                    killed.append(pid)
                    os.kill(pid, signal.SIGKILL)

            outcome = compute(
                cluster,
                found,
                dataclasses.replace(job, source=dataclasses.replace(job.source, delay_s=0.1)),
                report=report,
            )
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert killed
    assert {process.pid for process in processes[1:]} > set(killed)
    assert (outcome.state, outcome.problems) == ("done", {})
    assert len({line.split()[-1] for line in noted(log, "evaluate")}) == 2, "both took part"
    assert content(cluster) == content(undisturbed)
