"""The store: planes complete or absent, whoever writes and whoever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mloscope.app.errors import BadRequest, Conflict, NotFound
from mloscope.app.statistics import measures
from mloscope.app.statistics.stored.step_statistics import StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore


def made_up(images: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(classes, 0.3), images).astype(np.float32)
    return probabilities, random.integers(0, classes, images)


def write_plane(
    store: StatisticsStore,
    key: str,
    probabilities: np.ndarray,
    actual: np.ndarray,
    slice_images: int = 100,
    **about: object,
) -> StepStatistics:
    images, classes = probabilities.shape
    plane = store.begin(key, {"images": images, "classes": classes, **about}, actual)
    for start in range(0, images, slice_images):
        stop = min(images, start + slice_images)
        plane.write(start, stop, probabilities[start:stop])
    return plane.finish({"seconds": 1.5})


def contents(folder: Path) -> dict[str, bytes]:
    """Of all files but the one that says when it was made."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "about.json"}


def test_a_plane_gives_back_what_was_written(tmp_path: Path) -> None:
    probabilities, actual = made_up(250, 12)
    probabilities[7] = np.nan
    actual[3] = -1
    store = StatisticsStore(tmp_path)
    write_plane(store, "k", probabilities, actual, run="/runs/lenet")
    plane = StatisticsStore(tmp_path).find("k")
    assert plane is not None
    assert (plane.images, plane.classes, plane.form, plane.key) == (250, 12, "full", "k")
    assert (plane.about["run"], plane.about["seconds"]) == ("/runs/lenet", 1.5)
    expected = measures.measure_images(probabilities, actual)
    for name in ("predicted", "confidence", "true_probability", "loss", "margin", "in_top_5"):
        np.testing.assert_array_equal(getattr(plane, name), getattr(expected, name), name)
    np.testing.assert_array_equal(plane.actual, actual)
    classes, found = plane.probabilities()
    assert classes is None
    np.testing.assert_array_equal(found, probabilities)
    np.testing.assert_array_equal(plane.probabilities([3, 7])[1], probabilities[[3, 7]])
    assert plane.rates == {name: value for name, value in plane.summary.items() if not isinstance(value, list)}
    assert plane.summary["not_predicted"] == 1
    with pytest.raises(AttributeError):
        plane.nothing  # noqa: B018


def test_the_count_of_every_cell_is_the_number_of_its_images(tmp_path: Path) -> None:
    probabilities, actual = made_up(400, 6)
    probabilities[::9] = np.nan
    plane = write_plane(StatisticsStore(tmp_path), "k", probabilities, actual)
    counts = measures.dense(np.asarray(plane.cells), 6)
    assert counts.sum() == 400
    for a in range(6):
        for p in range(7):
            positions = plane.cell(a, p)
            assert len(positions) == counts[a, p]
            assert (plane.actual[positions] == a).all()
            assert (plane.predicted[positions] == (p if p < 6 else -1)).all()
            assert (np.diff(positions) > 0).all()
    for a, p in ((6, 0), (-1, 0), (0, 7), (0, -1)):
        with pytest.raises(NotFound, match="no cell"):
            plane.cell(a, p)


def test_many_classes_are_kept_as_the_top_20(tmp_path: Path) -> None:
    probabilities, actual = made_up(60, 300)
    plane = write_plane(StatisticsStore(tmp_path), "k", probabilities, actual, form="top-20")
    classes, found = plane.probabilities()
    assert classes is not None
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :20]
    np.testing.assert_array_equal(classes, ranked)
    np.testing.assert_array_equal(found, np.take_along_axis(probabilities, ranked, axis=1).astype(np.float16))
    np.testing.assert_array_equal(plane.true_probability, probabilities[np.arange(60), actual])
    row = plane.row(5, ("predicted", "top_classes", "top_probabilities", "true_probability"))
    assert [part.tolist() for part in row] == [
        ranked[5, 0], ranked[5].tolist(), found[5].tolist(), float(probabilities[5, actual[5]])
    ]  # fmt: skip


def test_the_form_is_chosen_by_size(tmp_path: Path) -> None:
    store = StatisticsStore(tmp_path)
    assert store.begin("a", {"images": 10_000, "classes": 1000}).form == "full"
    assert store.begin("a", {"images": 10_001, "classes": 1000}).form == "top-20"
    assert store.begin("a", {"images": 10_001, "classes": 1000, "form": "full"}).form == "full"
    with pytest.raises(BadRequest, match="full"):
        store.begin("a", {"images": 1, "classes": 1, "form": "half"})


