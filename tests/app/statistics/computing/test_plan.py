"""What there is to compute: slices, keys and labels, before anything is evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_up_source import MadeUpSource, labels

from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.errors import NotFound, NotPossible
from mloscope.app.statistics.computing.plan import Job, default_split, plan
from mloscope.app.statistics.identity import Identity
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace


@pytest.mark.parametrize(
    ("images", "input_bytes", "classes", "batch", "size"),
    [
        (10_000, 12_288, 10, 250, 2500),
        (1_000, 3_136, 10, 250, 1000),
        (50_000, 602_112, 1000, 8, 104),
        (1_281_167, 12_288, 1000, 250, 2500),
        (100, 100 << 20, 10, 8, 8),
        (2_501, 12_288, 10, 250, 2500),
    ],
)
def test_slices_fit_into_memory_and_cover_all(images, input_bytes, classes, batch, size) -> None:
    job = Job(MadeUpSource(images, ""), labels(images), (), input_bytes, batch=batch)
    slices = job.slices(classes)
    assert slices[0] == (0, min(size, images))
    assert [stop for _, stop in slices[:-1]] == [start for start, _ in slices[1:]]
    assert slices[-1][1] == images


def workspace_of(run: Any, corpus: Any, options: RunOptions = RunOptions()) -> Workspace:  # noqa: B008 - frozen
    return Workspace(
        [ConnectedRun("run", Path("some/run"), run, options)], [ConnectedCorpus("corpus", Path("some/corpus"), corpus)]
    )


def test_a_plan_names_what_is_broken_and_what_is_asked_for(array_run, array_corpus) -> None:
    workspace = workspace_of(array_run(steps=(0, 10, 20), broken=(10,)), array_corpus())
    job = plan(workspace, "run", "corpus", "test")
    assert [step.step for step in job.steps] == [0, 20]
    assert job.problems == {10: "The file is cut off."}
    assert (job.images, job.batch, job.input_bytes) == (20, 250, 4 * 6 * 6 * 3)
    assert job.source.run.path == str(Path("some/run").absolute())
    assert job.source.split == "test"
    identity = Identity(workspace)
    checkpoint = workspace.run("run").adaptor.checkpoints()[2]
    assert job.steps[1].key == identity.step("run", checkpoint, "corpus", "test")
    assert job.steps[1].fingerprint == "14v0"
    assert job.steps[1].about["checkpoint"] == "20.npz"
    assert [step.step for step in plan(workspace, "run", "corpus", "training", steps=[20, 20]).steps] == [20]
    with pytest.raises(NotFound, match="no checkpoint of step 7; its steps go from 0 to 20"):
        plan(workspace, "run", "corpus", "test", steps=[7])
    with pytest.raises(NotFound, match='no split "validation"; it has: training, test'):
        plan(workspace, "run", "corpus", "validation")


def test_keys_follow_content(array_run, array_corpus) -> None:
    run, corpus = array_run(steps=(0, 10)), array_corpus()

    def keys(options: RunOptions = RunOptions(), split: str = "test") -> list[str]:  # noqa: B008 - frozen
        return [step.key for step in plan(workspace_of(run, corpus, options), "run", "corpus", split).steps]

    first = keys()
    assert keys() == first
    assert set(keys(split="training")).isdisjoint(first)
    assert set(keys(RunOptions(preprocessing=Preprocessing(0.5)))).isdisjoint(first)
    run.versions[10] += 1
    assert keys()[0] == first[0]
    assert keys()[1] != first[1]


def test_a_run_without_a_network_is_told_of_imports(array_run, array_corpus) -> None:
    class WeightsOnly:
        def __init__(self, run: Any) -> None:
            self._run = run

        def __getattr__(self, name: str) -> Any:
            if name in ("backend", "weights"):
                raise AttributeError(name)
            return getattr(self._run, name)

    with pytest.raises(NotPossible, match="mloscope statistics import"):
        plan(workspace_of(WeightsOnly(array_run()), array_corpus()), "run", "corpus", "test")


def test_the_split_to_take_is_test_else_the_last_with_images() -> None:
    assert default_split({"training": range(5), "test": range(5, 9), "more": range(9, 10)}) == "test"
    assert default_split({"training": range(5), "val": range(5, 9), "empty": range(9, 9)}) == "val"
    with pytest.raises(NotPossible, match="no images"):
        default_split({"training": range(0)})
