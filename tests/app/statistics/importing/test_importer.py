"""Predictions computed elsewhere: what is read, what is refused and in which words; no model anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.app.errors import BadRequest, MloscopeError, NotFound
from mloscope.app.statistics.identity import Identity
from mloscope.app.statistics.importing.importer import Importer
from mloscope.app.statistics.importing.prediction_files import read_predictions
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace

IMAGES, CLASSES = 20, 2
"""Of the split test of the corpus of tests: images called ``test 0`` with ids ``test-0``, labels 0, 1, 0, 1, ..."""


def logits(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(IMAGES, CLASSES)).astype(np.float32)


def probabilities(seed: int = 0) -> np.ndarray:
    powers = np.exp(logits(seed).astype(np.float64))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


class WeightsOnly:
    """A run whose network cannot be evaluated."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def __getattr__(self, name: str) -> Any:
        if name in ("backend", "weights"):
            raise AttributeError(name)
        return getattr(self._run, name)


@pytest.fixture
def workspace(array_run, array_corpus) -> Workspace:
    run = array_run(steps=(0, 100, 200))
    *before, last = run.layers()
    run = array_run(steps=(0, 100, 200), layers=(*before, replace(last, output_shape=(2,))))
    run.class_names = ("Bird", "cat")
    return Workspace(
        [ConnectedRun("run", Path("run"), WeightsOnly(run))],
        [ConnectedCorpus("noise", Path("noise"), array_corpus())],
    )


@pytest.fixture
def make_importer(tmp_path: Path, workspace) -> Callable[..., Importer]:
    def make(kind: str | None = None, form: str | None = None) -> Importer:
        return Importer(
            workspace, StatisticsStore(tmp_path / "store"), Identity(workspace), "run", "noise", "test", kind, form
        )

    return make


def table(path: Path, names: list[str] | None, values: np.ndarray, headers: list[str], **more: list) -> Path:
    lines = [",".join((["name"] if names else []) + list(more) + headers)]
    for row in range(len(values)):
        cells = ([names[row]] if names else []) + [str(more[name][row]) for name in more]
        lines.append(",".join([*cells, *(repr(float(value)) for value in values[row])]))
    path.write_text("\n".join(lines) + "\n")
    return path


ORDER = np.random.default_rng(5).permutation(IMAGES)
LABELS = np.arange(IMAGES) % 2


def npy(folder: Path) -> Path:
    np.save(folder / "step_100.npy", probabilities().astype(np.float64))
    return folder / "step_100.npy"


def npz(folder: Path) -> Path:
    np.savez(
        folder / "step_100.npz", logits=logits()[ORDER], names=np.array([f"test-{i}" for i in ORDER]),
        labels=LABELS[ORDER],
    )  # fmt: skip
    return folder / "step_100.npz"


def csv_by_class_names(folder: Path) -> Path:
    return table(
        folder / "100.csv", [f"test {i}" for i in ORDER], probabilities()[ORDER][:, ::-1], ["cat", "Bird"],
        label=[("Bird", "cat")[i % 2] for i in ORDER],
    )  # fmt: skip


def csv_in_order(folder: Path) -> Path:
    return table(folder / "100.csv", None, probabilities(), ["p0", "p1"])