def test_imagenets_training_images_at_50_checkpoints_need_less_than_8_gb(tmp_path: Path) -> None:
    def size(images: int) -> int:
        probabilities, actual = made_up(images, 1000, seed=images)
        plane = write_plane(StatisticsStore(tmp_path), f"{images}", probabilities, actual, form="top-20")
        cells = (plane.folder / "cells.npy").stat().st_size
        return sum(path.stat().st_size for path in plane.folder.iterdir()) - cells

    images_a, images_b = 200, 1200
    bytes_an_image = (size(images_b) - size(images_a)) / (images_b - images_a)
    clusters_and_map = 2 + 4 + 4 + 4  # assignment, distance, order, two coordinates: see cluster_store
    cells = 24 * 200_000  # a fifth of all there can be; a trained network has far fewer
    assert bytes_an_image < 106
    assert 50 * (1_281_167 * (bytes_an_image + clusters_and_map) + cells) < 8e9


def test_how_it_is_sliced_does_not_matter(tmp_path: Path) -> None:
    probabilities, actual = made_up(250, 12)
    store = StatisticsStore(tmp_path)
    planes = [write_plane(store, f"{n}", probabilities, actual, n) for n in (250, 100, 7)]
    assert contents(planes[0].folder) == contents(planes[1].folder) == contents(planes[2].folder)
    overlapping = store.begin("overlapping", {"images": 250, "classes": 12}, actual)
    for start, stop in ((0, 120), (60, 130), (100, 110), (128, 250)):
        overlapping.write(start, stop, probabilities[start:stop])
    assert contents(overlapping.finish().folder) == contents(planes[0].folder)


def test_what_another_process_measured_is_not_measured_again(tmp_path: Path) -> None:
    probabilities, actual = made_up(100, 3)
    slices = [(0, 40), (40, 80), (80, 100)]
    first = StatisticsStore(tmp_path).begin("k", {"images": 100, "classes": 3}, actual)
    assert first.missing(slices) == slices
    first.write(40, 80, probabilities[40:80])
    store = StatisticsStore(tmp_path)
    assert store.covered("k") == 40
    assert store.find("k") is None
    second = store.begin("k", {"images": 100, "classes": 3}, actual)
    assert second.missing(slices) == [(0, 40), (80, 100)]
    assert second.missing([(0, 41), (50, 60)]) == [(0, 41)]
    with pytest.raises(Conflict, match="Only 40 of 100"):
        second.finish()
    second.write(0, 40, probabilities[:40])
    second.write(80, 100, probabilities[80:])
    plane = second.finish()
    assert first.missing(slices) == []
    assert first.finish().key == plane.key
    assert store.covered("k") == 0
    assert not (store.folder / "unfinished" / "k").exists()
    first.write(0, 40, probabilities[:40])  # it came late; nothing is harmed
    assert contents(first.finish().folder) == contents(plane.folder)


def test_a_damaged_slice_is_measured_again(tmp_path: Path) -> None:
    probabilities, actual = made_up(100, 3)
    plane = StatisticsStore(tmp_path).begin("k", {"images": 100, "classes": 3}, actual)
    plane.write(0, 50, probabilities[:50])
    plane.write(50, 100, probabilities[50:])
    path = tmp_path / "statistics/unfinished/k/slice-50-100.npz"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(Conflict, match=r"slice-50-100\.npz were damaged"):
        plane.finish()
    assert plane.missing([(0, 50), (50, 100)]) == [(50, 100)]
    plane.write(50, 100, probabilities[50:])
    np.testing.assert_array_equal(plane.finish().probabilities()[1], probabilities)


def test_labels_that_are_no_class_of_the_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match=r"Image 1 has the class 10, but the network has 10 outputs, 0 to 9"):
        StatisticsStore(tmp_path).begin("k", {"images": 2, "classes": 10}, np.array([3, 10]))


@pytest.mark.parametrize("name", ["predicted.npy", "cells.npy", "probabilities.npy", "about.json", "summary.json"])
def test_a_torn_plane_is_absent_and_can_be_made_again(tmp_path: Path, name: str) -> None:
    probabilities, actual = made_up(100, 3)
    folder = write_plane(StatisticsStore(tmp_path), "k", probabilities, actual).folder
    whole = contents(folder)
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    store = StatisticsStore(tmp_path)
    assert store.find("k") is None
    assert contents(write_plane(store, "k", probabilities, actual).folder) == whole
    assert store.find("k") is not None
    assert not list((store.folder / "planes").glob("*.tmp"))


