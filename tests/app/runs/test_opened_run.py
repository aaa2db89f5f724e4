"""The handle of a run: what it knows, how it says what it does not, and that adaptors' errors are translated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Layer, RunOptions, Unreadable
from mloscope.app.errors import Conflict, NotFound, NotPossible
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace

CONV = "block/conv1"


def opened(adaptor: Any, **about: Any) -> OpenedRun:
    return Workspace([ConnectedRun("lenet", Path("arrays"), adaptor, **about)]).opened_run("lenet")


def test_it_says_which_steps_and_layers_there_are(array_run: Any) -> None:
    run = opened(array_run(steps=(0, 10, 20)), title="LeNet, fünf")
    assert (run.name, run.title, run.path, run.format) == ("lenet", "LeNet, fünf", Path("arrays"), "arrays")
    assert run.steps == (0, 10, 20)
    assert run.checkpoint(10).name == "10.npz"
    assert run.layer(CONV) is run.layers[1]
    for ask, parts in (
        (lambda: run.checkpoint(5), ("step 5", "0 to 20")),
        (lambda: run.layer("conv9"), ("conv9", CONV)),
    ):
        with pytest.raises(NotFound) as refusal:
            ask()
        assert all(part in str(refusal.value) for part in ("lenet", *parts))


def test_of_many_layers_the_first_are_named(array_run: Any) -> None:
    layers = tuple(Layer(f"layer{number}", "dense", (), (4,)) for number in range(20))
    with pytest.raises(NotFound, match="layer11 and 8 more"):
        opened(array_run(layers=layers)).layer("conv")


def test_fingerprints_come_with_reasons_for_what_has_none(array_run: Any) -> None:
    adaptor = array_run(steps=(0, 10, 20, 30), broken=(10,))
    whole = adaptor.fingerprint

    def fingerprint(checkpoint: Any) -> str:
        if checkpoint.step == 20:
            raise Unreadable("20.npz is locked.")
        if checkpoint.step == 30:
            raise OSError(5, "Input/output error")
        return whole(checkpoint)

    adaptor.fingerprint = fingerprint
    run = opened(adaptor)
    known, missing = run.fingerprints(run.checkpoints)
    assert set(known) == {0}
    assert missing[10] == "The file is cut off."
    assert missing[20] == "20.npz is locked."
    assert "30.npz" in missing[30]
    assert "Input/output error" in missing[30]
    with pytest.raises(NotPossible, match="locked"):
        run.fingerprint(run.checkpoint(20))


def test_arrays_are_those_of_the_file_that_was_asked_for(array_run: Any) -> None:
    adaptor = array_run(steps=(0, 10, 20), broken=(10,), torn=(20,))
    run = opened(adaptor)
    layer, first = run.layer(CONV), run.checkpoint(0)
    np.testing.assert_array_equal(run.read(first, layer)["bias"], adaptor.values(0, CONV, layer.parameters[1]))
    before = run.fingerprint(first)
    adaptor.versions[0] += 1
    with pytest.raises(Conflict, match=r"0\.npz"):
        run.read(first, layer, before)
    assert set(run.read(first, layer)) == {"kernel", "bias"}
    for step, words in ((10, "cut off"), (20, "in the middle")):
        with pytest.raises(NotPossible, match=words):
            run.read(run.checkpoint(step), layer)


def test_the_architecture_follows_layers_and_options_and_nothing_else(array_run: Any) -> None:
    adaptor = array_run()
    digest = opened(adaptor).architecture
    assert opened(adaptor, title="another").architecture == digest
    assert opened(adaptor, options=RunOptions(architecture="model.json")).architecture != digest
    fewer = array_run(layers=array_run().layers()[:3])
    assert opened(fewer).architecture != digest


def test_the_corpus_of_a_run_is_its_own_or_the_first(array_run: Any, array_corpus: Any) -> None:
    corpora = [ConnectedCorpus(name, Path(name), array_corpus()) for name in ("first", "second")]
    runs = [ConnectedRun(name, Path(name), array_run(), corpus=own) for name, own in (("a", None), ("b", "second"))]
    workspace = Workspace(runs, corpora)
    assert workspace.corpus_for(workspace.opened_run("a")).name == "first"
    assert workspace.corpus_for(workspace.opened_run("b")).name == "second"
    assert workspace.corpus_for(workspace.opened_run("b"), "first").name == "first"
    alone = Workspace(runs)
    with pytest.raises(NotPossible, match="No corpus"):
        alone.corpus_for(alone.opened_run("a"))
