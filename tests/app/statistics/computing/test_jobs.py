"""Computations in a child process, of which the web process knows only what it says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mloscope.adaptors.installation import how_to_add
from mloscope.app.errors import BadRequest, Conflict, Unavailable
from mloscope.app.statistics.computing.jobs import StatisticsJobs

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
        if line.startswith("first "):
            say("running", done=5, step=int(line.split()[1]))
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
        arguments.setdefault("missing", lambda: None)
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


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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


def test_the_step_on_the_screen_comes_first_and_the_order_follows(make_jobs, tmp_path: Path) -> None:
    jobs = make_jobs("slow")
    with pytest.raises(BadRequest, match="needs the step"):
        jobs.act("reorder", *SUBJECT)
    assert jobs.act("reorder", *SUBJECT, step=200)["state"] == "none"
    jobs.act("start", *SUBJECT, step=300)
    wait(jobs, "running")
    assert json.loads((tmp_path / "arguments").read_text())[-2:] == ["--first", "300"]
    jobs.act("reorder", *SUBJECT, step=200)
    until(lambda: jobs.state(*SUBJECT)["step"] == 200)


def test_the_step_on_the_screen_of_another_process_of_the_server_comes_first_too(make_jobs) -> None:
    jobs, another = make_jobs("slow"), make_jobs("slow")
    jobs.act("start", *SUBJECT)
    wait(jobs, "running")
    assert another.act("reorder", *SUBJECT, step=250)["state"] == "running"
    jobs.act("reorder", *SUBJECT, step=200)  # what the child says next is when the other's wish is passed on
    until(lambda: jobs.state(*SUBJECT)["step"] == 250)


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


def test_a_map_is_asked_for_with_the_start_and_again_with_resuming(make_jobs, tmp_path: Path) -> None:
    jobs = make_jobs("slow")
    jobs.act("start", *SUBJECT, ["tsne"])
    wait(jobs, "running")
    jobs.act("pause", *SUBJECT)
    wait(jobs, "paused")
    jobs.act("resume", *SUBJECT)
    wait(jobs, "running")
    lines = [json.loads(line) for line in (tmp_path / "arguments").read_text().splitlines()]
    assert [line[-2:] for line in lines] == [["--map", "tsne"]] * 2


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
    jobs = make_jobs(missing=lambda: "Networks need a framework.")
    with pytest.raises(Unavailable, match="need a framework"):
        jobs.act("start", *SUBJECT)


def test_with_a_cluster_no_network_backend_is_needed_here(make_jobs, tmp_path: Path) -> None:
    jobs = make_jobs(dask_address="tcp://scheduler:8786", missing=lambda: "Networks need a framework.")
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
        assert wait(jobs, "cancelled")["message"].startswith("Cancelled")
    other.act("start", *SUBJECT)
    wait(one, "running")
    one.act("pause", *SUBJECT)
    for jobs in (one, other):
        wait(jobs, "paused")
    assert len((tmp_path / "arguments").read_text().splitlines()) == 2


PARENT = """
import sys, time
from mloscope.app.statistics.computing.jobs import StatisticsJobs
folder, child = sys.argv[1:]
jobs = StatisticsJobs(lambda *_: "mloscope slow", folder, program=(sys.executable, child), find_spec=lambda _name: 1, missing=lambda: None)
jobs.act("start", *{subject!r})
while not jobs.state(*{subject!r})["done"]:
    time.sleep(0.01)
print("running", flush=True)
if sys.stdin.readline():
    jobs.stop()
"""


def server(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process, that has started the job; a line on its standard input makes it stop in order."""
    (tmp_path / "child.py").write_text(CHILD)
    words = [sys.executable, "-c", PARENT.format(subject=SUBJECT), str(tmp_path), str(tmp_path / "child.py")]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "running\n"
    return process


def note(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "statistics" / "jobs").glob("*.json")
    return found


