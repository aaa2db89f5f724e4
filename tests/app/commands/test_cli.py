from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3

from mloscope.adaptors import entry_points, registry
from mloscope.app.commands import cli
from mloscope.app.commands.arguments.options import run_options_of
from mloscope.app.process.settings import Settings
from mloscope.app.serving.running_servers import announced
from mloscope.app.serving.serving import _has_display

MLOSCOPE = (sys.executable, "-m", "mloscope.app.commands.cli")


@pytest.fixture
def run_folder(keras_folder: Callable[..., Path], tmp_path: Path) -> Path:
    return keras_folder(tmp_path / "run")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images.npz"
    np.savez(path, x=np.zeros((5, 8, 8), np.uint8), y=np.arange(5))
    return path


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail with exit code 2 and one sentence; returns the sentence."""

    def run(*arguments: object) -> str:
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stopped:  # argparse
            code = stopped.code
        said = capsys.readouterr()
        assert code == 2
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert said.err.startswith("mloscope")
        return said.err

    return run


# ---------------------------------------------------------------------------------------------------- usage


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom mloscope.app.commands import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    print(*sys.modules)"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)

    assert "serve" in said
    heavy = {
        "numpy",
        "pydantic",
        "dash",
        "plotly",
        "h5py",
        "pandas",
        "PIL",
        "fastapi",
        "uvicorn",
        "tensorflow",
        "keras",
        "sklearn",
    }
    assert not heavy & set(said.split())


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert re.fullmatch(r"mloscope \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "COMMAND"),
        (["frobnicate"], "'frobnicate'"),
        (["inspect"], "PATH"),
        (["serve", "run", "--port", "70000"], '"70000" is not a port'),
        (["serve", "run", "--scale", "x"], '"x" must be a number, such as 0.0039 or 1/255'),
        (["serve", "run", "--mean", "1,,2"], '"1,,2" must be a number'),
        (["serve", "run", "--channel-order", "grb"], "'grb'"),
        (["demo", "--epochs", "0"], '"0" must be a whole number of at least 1'),
        (["demo", "--epochs", "3"], "--epochs requires --images"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: list[str], sentence: str, refused: Callable[..., str]) -> None:
    assert sentence in refused(*arguments)


def test_paths_that_are_nothing(refused: Callable[..., str], tmp_path: Path, run_folder: Path) -> None:
    absent = tmp_path / "absent"

    assert f"{absent} does not exist." in refused("inspect", absent)
    assert f"{absent} does not exist." in refused("serve", absent)
    assert f"{absent} does not exist." in refused("serve", run_folder, "--images", absent)
    assert f"{absent} does not exist." in refused("demo", "--images", absent, "--port", "0")


def test_a_folder_without_checkpoints_says_what_it_holds_and_who_looked(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")

    said = refused("serve", tmp_path, "--port", "0")
    assert "1 .txt" in said
    assert "keras (folders of" in said


def test_names_and_workspaces_that_do_not_fit(refused: Callable[..., str], run_folder: Path, tmp_path: Path) -> None:
    assert "2 --name for 1 RUN" in refused("serve", run_folder, "--name", "a", "--name", "b")
    assert '"a-b" could be' in refused("serve", run_folder, "--name", "a b")
    assert "same --name" in refused("serve", run_folder, run_folder, "--name", "a", "--name", "a")
    assert "not both" in refused("serve", run_folder, "--workspace", "mloscope.toml")
    assert "--trust needs a RUN" in refused("serve", "--trust")
    assert "no group" in refused("serve", run_folder, "--step-pattern", "x")
    nothing = tmp_path / "empty.toml"
    nothing.write_text("")
    assert "has no run" in refused("serve", "--workspace", nothing)


def test_serve_without_arguments_wants_a_workspace_file(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "mloscope.toml" in refused("serve")
    (tmp_path / "mloscope.toml").write_text("[runs.mine]\n")
    assert 'the key "path" is missing' in refused("serve")


def test_a_port_in_use_is_named_with_another(refused: Callable[..., str], run_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("serve", run_folder, "--port", port)
        assert refused("demo", "--port", port) == said

    assert f"Port {port} of 127.0.0.1 is in use" in said
    assert re.search(r"--port \d+", said)
    assert "--port 0" in said


def test_what_was_asked_for_is_looked_at_before_the_port(
    refused: Callable[..., str], run_folder: Path, tmp_path: Path
) -> None:
    absent = tmp_path / "absent"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = ("--port", taken.getsockname()[1])
        assert f"{absent} does not exist" in refused("serve", absent, *port)
        assert f"{absent} does not exist" in refused("serve", run_folder, "--images", absent, *port)
        assert f"{absent} does not exist" in refused("serve", absent, *port, "--workers", "2")
        assert "MLOSCOPE_REDIS_URL" in refused("serve", run_folder, *port, "--workers", "2")
        assert "keras (folders of" in refused("serve", tmp_path / "run" / "..", *port)
        assert f"{absent} does not exist" in refused("demo", "--images", absent, *port)


def test_a_port_that_a_server_of_ours_has_is_named_with_its_address(
    refused: Callable[..., str], run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOSCOPE_HOME", str(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with announced(address, Settings(), os.environ):
            said = refused("serve", run_folder, "--port", taken.getsockname()[1])

    assert f"your server at {address}" in said
    assert "mloscope connect" in said
    assert "--port 0" in said


def test_a_host_that_is_not_this_machine(refused: Callable[..., str], run_folder: Path) -> None:
    assert "192.0.2.1 is not an address of this machine" in refused(
        "serve", run_folder, "--host", "192.0.2.1", "--port", "0", "--unprotected"
    )


def test_faults_of_ours_are_one_sentence_unless_debugging(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, run_folder: Path
) -> None:
    # A name longer than any file system takes is an error that nobody translates.
    impossible = ["inspect", "x" * 5000]

    assert cli.main(impossible) in (1, 2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Traceback" not in said
    monkeypatch.setenv("MLOSCOPE_DEBUG", "1")
    with pytest.raises(Exception, match="xxx"):
        cli.main(impossible)


# ------------------------------------------------------------------------------------- inspect and adaptors


def test_inspect_prints_text_or_json(run_folder: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", str(run_folder), "--quick"]) == 0
    assert "Checkpoints: 3, steps 0 to 20" in capsys.readouterr().out

    assert cli.main(["inspect", str(run_folder), "--quick", "--json", "--step-pattern", r"step_00(\d)"]) == 0
    run = json.loads(capsys.readouterr().out)["run"]
    assert [checkpoint["step"] for checkpoint in run["checkpoints"]] == [0, 2]

    assert cli.main(["inspect", str(images)]) == 0
    assert "images   5, 8 x 8 x 1" in capsys.readouterr().out


def test_inspect_into_a_pipe_that_closes_early(run_folder: Path) -> None:
    program = [*MLOSCOPE, "inspect", str(run_folder), "--quick", "--json"]
    child = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.close()

    assert child.stderr.read() == b""
    assert child.wait() in (0, 1)
    child.stderr.close()


def test_adaptors_lists_every_registered_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["adaptors"]) == 0
    lines = capsys.readouterr().out.splitlines()
    registered = [(group.name, each) for group in entry_points.GROUPS for each in entry_points.registered(group)]
    assert {"mloscope.network_backends", "mloscope.film_kinds"} < {group for group, _ in registered}

    for line, (group, each) in zip(lines, registered, strict=True):
        assert re.split("  +", line, maxsplit=3) == [
            group.removeprefix("mloscope.").replace("_", " "),
            each.name,
            each.package,
            each.problem or each.description,
        ]
        assert each.problem or each.description

    assert cli.main(["adaptors", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert [(entry["group"], entry["name"]) for entry in entries] == [(group, each.name) for group, each in registered]
    assert [entry["name"] for entry in entries if entry["reads"] == "runs"] == [a.name for a in registry.run_adaptors()]


# ---------------------------------------------------------------------------------------------- the table


def test_help_lists_the_modules_of_the_commands() -> None:
    folder = Path(cli.__file__).parent
    modules = {file.stem for file in folder.glob("*.py")} | {file.parent.name for file in folder.glob("*/__init__.py")}
    assert modules - {"__init__", "cli", "arguments"} == set(cli.COMMANDS)


# ------------------------------------------------------------------------------------------------- the flags


def test_flags_become_what_a_workspace_file_would_say(tmp_path: Path) -> None:
    parsed = cli.parse(
        [
            "serve",
            "run",
            "--scale",
            "1/255",
            "--mean",
            "0.5,0.4,0.3",
            "--channel-order",
            "bgr",
            "--trust",
            "--architecture",
            "nets:small",
            "--step-pattern",
            "e([0-9]+)",
        ]
    )
    options = run_options_of(parsed)

    assert options.preprocessing.scale == 1 / 255
    assert options.preprocessing.mean == (0.5, 0.4, 0.3)
    assert options.preprocessing.channel_order == "bgr"
    assert options.preprocessing.assumed is False
    assert (options.trust, options.architecture, options.step_pattern) == (True, "nets:small", "e([0-9]+)")


@pytest.mark.parametrize(
    ("text", "mean"),
    [("corpus", "corpus"), ("-1e-2", (-0.01,)), ("mean.npy", str(Path("mean.npy").absolute()))],
)
def test_a_mean_is_numbers_a_file_or_the_corpus(text: str, mean: object) -> None:
    parsed = cli.parse(["serve", "run", f"--mean={text}"])
    assert run_options_of(parsed).preprocessing.mean == mean


def test_nothing_said_about_preprocessing_leaves_it_to_the_files() -> None:
    assert run_options_of(cli.parse(["serve", "run"])).preprocessing is None


def test_every_key_of_a_run_in_a_workspace_file_has_a_flag() -> None:
    flags = set(vars(cli.parse(["serve"])))
    # "path" is RUN itself, "corpus" is --images; "preprocessing" has a flag for each of its keys.
    keys = {
        "format",
        "step_pattern",
        "architecture",
        "trust",
        "scale",
        "mean",
        "channel_order",
        "images_format",
    }
    assert keys <= flags


def test_a_browser_is_opened_only_where_it_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert _has_display({"DISPLAY": ":0"})
    assert _has_display({"WAYLAND_DISPLAY": "wayland-0"})
    assert not _has_display({"SSH_CONNECTION": "..."})


# ----------------------------------------------------------------------------------------------- serving


@contextmanager
def serving(
    *arguments: object, cwd: Path | None = None, **environment: str
) -> Iterator[tuple[subprocess.Popen, str, list[str]]]:
    """``mloscope serve`` as a process of its own: the process, its address, what it said until it
    listened."""
    process = subprocess.Popen(
        [*MLOSCOPE, "serve", "--port=0", "--no-browser", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
    )
    said: list[str] = []
    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"listens on (http://\S+)", line):
                yield process, found[1], said
                break
        else:
            raise AssertionError(f"it did not come up: {''.join(said)} {process.stderr.read()}")
    finally:
        process.kill()
        process.communicate()


ELSEWHERE = {"MLOSCOPE_MODEL_SERVICE_URL": "http://127.0.0.1:9"}
"""No model service is started."""


def test_serve_answers_once_it_says_so_and_stops_cleanly(run_folder: Path, images: Path) -> None:
    with serving(run_folder, "--images", images, "--name", "mine", **ELSEWHERE) as (process, address, said):
        runs = urllib3.request("GET", f"{address}/api/v1/runs").json()["runs"]
        corpora = urllib3.request("GET", f"{address}/api/v1/corpora").json()["corpora"]
        assert [(run["name"], run["checkpoints"]) for run in runs] == [("mine", 3)]
        assert [corpus["name"] for corpus in corpora] == ["images"]
        assert urllib3.request("GET", address).status == 200
        assert said[0] == "Run mine: 3 checkpoints, 4 layers (keras).\n"
        assert "Corpus images: 5 images (npz).\n" in said
        assert any(line.startswith("  Assumed: Pixels are divided by 255") for line in said)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=15)
        assert process.returncode == 0
        assert err == ""
        assert out == ""


needs_children = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir() or find_spec("tensorflow") is None,
    reason="needs /proc to see a process's children, and TensorFlow: make test installs it",
)


@needs_children
def test_serve_reads_the_workspace_file_of_its_folder_and_says_what_is_broken(
    keras_folder: Callable[..., Path], tmp_path: Path
) -> None:
    keras_folder(tmp_path / "good")
    (tmp_path / "mloscope.toml").write_text(
        '[runs.first]\npath = "good"\nstep_pattern = "step_00([0-9])"\n[runs.lost]\npath = "absent"\n'
    )
    with serving(cwd=tmp_path) as (process, address, said):
        runs = urllib3.request("GET", f"{address}/api/v1/runs").json()["runs"]
        assert [run["name"] for run in runs] == ["first", "lost"]
        assert "absent" in runs[1]["problem"]
        assert any("No images are named" in line for line in said)
        model_service = until(lambda: _children(process.pid))
        process.terminate()
        assert process.communicate(timeout=15)[1] == "mloscope: absent does not exist.\n"
        assert process.returncode == 0
        until(lambda: not any(Path(f"/proc/{child}").exists() for child in model_service))


@needs_children
def test_the_model_service_ends_with_a_server_that_is_killed(run_folder: Path) -> None:
    with serving(run_folder) as (process, _, _):
        model_service = until(lambda: _children(process.pid))
        process.kill()
        process.wait(15)
        until(lambda: not any(Path(f"/proc/{child}").exists() for child in model_service))


def until(true: Callable[[], Any]) -> Any:
    ends = time.monotonic() + 20
    while not (found := true()):
        assert time.monotonic() < ends
        time.sleep(0.02)
    return found


def _children(process_id: int) -> list[int]:
    """Processes started by any thread of a process."""
    return [
        int(child)
        for thread in Path(f"/proc/{process_id}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