def test_a_plane_removed_while_it_is_read_is_a_sentence(tmp_path: Path) -> None:
    probabilities, actual = made_up(10, 3)
    store = StatisticsStore(tmp_path)
    plane = write_plane(store, "k", probabilities, actual)
    store.remove("planes", "k")
    assert store.find("k") is None
    for read in (lambda: plane.predicted, lambda: plane.summary, lambda: plane.row(0, ("margin",))):
        with pytest.raises(NotFound, match="were removed"):
            read()


WRITER = """
import sys, numpy as np
sys.path.insert(0, {tests!r})
from test_store import made_up
from mloscope.app.statistics.stored.store import StatisticsStore
probabilities, actual = made_up(2000, 50)
store = StatisticsStore({folder!r})
for number in range({planes}):
    plane = store.begin(f"plane{{number}}", {{"images": 2000, "classes": 50}}, actual)
    print(number, flush=True)
    for start, stop in plane.missing([(s, s + 100) for s in range(0, 2000, 100)]):
        plane.write(start, stop, probabilities[start:stop])
    plane.finish()
print("done", flush=True)
"""


def writer(folder: Path, planes: int) -> subprocess.Popen[str]:
    code = WRITER.format(tests=str(Path(__file__).parent), folder=str(folder), planes=planes)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_two_processes_write_the_same_planes_at_once(tmp_path: Path) -> None:
    processes = [writer(tmp_path / "shared", 6) for _ in range(2)]
    store = StatisticsStore(tmp_path / "shared")
    while any(process.poll() is None for process in processes):  # read while they write
        for number in range(6):
            plane = store.find(f"plane{number}")
            if plane is not None:
                assert plane.cells[:, 2].sum() == 2000
        time.sleep(0.01)
    for process in processes:
        assert process.communicate()[0].endswith("done\n")
        assert process.returncode == 0
    expected = contents(write_plane(StatisticsStore(tmp_path / "alone"), "k", *made_up(2000, 50)).folder)
    for number in range(6):
        assert contents(store.folder / "planes" / f"plane{number}") == expected
    assert not list(store.folder.glob("*/*.tmp"))
    assert not list((store.folder / "unfinished").iterdir())


def test_a_killed_process_leaves_nothing_half(tmp_path: Path) -> None:
    for delay in (0.0, 0.01, 0.03):
        process = writer(tmp_path, 200)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        store = StatisticsStore(tmp_path)
        for number in range(200):
            plane = store.find(f"plane{number}")
            if plane is not None:
                assert plane.cells[:, 2].sum() == 2000
    probabilities, actual = made_up(2000, 50)
    expected = contents(write_plane(StatisticsStore(tmp_path / "alone"), "k", probabilities, actual).folder)
    for number in range(3):
        resumed = store.begin(f"plane{number}", {"images": 2000, "classes": 50}, actual)
        for start, stop in resumed.missing([(s, s + 100) for s in range(0, 2000, 100)]):
            resumed.write(start, stop, probabilities[start:stop])
        assert contents(resumed.finish().folder) == expected


def test_what_killed_processes_left_is_swept_after_a_day(tmp_path: Path) -> None:
    store = StatisticsStore(tmp_path)
    old, young = store.folder / "planes" / "a.1.b.tmp", store.folder / "planes" / "c.1.d.tmp"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "actual.npy").write_bytes(b"x")
    os.utime(old, (1, 1))
    store.begin("k", {"images": 1, "classes": 2})
    assert not old.exists()
    assert young.exists()


def test_imports_are_noted_by_step(tmp_path: Path) -> None:
    store = StatisticsStore(tmp_path)
    assert store.imports("series") == {}
    probabilities, actual = made_up(10, 3)
    write_plane(store, "k", probabilities, actual)
    store.record_import("series", 200, "k", {"label": "epoch 2"})
    store.record_import("series", 20, "k")
    store.record_import("series", 30, "gone")
    (store.folder / "imports" / "series" / "5.json").write_text("[")
    (store.folder / "imports" / "series" / "notes.txt").write_text("")
    assert store.imports("series") == {20: {"plane": "k"}, 200: {"label": "epoch 2", "plane": "k"}}


def test_a_store_of_nothing_is_empty() -> None:
    store = StatisticsStore(None)
    assert store.find("k") is None
    assert store.imports("series") == {}
    assert store.covered("k") == 0


def test_about_is_plain_json(tmp_path: Path) -> None:
    plane = write_plane(StatisticsStore(tmp_path), "k", *made_up(10, 3), number=np.int64(3), path=Path("x"))
    about = json.loads((plane.folder / "about.json").read_text())
    assert (about["number"], about["path"]) == (3, "x")
    assert about["bytes"].keys() == contents(plane.folder).keys()
