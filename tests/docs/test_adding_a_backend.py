"""docs/adding_a_backend.md, taken at its word: its files become a package outside the tree, its test runs, its networks are
evaluated by the model service's own process and counted over a corpus by the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from installed_package import fenced, installed

from mloscope.app.model_service.client import ModelServiceClient, RunSpec
from mloscope.app.model_service.supervisor import ModelServiceProcess

PAGE = Path(__file__).parents[2] / "docs" / "adding_a_backend.md"
STEPS = (0, 20, 100)
IMAGES = 60
"""Images of three classes, each brighter in a third of its rows, and weights that see it better at every step."""

NO_TENSORFLOW = """
import sys
from mloscope.app.commands.cli import main
try:
    status = main(sys.argv[1:])
finally:
    assert not {"tensorflow", "keras"} & set(sys.modules), "this network needs neither"
sys.exit(status)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's package as pip would install it; beside it ``run`` and ``images.npz``."""
    folder = installed(PAGE, tmp_path_factory.mktemp("mysoftmax"))
    (folder / "run").mkdir()
    kernel, bias = np.zeros((64, 3), np.float32), np.zeros(3, np.float32)
    for shape in range(3):
        kernel.reshape(8, 8, 3)[shape * 2 : shape * 2 + 2, :, shape] = 1
    for step in STEPS:
        noise = np.random.default_rng(step).normal(0, 1, kernel.shape)
        np.savez(folder / "run" / f"softmax-{step}.npz", kernel=kernel * step / 50 + noise, bias=bias)
    random = np.random.default_rng(0)
    labels = np.arange(IMAGES) % 3
    pixels = random.integers(0, 120, (IMAGES, 8, 8, 1), dtype=np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[label * 2 : label * 2 + 2] += 120
    np.savez(folder / "images.npz", x_test=pixels, y_test=labels)
    return folder


def python(project: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(project), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment["MLOSCOPE_CACHE_FOLDER"] = str(project / "cache")
    answer = subprocess.run([sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout[-2000:] + answer.stderr[-2000:]
    return answer.stdout


def stored(project: Path, step: int) -> dict[str, np.ndarray]:
    with np.load(project / "run" / f"softmax-{step}.npz") as arrays:
        return dict(arrays)


def logits(project: Path, step: int, images: np.ndarray) -> np.ndarray:
    arrays = stored(project, step)
    return images.reshape(len(images), -1) @ arrays["kernel"] + arrays["bias"]


def test_a_backend_and_its_run_are_three_files() -> None:
    files = set(fenced(PAGE.read_text())) - {"test_mysoftmax.py"}
    assert files == {"mysoftmax/backend.py", "mysoftmax/run.py", "pyproject.toml"}


def test_the_page_s_own_test_passes(project: Path) -> None:
    said = python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mysoftmax.py")
    passed = re.search(r"(\d+) passed", said)
    assert passed
    assert int(passed[1]) >= 14


def test_the_page_s_commands_evaluate_it_without_tensorflow(project: Path) -> None:
    commands = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    inspect, statistics = (shlex.split(command)[1:] for command in commands)
    report = json.loads(python(project, "-c", NO_TENSORFLOW, *inspect, "--json"))
    assert report["run"]["format"] == "mysoftmax"
    counted = json.loads(python(project, "-c", NO_TENSORFLOW, *statistics, "--json").splitlines()[-1])
    assert counted["state"] == "done"
    assert counted["evaluated"] == IMAGES * len(STEPS)
    table = python(project, "-c", NO_TENSORFLOW, statistics[0], "export", *statistics[1:])
    found = {int(row["step"]): float(row["accuracy"]) for row in csv.DictReader(io.StringIO(table))}
    with np.load(project / "images.npz") as arrays:
        images, labels = arrays["x_test"] / np.float32(255), arrays["y_test"]
    expected = {step: (logits(project, step, images).argmax(axis=1) == labels).mean() for step in STEPS}
    assert found == pytest.approx(expected, abs=1e-6)
    assert expected[100] > expected[0]


def test_the_model_service_gives_its_maps_and_predictions(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(project))  # as the child finds the installed package
    process = ModelServiceProcess()
    process.start()
    try:
        client, spec = ModelServiceClient(process), RunSpec(str(project / "run"), "mysoftmax")
        described = client.describe(spec)
        assert described["output_layer"] == "classes"
        image = np.random.default_rng(2).random((8, 8, 1)).astype(np.float32)
        maps = client.evaluate(spec, [100, 0, 7], ["pixels", "classes"], image)
        assert set(maps.failed) == {7}
        for row, step in enumerate((100, 0)):
            np.testing.assert_array_equal(maps["pixels"][row], image)
            powers = np.exp(logits(project, step, image[None])[0])
            np.testing.assert_allclose(maps["classes"][row], powers / powers.sum(), rtol=1e-5)
        assert "numpy" in client.status()
    finally:
        process.stop()