def gone(pid: int) -> bool:
    from mloscope.app.process.this_machine import process_name

    return process_name(pid) is None


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_job_that_a_server_left_is_started_again(make_jobs, tmp_path: Path, how: str) -> None:
    """As a container does that is started again: the same host, perhaps the same PIDs, and what was noted before."""
    before = server(tmp_path)
    pid = int((tmp_path / "pid").read_text())
    other = make_jobs("slow")
    assert other.state(*SUBJECT)["state"] == "running"
    if how == "killed":
        before.kill()
    before.communicate("stop\n" if how == "stopped" else None)
    until(lambda: gone(pid))
    assert wait(other, "cancelled", "none")
    for action in ("pause", "cancel"):
        with pytest.raises(Conflict, match="Nothing is being computed"):
            other.act(action, *SUBJECT)
    other.act("start", *SUBJECT)
    assert wait(other, "running")["done"] == 4
    assert len((tmp_path / "arguments").read_text().splitlines()) == 2


def test_whoever_has_the_pid_of_a_job_now_is_sent_no_signal(make_jobs, tmp_path: Path) -> None:
    before = server(tmp_path)
    before.kill()
    before.communicate()
    until(lambda: gone(int((tmp_path / "pid").read_text())))
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        noted = json.loads(note(tmp_path).read_text())
        assert noted["told"]["state"] == "running"
        noted["child"]["pid"] = noted["server"]["pid"] = stranger.pid
        note(tmp_path).write_text(json.dumps(noted))
        jobs = make_jobs("slow")
        for action in ("pause", "cancel"):
            with pytest.raises(Conflict):
                jobs.act(action, *SUBJECT)
        assert jobs.state(*SUBJECT)["state"] not in ("starting", "running")
        jobs.act("start", *SUBJECT)
        wait(jobs, "running")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_job_whose_child_cannot_be_reached_is_not_started_twice(make_jobs, tmp_path: Path) -> None:
    """As in two containers that share their cache: what the other one noted is true, and its PIDs mean nothing here."""
    process = server(tmp_path)
    noted = json.loads(note(tmp_path).read_text())
    for name in ("server", "child"):
        noted[name] |= {"pid": os.getpid(), "namespace": "pid:[1]"}
    note(tmp_path).write_text(json.dumps({**noted, "host": "elsewhere"}))
    jobs = make_jobs("slow")
    assert jobs.state(*SUBJECT)["state"] == "running"
    with pytest.raises(Conflict, match="already"):
        jobs.act("start", *SUBJECT)
    with pytest.raises(Conflict, match="elsewhere"):
        jobs.act("cancel", *SUBJECT)
    process.communicate("stop\n")
    assert wait(jobs, "cancelled", "none")


def test_what_an_ended_server_noted_of_ended_jobs_is_forgotten(make_jobs, tmp_path: Path) -> None:
    process = server(tmp_path)
    noted = json.loads(note(tmp_path).read_text())
    process.communicate("stop\n")
    note(tmp_path).write_text(json.dumps({**noted, "told": {**noted["told"], "state": "done"}}))
    jobs = make_jobs()
    assert jobs.state(*SUBJECT)["state"] == "none"
    assert jobs.subjects() == ()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"token": 1, "server": 3, "child": 4, "subject": ["a"], "told": {}}']
)
def test_what_nobody_of_ours_noted_is_nothing(make_jobs, tmp_path: Path, text: str) -> None:
    jobs = make_jobs("slow")
    jobs.act("start", *SUBJECT)
    jobs.stop()
    note(tmp_path).write_text(text)
    assert make_jobs().state(*SUBJECT)["state"] == "none"


def test_a_job_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    process = server(tmp_path)
    process.kill()
    process.communicate()
    until(lambda: gone(int((tmp_path / "pid").read_text())))


def test_neither_tensorflow_nor_dask_is_imported() -> None:
    code = "import sys, mloscope.app.statistics.computing.jobs; print([n for n in ('tensorflow', 'dask', 'keras') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
