"""``mloscope statistics`` as people type it: a real network on TensorFlow, processes that are killed, progress, imports."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.app.commands import cli, statistics
from mloscope.app.commands.statistics import progress
from mloscope.app.statistics.computing.engine import Outcome, Progress

IMAGES = 20_000
STEPS = (0, 5, 20, 30, 40)


@pytest.fixture
def subject(tmp_path: Path, keras_folder: Callable[..., Path]) -> tuple[Path, Path]:
    """A run of five checkpoints, one of them broken, and a corpus of 20,000 small images."""
    run = keras_folder(tmp_path / "run", STEPS, damaged=(30,))
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "images.npz", x_test=random.integers(0, 256, (IMAGES, 8, 8), np.uint8),
        y_test=random.integers(0, 10, IMAGES),
    )  # fmt: skip
    return run, tmp_path / "images.npz"


def start(folder: Path, subject: tuple[Path, Path], *more: str) -> subprocess.Popen[str]:
    run, images = subject
    return subprocess.Popen(
        [sys.executable, "-m", "mloscope.app.commands.cli", "statistics", str(run), "--images", str(images), *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "MLOSCOPE_CACHE_FOLDER": str(folder)},
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The last line of a process with --json."""
    out, problem = process.communicate(timeout=250)
    assert process.returncode == 0, problem
    return json.loads(out.splitlines()[-1])


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a store, without what no two runs share: when a plane was made, and how long it took."""
    found = {}
    for path in sorted((folder / "statistics").rglob("*")):
        if path.is_file() and ".tmp" not in str(path):  # what a killed process leaves, for a day
            data = path.read_bytes()
            if path.name == "about.json":
                about = json.loads(data)
                data = json.dumps({k: v for k, v in about.items() if k not in ("created", "seconds")}).encode()
            found[str(path.relative_to(folder))] = data
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)  # three processes that load TensorFlow, perhaps on a busy machine
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("tensorflow", "distributed")),
    reason="needs TensorFlow and Dask: make test installs it",
)
def test_a_killed_computation_goes_on_and_any_way_of_working_gives_the_same(tmp_path: Path, subject) -> None:
    one, killed = tmp_path / "one", tmp_path / "killed"

    whole = ended(start(one, subject, "--json"))
    assert (whole["state"], whole["ready"], whole["evaluated"]) == ("done", [0, 5, 20, 40], 4 * IMAGES)
    assert list(whole["problems"]) == ["30"]
    assert "Step 30 has no statistics" in whole["notices"][0]
    assert whole["notices"][1:] == [notice["sentence"] for notice in whole["basis"]["notices"]]
    assert any("divided by 255" in sentence and "assumed" in sentence for sentence in whole["notices"])

    process = start(killed, subject, "--json")
    for line in process.stdout:
        progress = json.loads(line)
        if progress["state"] == "running" and progress["done"] > 0:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    written = killed / "statistics"
    done = [*written.rglob("slice-*.npz"), *written.glob("planes/*")]
    assert done, "killed before it had done anything"
    rest = ended(start(killed, subject, "--json", "--processes", "2"))
    assert rest["ready"] == [0, 5, 20, 40]
    assert 0 < rest["evaluated"] < 4 * IMAGES, "it went on"
    assert content(killed) == content(one)

    again = start(one, subject)
    _, said = again.communicate(timeout=60)
    assert again.returncode == 0
    assert "4 checkpoints ready" in said
    assert "Step 30 has no statistics" in said


def run_cli(capfdbinary, folder: Path, *words: Any) -> tuple[int, str, str]:
    os.environ["MLOSCOPE_CACHE_FOLDER"] = str(folder)
    try:
        code = cli.main(["statistics", *map(str, words)])
    finally:
        del os.environ["MLOSCOPE_CACHE_FOLDER"]
    out, problem = capfdbinary.readouterr()
    return code, out.decode(), problem.decode()


def test_predictions_come_in_and_tables_go_out(tmp_path: Path, subject, capfdbinary) -> None:
    run, images = subject
    labels = np.load(images)["y_test"]
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    random = np.random.default_rng(1)
    for step in (0, 20):
        logits = random.normal(size=(IMAGES, 10)).astype(np.float32)
        logits[np.arange(IMAGES), labels] += step / 10
        np.savez(outputs / f"predictions_{step}.npz", logits=logits, labels=labels)
    store = tmp_path / "store"
    code, out, _ = run_cli(capfdbinary, store, "import", run, "--images", images, outputs, "--clusters", "3")
    assert code == 0
    assert "Step 0: 20,000 images" in out
    assert "2 checkpoints ready." in out
    code, out, _ = run_cli(capfdbinary, store, "export", run, "--images", images)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["step"]: row["source"] for row in rows if row["state"] == "ready"} == {
        "0": "imported",
        "20": "imported",
    }
    expected = np.mean(np.load(outputs / "predictions_20.npz")["logits"].argmax(axis=1) == labels)
    assert float(rows[2]["accuracy"]) == expected
    code, out, _ = run_cli(
        capfdbinary, store, "export", run, "--images", images, "--table", "confusion", "--step", "20", "--to",
        tmp_path / "cells.json",
    )  # fmt: skip
    assert (code, out) == (0, "")
    assert sum(json.loads((tmp_path / "cells.json").read_text())["count"]) == IMAGES
    code, out, _ = run_cli(capfdbinary, store, "export", run, "--images", images, "--table", "clusters")
    assert len(out.splitlines()) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", "--images", "{images}"), "nowhere does not exist."),
        (("{run}", "--images", "{images}", "--split", "val"), 'has no split "val"; its splits: test.'),
        (("{run}", "--images", "{images}", "--steps", "6-9"), "no checkpoint of step 6 to 9; its steps go from 0 to 40."),
        (("export", "{run}", "--images", "{images}"), "No step has statistics yet; this computes them: mloscope statistics"),
        (("import", "{run}", "--images", "{images}", "{run}"), "contains no file of predictions"),
        (("import", "{run}", "--images", "{images}", "7=x.npy"), "x.npy is of step 7, and the run has no checkpoint"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(tmp_path: Path, subject, capfdbinary, words, said) -> None:
    run, images = subject
    code, out, problem = run_cli(
        capfdbinary, tmp_path / "store", *(word.format(run=run, images=images) for word in words)
    )
    assert (code, out) == (2, "")
    assert said in problem.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "required: RUN, --images"),
        (("run", "--images", "x", "--steps", "5-3"), '"5-3" is not a step or a range of steps'),
        (("run", "--images", "x", "--clusters", "few"), '"few" must be a whole number of at least 0'),
        (("run", "--images", "x", "--batch", "0"), '"0" must be a whole number of at least 1'),
        (("import", "run", "--images", "x"), "required: FILE"),
    ],
)
def test_wrong_usage_says_what_would_be_right(capsys, words, said) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["statistics", *words])
    assert exit_.value.code == 2
    assert said in capsys.readouterr().err


def test_the_word_compute_need_not_be_typed() -> None:
    assert statistics.complete(["statistics", "run"]) == ["statistics", "compute", "run"]
    assert statistics.complete(["statistics"]) == ["statistics", "compute"]
    assert statistics.complete(["statistics", "import", "x"]) == ["statistics", "import", "x"]


def test_help_names_the_three() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "mloscope.app.commands.cli", "statistics", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for word in ("mloscope statistics import", "--dask", "--clusters", "--keep"):
        assert word in told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


RUNNING = Progress("running", 12_300, 41_000, 4_512.3, 6.36, 120, "Evaluating")


def test_a_terminal_gets_a_bar_that_is_written_over() -> None:
    stream = Terminal()
    bar = progress.progress_on(stream)
    bar(RUNNING)
    bar(Progress("running", 41_000, 41_000, message="Clusters: 3 of 42"))
    bar.end(Progress("done", 41_000, 41_000, message="41 checkpoints ready."), Outcome(problems={7: "It is cut off."}))
    written = stream.getvalue()
    assert "\n" not in written.partition("41 checkpoints")[0]
    lines = written.split("\r\x1b[K")
    drawn, _, words = lines[1].partition("] ")
    assert drawn.count("#") == int(0.3 * len(drawn[1:]))
    assert words == "30 %, 12,300 of 41,000, 4,512 images/s, 6.4 s left (step 120)"
    assert "Clusters: 3 of 42" in lines[2]
    assert lines[3] == "41 checkpoints ready.\nStep 7 has no statistics: It is cut off.\n"


def test_a_file_gets_a_line_now_and_then() -> None:
    stream = io.StringIO()
    lines = progress.progress_on(stream)
    lines(Progress("starting", 0, 41_000, message="The network backend is loading"))
    for done in range(0, 41_000, 1_000):
        lines(Progress("running", done, 41_000, message="Evaluating"))
    lines.end(Progress("done", 41_000, 41_000, message="41 checkpoints ready."), Outcome())
    assert stream.getvalue() == "The network backend is loading\n0 %, 0 of 41,000\n41 checkpoints ready.\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0.4 s"), (59.0, "59 s"), (600.0, "10 min"), (3 * 3600.0, "3.0 h"), (86400.0 * 31, "31.0 days")],
)
def test_durations_are_read_at_a_glance(seconds: float, words: str) -> None:
    assert progress.duration(seconds) == words