def parquet_of_lists(folder: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(
        pyarrow.table({"id": [f"test-{i}" for i in ORDER], "Logits": logits()[ORDER].tolist(), "gold": LABELS[ORDER]}),
        folder / "outputs-100.parquet",
    )
    return folder / "outputs-100.parquet"


def parquet_of_columns(folder: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    values = probabilities()
    parquet.write_table(pyarrow.table({"Bird": values[:, 0], "cat": values[:, 1]}), folder / "100.parquet")
    return folder / "100.parquet"


def dynamics(folder: Path) -> Path:
    """Epoch 1 of the run of tests ends at step 100."""
    path = folder / "dynamics_epoch_1.jsonl"
    lines = [
        json.dumps({"guid": int(i), "logits_epoch_1": logits()[i].tolist(), "gold": int(LABELS[i])}) for i in ORDER
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "write", [npy, npz, csv_by_class_names, csv_in_order, parquet_of_lists, parquet_of_columns, dynamics]
)
def test_every_format_gives_the_same(tmp_path: Path, make_importer, workspace, write) -> None:
    importer = make_importer()
    files = importer.steps([(None, write(tmp_path))])
    assert list(files) == [100]
    imported = importer.bring_in(100, files[100])
    assert imported.notices == ()
    plane = imported.plane
    np.testing.assert_allclose(plane.probabilities()[1], probabilities(), rtol=1e-5)
    np.testing.assert_array_equal(plane.actual, LABELS)
    np.testing.assert_array_equal(plane.predicted, probabilities().argmax(axis=1))
    assert plane.about["source"] == "imported"
    assert plane.about["step"] == 100
    of = Statistics(workspace, importer.store).of("run", "noise", "test")
    assert [(state.step, state.state, state.source) for state in of.steps] == [
        (0, "missing", None),
        (100, "ready", "imported"),
        (200, "missing", None),
    ]
    again = importer.bring_in(100, files[100])
    assert again.plane.key == plane.key


def test_other_content_takes_the_place_of_the_first(tmp_path: Path, make_importer, workspace) -> None:
    importer = make_importer()
    for seed in (0, 1):
        np.save(tmp_path / "x.npy", probabilities(seed))
        importer.bring_in(0, tmp_path / "x.npy")
    plane = Statistics(workspace, importer.store).of("run", "noise", "test").step(0)
    np.testing.assert_array_equal(plane.probabilities()[1], probabilities(1))


def test_only_the_twenty_largest_may_be_kept(tmp_path: Path, make_importer) -> None:
    assert make_importer(form="top-20").bring_in(0, npy(tmp_path)).plane.form == "top-20"


def test_nan_counts_as_not_predicted_and_is_said(tmp_path: Path, make_importer) -> None:
    values = probabilities()
    values[[3, 7]] = np.nan
    np.save(tmp_path / "x.npy", values)
    imported = make_importer().bring_in(0, tmp_path / "x.npy")
    assert imported.notices == (
        f'{tmp_path / "x.npy"}: 2 images hold NaN and count as not predicted, the first of them is "test 3".',
    )
    assert imported.plane.summary["not_predicted"] == 2


def changed(values: np.ndarray, row: int, column: int, value: float) -> np.ndarray:
    values = values.copy()
    values[row, column] = value
    return values


NAMES = np.array([f"test-{i}" for i in range(IMAGES)])


def instead(name: str) -> np.ndarray:
    """All names, but another one for the fourth."""
    return np.where(NAMES == "test-3", name, NAMES)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"probabilities": probabilities()[:19]}, "has 19 rows and no names of images, but the split"),
        ({"probabilities": probabilities()[:, :1]}, "of the shape (20, 1)"),
        ({"probabilities": np.zeros((20, 3)) + 1 / 3}, "has 3 classes, where the run and its corpus have 2"),
        ({"probabilities": np.array(["a"])}, "of the shape (1,)"),
        ({"probabilities": changed(probabilities(), 4, 1, -0.25)}, 'gives "test 4" the probability -0.25 of class 1'),
        ({"probabilities": changed(probabilities(), 4, 1, np.inf)}, 'gives "test 4" the probability inf of class 1'),
        ({"probabilities": probabilities() * 0.5}, 'the probabilities of "test 0" sum to 0.5; they must sum to 1'),
        ({"probabilities": probabilities(), "names": NAMES[:19]}, "has 19 names and 20 rows"),
        (
            {"probabilities": probabilities()[:18], "names": NAMES[:18]},
            'has no row for 2 of the 20 images of the split "test", the first of them is "test 18"',
        ),
        (
            {"probabilities": probabilities(), "names": instead("test-2")},
            'the image "test-2" occurs twice, in rows 3 and 4',
        ),
        (
            {"probabilities": probabilities(), "names": instead("training-3")},
            'row 4: the split "test" of the corpus has no image "training-3"',
        ),
        (
            {"probabilities": probabilities(), "labels": 1 - LABELS},
            'gives "test 0" the label 1, and the corpus gives it 0 (20 labels differ)',
        ),
        ({"probabilities": probabilities(), "labels": LABELS / 2}, "labels must be whole numbers"),
        (
            {"probabilities": probabilities(), "logits": logits()},
            'must hold either "probabilities" or "logits"; it holds',
        ),
        ({"outputs": probabilities()}, 'must hold either "probabilities" or "logits"; it holds outputs'),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path: Path, make_importer, arrays, said) -> None:
    path = tmp_path / "step_0.npz"
    np.savez(path, **arrays)
    importer = make_importer()
    with pytest.raises(BadRequest, match=re.escape(said)) as refusal:
        importer.bring_in(0, path)
    assert str(path) in str(refusal.value)
    assert importer.store.imports(importer.identity.series("run", "noise", "test")) == {}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("0.npy", b"no array", "cannot be read as .npy"),
        ("0.npz", b"no archive", "cannot be read as .npz"),
        ("0.parquet", b"no table", "cannot be read as .parquet"),
        ("0.csv", b"Bird,cat\n0.5,half\n", "invalid value 'half'"),
        ("0.csv", b"name,dog\ntest 0,1\n", "has 1 columns of numbers, and there are 2 classes"),
        ("0.csv", b"label,Bird,cat\nfish,0.5,0.5\n", 'row 1: the label "fish"'),
        ("dynamics_epoch_0.jsonl", b'{"guid": 1}\n', 'line 1: there must be "guid" and "logits_epoch_N"'),
        (
            "dynamics_epoch_0.jsonl",
            b'{"guid": 1, "logits_epoch_0": [1, 2]}\n{"guid": 2, "logits_epoch_0": [1]}\n',
            "line 2: logits_epoch_0 has 1 numbers, and 2 before",
        ),
        ("dynamics_epoch_0.jsonl", b"\n", "holds no line"),
        ("0.txt", b"", "is none of the files that predictions are read from: .npy, .npz, .csv, .parquet, .jsonl"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, make_importer, name, content, said) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRequest, match=re.escape(said)):
        make_importer().bring_in(0, tmp_path / name)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_files_of_many_blocks_are_read_whole(tmp_path: Path, suffix: str) -> None:
    parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    values = np.random.default_rng(0).dirichlet(np.ones(4), 30_000).astype(np.float32)
    names = [f"{number:07}" for number in range(len(values))]
    path = tmp_path / f"0.{suffix}"
    if suffix == "csv":
        path.write_text(
            "name,a,b,c,d\n"
            + "".join(f"{n},{','.join(map(repr, v))}\n" for n, v in zip(names, values.tolist(), strict=True))
        )
        assert path.stat().st_size > 2 << 20
    elif suffix == "parquet":
        parquet.write_table(arrow.table({"name": names, **dict(zip("abcd", values.T, strict=True))}), path)
    else:
        path.write_text(
            "".join(
                json.dumps({"guid": n, "logits_epoch_0": v}) + "\n" for n, v in zip(names, values.tolist(), strict=True)
            )
        )
    found = read_predictions(path, "abcd")
    assert (found.rows, found.classes, list(found.names)) == (30_000, 4, names)
    np.testing.assert_array_equal(found.block(0, 30_000), values)
    np.testing.assert_array_equal(found.block(20_001, 20_003), values[20_001:20_003])


