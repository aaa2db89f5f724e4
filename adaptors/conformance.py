"""The tests that every adaptor passes, ours and strangers'. Subclass, give the fixtures, and run pytest.

    class TestMyRun(RunConformance):
        adaptor = MyRun

        @pytest.fixture
        def path(self, tmp_path):          # a run of yours: at least one layer with parameters
            return write_my_run(tmp_path)

:class:`CorpusConformance` wants the same for a corpus. The fixtures ``path`` may be shared between tests: the
suite writes nothing there, and changes files only in copies.

Needs pytest, which an adaptor's users do not.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from mloscope.adaptors.interface import (
    LAYER_KINDS,
    NOT_FACETS,
    AdaptorError,
    Checkpoint,
    CorpusAdaptor,
    DeclaresOutputs,
    EvaluableRun,
    HasFacets,
    HasPixelBlocks,
    Layer,
    NothingFits,
    Preprocessing,
    RunAdaptor,
    RunOptions,
    Unknown,
    Unreadable,
)

HEAVY = ("tensorflow", "keras", "torch", "jax", "onnxruntime", "cv2", "matplotlib")
AXES = {"row", "column", "channel", "unit", "multiplier", "depth"}
_IMPORT = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps(list(sys.modules)))"


@functools.cache
def _loaded_with(module: str) -> frozenset[str]:
    """What an interpreter of its own has loaded after importing the module; asked once for all suites of an adaptor."""
    answer = subprocess.run([sys.executable, "-c", _IMPORT, module], capture_output=True, text=True, check=True)
    return frozenset(json.loads(answer.stdout.splitlines()[-1]))


class _Shared:
    """What holds for run and corpus adaptors alike."""

    adaptor: ClassVar[Any]
    _kept: ClassVar[tuple[Path, Any]]

    @pytest.fixture
    def path(self) -> Path:
        """A file or folder that the adaptor reads."""
        raise NotImplementedError("Give the conformance suite a fixture `path` with files of your format.")

    def open(self, path: Path) -> Any:
        return self.adaptor.open(path)

    def _opened_once(self, path: Path) -> Any:
        """One for all tests of a class that are given the same path."""
        kept = vars(type(self)).get("_kept")
        if kept is None or kept[0] != path:
            kept = type(self)._kept = path, self.open(path)
        return kept[1]

    def test_says_what_it_reads(self) -> None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.adaptor.format), "format is what --format takes"
        assert self.adaptor.description

    def test_takes_its_own_path(self, path: Path) -> None:
        assert self.adaptor.can_open(path) is True

    def test_leaves_unrelated_paths_alone(self, tmp_path: Path) -> None:
        empty = tmp_path / "empty"
        empty.mkdir()
        notes = tmp_path / "notes"
        notes.mkdir()
        (notes / "notes.txt").write_text("epoch 3: better\n")
        (notes / "table.csv").write_text("step,loss\n1,2.5\n")
        blank = tmp_path / "blank"
        blank.write_bytes(b"")
        for unrelated in (empty, notes, notes / "notes.txt", blank, tmp_path / "absent"):
            assert self.adaptor.can_open(unrelated) is False, unrelated

    def test_importing_it_stays_light(self) -> None:
        assert not set(HEAVY) & _loaded_with(self.adaptor.__module__)


class RunConformance(_Shared):
    """The promises of :class:`mloscope.adaptors.interface.RunAdaptor` and ``EvaluableRun``."""

    options: ClassVar[RunOptions] = RunOptions()

    def open(self, path: Path) -> Any:
        return self.adaptor.open(path, self.options)

    @pytest.fixture
    def run(self, path: Path) -> Any:
        return self._opened_once(path)

    def test_is_a_run(self, run: Any) -> None:
        assert isinstance(run, RunAdaptor)
        assert run.preprocessing is None or isinstance(run.preprocessing, Preprocessing)
        shape = run.input_shape
        assert shape is None or (len(shape) == 3 and isinstance(shape[2], int))
        assert isinstance(run.class_names, tuple)
        assert all(isinstance(name, str) for name in run.class_names)
        assert all(isinstance(problem, str) and problem for problem in run.problems())

    def test_checkpoints_are_sorted_and_unique(self, run: Any) -> None:
        checkpoints = run.checkpoints()
        assert isinstance(checkpoints, tuple)
        assert checkpoints
        steps = [checkpoint.step for checkpoint in checkpoints]
        assert all(type(step) is int for step in steps)
        assert steps == sorted(set(steps))
        assert len({checkpoint.name for checkpoint in checkpoints}) == len(checkpoints)
        assert not any("\\" in checkpoint.name or checkpoint.name.startswith("/") for checkpoint in checkpoints)
        assert run.checkpoints() == checkpoints

    def test_layers_are_in_topological_order(self, run: Any) -> None:
        layers = run.layers()
        assert isinstance(layers, tuple)
        assert layers
        before: set[str] = set()
        for layer in layers:
            assert layer.name
            assert layer.name not in before, f"two layers are called {layer.name}"
            assert set(layer.inputs) <= before, f"{layer.name} takes what is not there or comes later"
            before.add(layer.name)

    def test_declared_outputs_are_layers(self, run: Any) -> None:
        if isinstance(run, DeclaresOutputs):
            outputs = run.outputs()
            assert isinstance(outputs, tuple)
            assert len(set(outputs)) == len(outputs)
            assert set(outputs) <= {layer.name for layer in run.layers()}

    def test_layers_describe_themselves(self, run: Any) -> None:
        for layer in run.layers():
            assert layer.kind in LAYER_KINDS or re.fullmatch(r"[a-z0-9 ]*", layer.kind), layer.kind
            json.dumps(dict(layer.hyperparameters))
            assert all(size is None or size > 0 for size in layer.output_shape or ()), layer.name
            assert not layer.sights or len(layer.sights) == len(layer.inputs), layer.name

    def test_parameters_are_what_was_declared(self, run: Any) -> None:
        assert any(layer.parameters for layer in run.layers()), "give the suite a run with parameters"
        for checkpoint in _readable(run):
            for layer in run.layers():
                self._check_parameters(run, checkpoint, layer)

    def _check_parameters(self, run: Any, checkpoint: Checkpoint, layer: Layer) -> None:
        arrays = run.parameters(checkpoint, layer)
        assert list(arrays) == [parameter.name for parameter in layer.parameters]
        for parameter in layer.parameters:
            array = arrays[parameter.name]
            assert array.shape == parameter.shape
            assert array.dtype.kind in "fiub", f"{layer.name}/{parameter.name} is {array.dtype}"
            assert len(parameter.axes) == array.ndim
            assert len(set(parameter.axes)) == array.ndim
            assert array.ndim > 5 or set(parameter.axes) <= AXES
        counted = [arrays[parameter.name] for parameter in layer.parameters if not parameter.slot]
        assert layer.parameter_count == sum(array.size for array in counted)

    def test_reading_twice_gives_the_same(self, run: Any, path: Path) -> None:
        checkpoint = _readable(run)[-1]
        again = self.open(path)
        for layer in run.layers():
            first, second = run.parameters(checkpoint, layer), run.parameters(checkpoint, layer)
            fresh = again.parameters(checkpoint, layer)
            for name, array in first.items():
                assert _identical(array, second[name])
                assert _identical(array, fresh[name])

    def test_fingerprints_follow_the_files(self, run: Any, path: Path, tmp_path: Path) -> None:
        checkpoints = _readable(run)
        prints = {checkpoint.name: run.fingerprint(checkpoint) for checkpoint in checkpoints}
        assert len(set(prints.values())) == len(prints), "two checkpoints share a fingerprint"
        assert all(re.fullmatch(r"[0-9a-f]{16,}", value) for value in prints.values())
        assert prints == {checkpoint.name: self.open(path).fingerprint(checkpoint) for checkpoint in checkpoints}
        copy = tmp_path / "copy" / path.name
        copy.parent.mkdir()
        shutil.copytree(path, copy) if path.is_dir() else shutil.copy2(path, copy)
        copied = self.open(copy)
        checkpoint = copied.checkpoints()[0]
        before = copied.fingerprint(checkpoint)
        file = (copy if copy.is_dir() else copy.parent) / checkpoint.name
        file.chmod(0o644)
        file.write_bytes(file.read_bytes() + b"\0")
        assert copied.fingerprint(checkpoint) != before

    def test_unknown_things_are_called_unknown(self, run: Any) -> None:
        checkpoint, layer = _readable(run)[0], run.layers()[0]
        strange_layer = dataclasses.replace(layer, name="no layer has this name")
        strange_checkpoint = Checkpoint(step=10**12, name="no checkpoint has this name")
        with pytest.raises(Unknown, match="no layer has this name"):
            run.parameters(checkpoint, strange_layer)
        with pytest.raises(Unknown, match="no checkpoint has this name"):
            run.parameters(strange_checkpoint, layer)
        with pytest.raises(Unknown, match="no checkpoint has this name"):
            run.fingerprint(strange_checkpoint)

    def test_broken_checkpoints_say_so(self, run: Any) -> None:
        layer = next(layer for layer in run.layers() if layer.parameters)
        for checkpoint in run.checkpoints():
            if checkpoint.problem:
                with pytest.raises(AdaptorError):
                    run.parameters(checkpoint, layer)

    def test_threads_do_not_disturb_each_other(self, run: Any) -> None:
        checkpoints = _readable(run)[:4]
        layers = [layer for layer in run.layers() if layer.parameters][:8]
        wanted = [(checkpoint, layer) for checkpoint in checkpoints for layer in layers] * 3
        alone = {
            (checkpoint.name, layer.name): run.parameters(checkpoint, layer)
            for checkpoint, layer in wanted[: len(checkpoints) * len(layers)]
        }
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(lambda pair: run.parameters(*pair), wanted))
        for (checkpoint, layer), arrays in zip(wanted, together, strict=True):
            for name, array in arrays.items():
                assert _identical(array, alone[checkpoint.name, layer.name][name])

    def test_weights_cover_every_layer(self, run: Any) -> None:
        if not isinstance(run, EvaluableRun):
            pytest.skip("this adaptor does not evaluate networks")
        checkpoint = _readable(run)[0]
        weights = run.weights(checkpoint)
        declared = {
            f"{layer.name}/{parameter.name}": parameter.shape
            for layer in run.layers()
            for parameter in layer.parameters
            if not parameter.slot  # what an optimizer remembers is no weight of the network
        }
        assert {key: array.shape for key, array in weights.items()} == declared
        for layer in run.layers():
            for name, array in run.parameters(checkpoint, layer).items():
                if f"{layer.name}/{name}" in declared:
                    assert _identical(array, weights[f"{layer.name}/{name}"])


class CorpusConformance(_Shared):
    """The promises of :class:`mloscope.adaptors.interface.CorpusAdaptor`."""

    @pytest.fixture
    def corpus(self, path: Path) -> Any:
        return self._opened_once(path)

    def test_is_a_corpus(self, corpus: Any) -> None:
        assert isinstance(corpus, CorpusAdaptor)
        assert len(corpus) > 0
        assert isinstance(corpus.class_names, tuple)
        assert all(isinstance(name, str) for name in corpus.class_names)
        assert all(isinstance(problem, str) and problem for problem in corpus.problems())

    def test_labels_point_at_classes(self, corpus: Any) -> None:
        labels = corpus.labels
        assert labels.dtype == np.int32
        assert labels.shape == (len(corpus),)
        assert not labels.flags.writeable
        assert labels.min() >= -1
        assert labels.max() < len(corpus.class_names) or not corpus.class_names

    def test_splits_divide_the_positions(self, corpus: Any) -> None:
        end = 0
        for places in corpus.splits.values():
            assert places.start == end
            assert places.step == 1
            end = places.stop
        assert end == len(corpus)

    def test_records_agree_with_everything_else(self, corpus: Any) -> None:
        names = corpus.names()
        assert len(names) == len(corpus)
        for position in _some(corpus):
            record = corpus.record(position)
            assert record.name == names[position]
            assert record.label == (None if corpus.labels[position] < 0 else corpus.labels[position])
            assert position in corpus.splits[record.split]
            json.dumps(dict(record.metadata))

    def test_ids_lead_back(self, corpus: Any, path: Path) -> None:
        again = self.adaptor.open(path)
        seen = set()
        for position in _some(corpus):
            image_id = corpus.record(position).id
            assert re.fullmatch(r"[A-Za-z0-9\-_.~]+", image_id), image_id
            assert image_id not in seen
            seen.add(image_id)
            assert corpus.position(image_id) == position
            assert again.record(position).id == image_id, "ids must survive a restart"

    def test_unknown_images_are_called_unknown(self, corpus: Any) -> None:
        known = corpus.record(0).id
        for image_id in (
            "",
            "no-such-image",
            "..",
            "~",
            "test-999999999",
            "test-" + "9" * 5000,
            known + "0000000",
            known + "~",
            "-1",
            "٣",
        ):
            with pytest.raises(Unknown):
                corpus.position(image_id)
        for position in (len(corpus), -1):
            with pytest.raises(Unknown):
                corpus.record(position)
            with pytest.raises(Unknown):
                corpus.pixels(position)

    def test_pixels_are_pictures(self, corpus: Any) -> None:
        for position in _some(corpus):
            pixels = corpus.pixels(position)
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] in (1, 3)
            assert corpus.image_shape in (None, pixels.shape)
            assert np.array_equal(pixels, corpus.pixels(position))

    def test_blocks_are_the_single_pictures(self, corpus: Any) -> None:
        if not isinstance(corpus, HasPixelBlocks):
            pytest.skip("this corpus gives no blocks of pixels")
        for position in _some(corpus):
            positions = range(max(0, position - 2), min(len(corpus), position + 3))
            block = corpus.pixel_block(positions)
            single = [corpus.pixels(each) for each in positions]
            if block is None:
                assert len({pixels.shape for pixels in single}) > 1
            else:
                assert block.dtype == np.uint8
                assert np.array_equal(block, np.stack(single))

    def test_facets_have_one_value_per_image(self, corpus: Any) -> None:
        if not isinstance(corpus, HasFacets):
            pytest.skip("this corpus has no facets of its own")
        facets = list(corpus.facets())
        names = [facet.name for facet in facets]
        assert len({*names, "label", "split", *NOT_FACETS}) == len(names) + 2 + len(NOT_FACETS)
        for facet in facets:
            assert re.fullmatch(r"[a-z0-9-]+", facet.name), facet.name
            assert facet.title
            assert all(facet.values)
            assert len(set(facet.values)) == len(facet.values)
            assert facet.of_images.dtype == np.int32
            assert facet.of_images.shape == (len(corpus),)
            assert facet.of_images.min() >= -1
            assert facet.of_images.max() < len(facet.values)

    def test_threads_do_not_disturb_each_other(self, corpus: Any) -> None:
        positions = _some(corpus)
        alone = [corpus.pixels(position) for position in positions]
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(corpus.pixels, positions))
        assert all(np.array_equal(*pair) for pair in zip(alone, together, strict=True))

    def test_an_empty_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises((Unreadable, NothingFits)):
            self.adaptor.open(tmp_path)


def _readable(run: Any) -> list[Checkpoint]:
    found = [checkpoint for checkpoint in run.checkpoints() if checkpoint.problem is None]
    assert found, "give the suite a run with a readable checkpoint"
    return found


def _some(corpus: Any) -> list[int]:
    """Positions at both ends of every split and in its middle."""
    chosen = set()
    for places in corpus.splits.values():
        if len(places):
            chosen |= {places[0], places[len(places) // 2], places[-1], *places[:20]}
    return sorted(chosen)


def _identical(first: np.ndarray, second: np.ndarray) -> bool:
    """Equal to the bit, NaN included."""
    return first.shape == second.shape and first.dtype == second.dtype and first.tobytes() == second.tobytes()
