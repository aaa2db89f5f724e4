"""docs/adding_an_adaptor.md, taken at its word: its files become a package, its test runs, its commands open a
run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from installed_package import fenced, installed

PAGE = Path(__file__).parents[2] / "docs" / "adding_an_adaptor.md"
SHAPES = {"conv1.kernel": (3, 3, 1, 4), "conv1.bias": (4,), "classes.kernel": (144, 10)}

EVALUATE = """
from pathlib import Path

import numpy as np
from mloscope.adaptors.interface import RunOptions
from mloscope.app.model_service.evaluator import evaluator_in_this_process
from mloscope.app.model_service.wire import RunSpec
from mynpz.evaluable import MyEvaluableNpzRun

spec = RunSpec("checkpoints", "mynpz-evaluable", RunOptions())
run = MyEvaluableNpzRun.open(Path("checkpoints"), RunOptions())
evaluator = evaluator_in_this_process(run, open_run=lambda *_: run)
image = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8, 1)
maps = evaluator.evaluate(spec, [0, 20], ["conv1", "classes"], image)
assert not maps.failed, maps.failed
patches = np.lib.stride_tricks.sliding_window_view(image[..., 0], (3, 3))
for row, step in enumerate((0, 20)):
    stored = np.load(f"checkpoints/step-{step}.npz")
    expected = np.tensordot(patches, stored["conv1.kernel"][:, :, 0], axes=2) + stored["conv1.bias"]
    np.testing.assert_allclose(maps["conv1"][row], expected.clip(0), rtol=1e-4, atol=1e-5)
print("evaluated")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The page's package as pip would install it: files, and a dist-info with the entry points of its
    pyproject.toml. Beside it ``checkpoints`` as the page's training loop writes them."""
    installed(PAGE, tmp_path)
    (tmp_path / "checkpoints").mkdir()
    random = np.random.default_rng(3)
    for step in (0, 20, 100):
        arrays = {key: random.normal(size=shape).astype(np.float32) for key, shape in SHAPES.items()}
        np.savez(tmp_path / "checkpoints" / f"step-{step}.npz", **arrays)
    return tmp_path


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(project), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True)


def mloscope(project: Path, *arguments: str) -> str:
    answer = python(project, "-m", "mloscope.app.commands.cli", *arguments)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_page_has_all_files_of_a_package() -> None:
    assert set(fenced(PAGE.read_text())) == {
        "mynpz/adaptor.py",
        "mynpz/evaluable.py",
        "pyproject.toml",
        "test_mynpz.py",
    }


def test_the_class_has_fewer_than_forty_lines() -> None:
    text = fenced(PAGE.read_text())["mynpz/adaptor.py"]
    own = text[text.index("class MyNpzRun") :]
    assert len([line for line in own.splitlines() if line.strip()]) < 40


def test_the_page_s_own_test_passes_and_the_evaluable_class_does_too(project: Path) -> None:
    own = (project / "test_mynpz.py").read_text()
    own = own.replace("mynpz.adaptor", "mynpz.evaluable").replace("MyNpzRun", "MyEvaluableNpzRun")
    (project / "test_evaluable.py").write_text(own)
    files = ("test_mynpz.py", "test_evaluable.py")
    answer = python(project, "-m", "pytest", "-v", "-p", "no:cacheprovider", *files)
    assert answer.returncode == 0, answer.stdout
    passed = [len(re.findall(rf"^{file}::\S+ PASSED", answer.stdout, re.MULTILINE)) for file in files]
    skipped = [len(re.findall(rf"^{file}::\S+ SKIPPED", answer.stdout, re.MULTILINE)) for file in files]
    assert passed[0] >= 13
    assert (passed[1], skipped[1]) == (passed[0] + skipped[0], 0)


def test_the_page_s_commands_show_the_run(project: Path) -> None:
    commands = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    assert all(command.startswith("mloscope ") for command in commands)
    listed, told, exact = (mloscope(project, *shlex.split(command)[1:]) for command in commands)
    assert re.search(r"^run adaptors +mynpz +mynpz +folders of step-N.npz files$", listed, re.MULTILINE)
    assert "conv1" in told
    run = json.loads(exact)["run"]
    assert run["format"] == "mynpz"
    assert [checkpoint["step"] for checkpoint in run["checkpoints"]] == [0, 20, 100]
    assert [(layer["name"], layer["kind"], layer["inputs"]) for layer in run["layers"]] == [
        ("conv1", "convolution", []),
        ("classes", "dense", ["conv1"]),
    ]


def test_a_broken_file_and_an_empty_folder_are_sentences(project: Path) -> None:
    file = project / "checkpoints" / "step-0.npz"
    file.write_bytes(file.read_bytes()[:200])
    answer = python(project, "-m", "mloscope.app.commands.cli", "inspect", "checkpoints", "--format", "mynpz")
    assert answer.returncode == 1
    assert "step-0.npz is no whole .npz file" in answer.stderr
    (project / "empty").mkdir()
    answer = python(project, "-m", "mloscope.app.commands.cli", "inspect", "empty", "--format", "mynpz")
    assert answer.returncode == 1
    assert "holds no step-N.npz" in answer.stderr


@pytest.mark.slow
@pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs TensorFlow, which [evaluate] installs")
def test_the_evaluable_class_is_evaluated(project: Path) -> None:
    answer = python(project, "-c", EVALUATE)
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert answer.stdout.endswith("evaluated\n")