def test_labels_are_numbers_or_names(tmp_path: Path) -> None:
    path = tmp_path / "0.csv"
    for text, expected in (("1,0,", [1, 0, -1]), ("cat,Bird,", [1, 0, -1])):
        path.write_text("label,Bird,cat\n" + "".join(f"{label},0.5,0.5\n" for label in text.split(",")))
        assert read_predictions(path, ("Bird", "cat")).labels.tolist() == expected


def test_a_pickle_in_an_array_is_not_opened(tmp_path: Path, make_importer) -> None:
    np.save(tmp_path / "0.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(MloscopeError, match=r"cannot be read as \.npy"):
        make_importer().bring_in(0, tmp_path / "0.npy")


def test_which_file_is_of_which_step(make_importer) -> None:
    importer = make_importer()
    assert importer.steps([(None, Path("a/run2_step_200.npy")), (0, Path("whatever.npy"))]) == {
        0: Path("whatever.npy"),
        200: Path("a/run2_step_200.npy"),
    }
    with pytest.raises(
        NotFound, match=r"7\.npy is of step 7, and the run has no checkpoint of that step; it has 0, 100, 200"
    ):
        importer.steps([(None, Path("7.npy"))])
    with pytest.raises(BadRequest, match="holds no number"):
        importer.steps([(None, Path("x.npy"))])
    with pytest.raises(BadRequest, match="are both of step 100"):
        importer.steps([(None, Path("a100.npy")), (None, Path("b100.npy"))])
    with pytest.raises(NotFound, match="There is no file"):
        importer.bring_in(100, Path("100.npy"))


def test_logits_must_be_called_so(tmp_path: Path, make_importer) -> None:
    np.save(tmp_path / "0.npy", logits())
    with pytest.raises(BadRequest, match="say --logits if these are logits"):
        make_importer().bring_in(0, tmp_path / "0.npy")
    plane = make_importer(kind="logits").bring_in(0, tmp_path / "0.npy").plane
    np.testing.assert_allclose(plane.probabilities()[1], probabilities(), rtol=1e-5)
