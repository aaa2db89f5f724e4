"""Computations in a child process, of which the web process knows only what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mloscope.adaptors.installation import how_to_add
from mloscope.app.errors import BadRequest, Conflict, Unavailable
from mloscope.app.statistics.jobs import StatisticsJobs

SUBJECT = ("lenet", "digits", "test")

CHILD = """
import json, os, sys, threading
folder, mode = os.environ["MLOSCOPE_CACHE_FOLDER"], sys.argv[1]
with open(os.path.join(folder, "arguments"), "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
with open(os.path.join(folder, "pid"), "w") as file:
    file.write(str(os.getpid()))
def say(state, **more):
    print(json.dumps({"state": state, "done": 0, "of": 10, "rate": None, "seconds_left": None, "step": None,
                      "message": "", **more}), flush=True)
say("starting")
print("no JSON at all", flush=True)
if mode == "broken":
    sys.exit("mloscope: The disk is full.")
if mode == "silent":
    os._exit(7)
say("running", done=4, rate=2.5, seconds_left=2.4, step=100)
if mode == "slow":
    for line in sys.stdin:
        if line.strip() == "stop":
            say("paused", done=5, message="Paused")
            sys.exit(0)
    os._exit(1)
say("done", done=10, message="2 checkpoints ready.", notices=["Step 7 has no statistics."])
"""


@pytest.fixture
def make_jobs(tmp_path: Path) -> Iterator[Callable[..., StatisticsJobs]]:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    made: list[StatisticsJobs] = []

    def make(mode: str = "quick", **arguments: Any) -> StatisticsJobs:
        arguments.setdefault("find_spec", lambda _name: object())
        jobs = StatisticsJobs(
            lambda run, corpus, split: f"mloscope {mode} {run} '--images={corpus} {split}'", tmp_path,
            program=(sys.executable, str(script)), **arguments,
        )  # fmt: skip
        made.append(jobs)
        return jobs

    yield make
    for jobs in made:
        jobs.stop()


def wait(jobs: StatisticsJobs, *states: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = jobs.state(*SUBJECT)
        if found["state"] in states and (found["state"] != "running" or found["done"]):
            return found
        time.sleep(0.01)
    raise AssertionError(f"still {found}")


def test_before_anything_is_asked_there_is_none(make_jobs) -> None:
    state = make_jobs().state(*SUBJECT)
    assert state["state"] == "none"
    assert set(state) == {"state", "done", "of", "rate", "seconds_left", "step", "message", "notices"}


def test_a_job_runs_to_its_end(make_jobs, tmp_path: Path) -> None:
    jobs = make_jobs()
    assert jobs.act("start", *SUBJECT)["state"] in ("starting", "running", "done")
    end = wait(jobs, "done")
    assert (end["done"], end["of"], end["message"]) == (10, 10, "2 checkpoints ready.")
    assert end["notices"] == ["Step 7 has no statistics."]
    assert (tmp_path / "arguments").read_text().strip() == (
        '["quick", "lenet", "--images=digits test", "--json", "--supervised"]'
    )
    assert jobs.state("lenet", "digits", "training")["state"] == "none"
    jobs.act("start", *SUBJECT)
    wait(jobs, "done")


def test_a_running_job_is_paused_and_resumed(make_jobs, tmp_path: Path) -> None:
    jobs = make_jobs("slow")
    jobs.act("start", *SUBJECT)
    running = wait(jobs, "running")
    assert (running["done"], running["rate"], running["seconds_left"], running["step"]) == (4, 2.5, 2.4, 100)
    assert jobs.act("pause", *SUBJECT)["state"] in ("running", "paused")
    assert wait(jobs, "paused")["message"] == "Paused"
    jobs.act("resume", *SUBJECT)
    wait(jobs, "running")
    assert len((tmp_path / "arguments").read_text().splitlines()) == 2


def test_a_second_job_of_the_same_is_refused_and_one_of_another_split_is_not(make_jobs) -> None:
    jobs = make_jobs("slow")
    jobs.act("start", *SUBJECT)
    with pytest.raises(Conflict, match='"lenet" over the split "test" of the corpus "digits" are being computed'):
        jobs.act("start", *SUBJECT)
    assert jobs.act("start", "lenet", "digits", "training")["state"] in ("starting", "running")


def test_cancelling_ends_the_child(make_jobs, tmp_path: Path) -> None:
    jobs = make_jobs("slow")
    jobs.act("start", *SUBJECT)
    wait(jobs, "running")
    pid = int((tmp_path / "pid").read_text())
    assert jobs.act("cancel", *SUBJECT)["state"] == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    time.sleep(0.1)
    assert jobs.state(*SUBJECT)["state"] == "cancelled"
    for action in ("cancel", "pause"):
        with pytest.raises(Conflict, match=f"nothing to {action}"):
            jobs.act(action, *SUBJECT)
    with pytest.raises(BadRequest, match="start, pause, resume, cancel"):
        jobs.act("stop", *SUBJECT)


def test_a_failure_says_what_the_command_line_said(make_jobs) -> None:
    jobs = make_jobs("broken")
    jobs.act("start", *SUBJECT)
    assert wait(jobs, "failed")["message"] == "The disk is full."
    silent = make_jobs("silent")
    silent.act("start", *SUBJECT)
    assert "code 7" in wait(silent, "failed")["message"]


def test_a_killed_job_has_failed_and_can_be_started_again(make_jobs, tmp_path: Path) -> None:
    jobs = make_jobs("slow")
    jobs.act("start", *SUBJECT)
    wait(jobs, "running")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert "code -9" in wait(jobs, "failed")["message"]
    jobs.act("start", *SUBJECT)
    wait(jobs, "running")


def test_where_something_is_not_installed_the_line_to_type_is_said(make_jobs) -> None:
    jobs = make_jobs(find_spec=lambda name: None if name == "distributed" else object())
    with pytest.raises(Unavailable, match="distributed, missing .*" + re.escape(how_to_add("statistics"))):
        jobs.act("start", *SUBJECT)


def test_with_a_cluster_tensorflow_is_not_needed_here(make_jobs, tmp_path: Path) -> None:
    jobs = make_jobs(
        dask_address="tcp://scheduler:8786", find_spec=lambda name: object() if name == "distributed" else None
    )
    jobs.act("start", *SUBJECT)
    wait(jobs, "done")
    assert (tmp_path / "arguments").read_text().endswith('"--supervised", "--dask", "tcp://scheduler:8786"]\n')


def test_several_processes_of_a_server_see_and_steer_the_same_job(make_jobs, tmp_path: Path) -> None:
    one, other = make_jobs("slow"), make_jobs("slow")
    one.act("start", *SUBJECT)
    assert wait(other, "running")["done"] == 4
    assert one.subjects() == other.subjects() == (SUBJECT,)
    with pytest.raises(Conflict, match="being computed already"):
        other.act("start", *SUBJECT)
    other.act("cancel", *SUBJECT)
    for jobs in (one, other):
        assert wait(jobs, "cancelled")["message"] == "Cancelled; what is finished stays."
    other.act("start", *SUBJECT)
    wait(one, "running")
    one.act("pause", *SUBJECT)
    for jobs in (one, other):
        wait(jobs, "paused")
    assert len((tmp_path / "arguments").read_text().splitlines()) == 2


def test_what_a_server_noted_that_has_ended_is_not_believed(make_jobs, tmp_path: Path) -> None:
    jobs = make_jobs("slow")
    jobs.act("start", *SUBJECT)
    wait(jobs, "running")
    (noted,) = (tmp_path / "statistics" / "jobs").iterdir()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    jobs.stop()
    noted.write_text(noted.read_text().replace(f'"server": {os.getpid()}', f'"server": {ended.pid}'))
    assert make_jobs().state(*SUBJECT)["state"] == "none"
    assert make_jobs().subjects() == ()


def test_a_job_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    parent = textwrap.dedent(f"""
        import sys, time
        from mloscope.app.statistics.jobs import StatisticsJobs
        jobs = StatisticsJobs(lambda *_: "mloscope slow", {str(tmp_path)!r},
                              program=(sys.executable, {str(tmp_path / "child.py")!r}), find_spec=lambda _name: 1)
        jobs.act("start", "a", "b", "c")
        while not jobs.state("a", "b", "c")["done"]:
            time.sleep(0.01)
        print("running", flush=True)
        time.sleep(60)
    """)
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "running\n"
    pid = int((tmp_path / "pid").read_text())
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]:
                return  # ended; nobody has collected it
        except FileNotFoundError:
            return
        time.sleep(0.05)
    raise AssertionError("the child lives on")


def test_neither_tensorflow_nor_dask_is_imported() -> None:
    code = "import sys, mloscope.app.statistics.jobs; print([n for n in ('tensorflow', 'dask', 'keras') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
