"""The workspace: files that name runs, what is connected, images searched and made into a network's input."""

from __future__ import annotations

import io
import pickle
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mloscope.adaptors import registry
from mloscope.adaptors.interface import HasPixelBlocks, ImageRecord, Preprocessing, RunOptions, Unreadable
from mloscope.app.errors import BadRequest, MloscopeError, NotFound, NotPossible
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.entries import CorpusEntry, RunEntry, make_preprocessing
from mloscope.app.workspace.names import url_safe
from mloscope.app.workspace.workspace import Workspace

# ----------------------------------------------------------------------------------------------- connecting


def test_names_come_from_folders_and_are_unique_and_safe(array_run: Any, array_corpus: Any, tmp_path: Path) -> None:
    archive = tmp_path / "digits.npz"
    archive.touch()
    workspace = Workspace.connect(
        [
            RunEntry(Path("a/Größe 7!")),
            RunEntry(Path("b/Größe 7!")),
            RunEntry(Path("x"), name="Groe-7-2"),
            RunEntry(Path("c/Große 7")),
        ],
        [CorpusEntry(archive)],
        open_run=lambda *_: array_run(),
        open_corpus=lambda *_: array_corpus(),
    )
    names = [run.name for run in workspace.runs]
    assert len(set(names)) == 4
    assert names[2] == "Groe-7-2"
    assert all(name == url_safe(name) for name in names)
    assert [run.title for run in workspace.runs] == ["a/Größe 7!", "b/Größe 7!", "", "Große 7"]
    assert workspace.corpora[0].name == "digits"


def test_what_cannot_be_opened_stays_with_its_problem(array_run: Any, array_corpus: Any) -> None:
    def open_run(path: Path, options: RunOptions, format: str | None) -> Any:
        if path.name == "bad":
            raise Unreadable("bad is torn.")
        return array_run()

    def open_corpus(path: Path, format: str | None) -> Any:
        if path.name == "bad":
            raise Unreadable("bad is torn too.")
        return array_corpus()

    workspace = Workspace.connect(
        [RunEntry(Path("bad"), format="keras"), RunEntry(Path("good"))],
        [CorpusEntry(Path("bad")), CorpusEntry(Path("good"))],
        open_run=open_run,
        open_corpus=open_corpus,
    )
    assert [(run.name, run.problem, run.format) for run in workspace.runs] == [
        ("bad", "bad is torn.", "keras"),
        ("good", None, "arrays"),
    ]
    with pytest.raises(NotPossible, match='"bad" could not be opened: bad is torn'):
        workspace.opened_run("bad")
    with pytest.raises(NotPossible, match='"bad" could not be opened: bad is torn too'):
        workspace.search("bad")
    with pytest.raises(NotFound, match="connected: bad, good"):
        workspace.run("lenet")
    assert workspace.corpus_of("good") == "good"


def test_a_run_has_its_own_corpus_or_the_first(array_run: Any, array_corpus: Any) -> None:
    corpora = [ConnectedCorpus(name, Path(name), array_corpus()) for name in ("one", "two")]
    runs = [
        ConnectedRun("plain", Path("p"), array_run()),
        ConnectedRun("own", Path("o"), array_run(), corpus="two"),
    ]
    workspace = Workspace(runs, corpora)
    assert workspace.corpus_of("plain") == "one"
    assert workspace.corpus_of("own") == "two"
    assert workspace.class_names("plain")[:2] == ("Bird", "cat")
    assert Workspace(runs).corpus_of("plain") is None
    assert Workspace(runs).class_names("plain") == array_run.class_names


# ------------------------------------------------------------------------------------------------ searching


@pytest.fixture
def images(array_corpus: Any) -> Workspace:
    return Workspace([], [ConnectedCorpus("noise", Path("noise"), array_corpus())])


def test_every_word_must_match_name_id_or_class(images: Workspace) -> None:
    assert images.search("noise", "TEST 1").positions == (41, *range(50, 60))
    assert images.search("noise", "test-1").total == 11
    assert images.search("noise", "training bird 3").positions == (30, 32, 34, 36, 38)
    assert images.search("noise", "dog").total == 0
    assert images.search("noise", "bird " * 1000).total == images.search("noise", "bird").total
    with pytest.raises(BadRequest, match="40 words; 32 are the most"):
        images.search("noise", " ".join(map(str, range(40))))


def test_label_split_and_pages(images: Workspace) -> None:
    found = images.search("noise", split="test", label="cat", offset=2, limit=3)
    assert (found.positions, found.total) == ((45, 47, 49), 10)
    assert images.search("noise", label=1) == images.search("noise", label="1") == images.search("noise", label="cat")
    with pytest.raises(NotFound, match='no split "validation"; it has: training, test'):
        images.search("noise", split="validation")
    with pytest.raises(NotFound, match='no class "dog"; it has: Bird, cat'):
        images.search("noise", label="dog")
    for number in (2, "2", "9" * 5000):
        with pytest.raises(NotFound, match="no class"):
            images.search("noise", label=number)


def test_random_is_the_same_for_a_seed_and_pages_meet(images: Workspace) -> None:
    whole = images.search("noise", seed=7, limit=60).positions
    assert sorted(whole) == list(range(60))
    assert whole != tuple(range(60))
    pages = [images.search("noise", seed=7, offset=offset, limit=25).positions for offset in (0, 25, 50)]
    assert sum(pages, ()) == whole
    assert images.search("noise", seed=8, limit=60).positions != whole
    assert images.search("noise", seed=-3, limit=60).total == 60


class ManyImages:
    """60,000 names and nothing else."""

    format = "names"
    class_names = tuple(f"class {number}" for number in range(100))
    splits = MappingProxyType({"training": range(60_000)})
    labels = np.arange(60_000) % 100

    def __len__(self) -> int:
        return 60_000

    def names(self) -> list[str]:
        return [f"IMG_{number:05}.JPEG" for number in range(60_000)]

    def record(self, position: int) -> ImageRecord:
        return ImageRecord(f"training-{position}", f"IMG_{position:05}.JPEG", position % 100, "training")


def test_60_000_images_are_searched_without_lag() -> None:
    workspace = Workspace([], [ConnectedCorpus("many", Path("many"), ManyImages())])  # type: ignore[arg-type]
    assert workspace.search("many", "img_00042").positions == (42,)
    began = time.process_time()
    for _ in range(5):
        assert workspace.search("many", "class jpeg 99", seed=1).total > 600
    assert (time.process_time() - began) / 5 < 0.1  # 0.01 s where this was written


# ----------------------------------------------------------------------------------------------- thumbnails


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_thumbnails_are_the_pixels_or_smaller_never_larger(array_corpus: Any) -> None:
    corpus = array_corpus((40, 20, 3))
    workspace = Workspace([], [ConnectedCorpus("noise", Path("noise"), corpus)])
    np.testing.assert_array_equal(opened(workspace.thumbnail("noise", 3)), corpus.pixels(3))
    np.testing.assert_array_equal(opened(workspace.thumbnail("noise", 3, 64)), corpus.pixels(3))
    assert opened(workspace.thumbnail("noise", 3, 10)).shape == (10, 5, 3)
    with pytest.raises(BadRequest, match="from 1 to 4096"):
        workspace.thumbnail("noise", 3, 0)


def test_grey_images_stay_grey_and_digests_tell_images_apart(array_corpus: Any) -> None:
    corpus = array_corpus((6, 4, 1))
    workspace = Workspace([], [ConnectedCorpus("noise", Path("noise"), corpus)])
    assert opened(workspace.thumbnail("noise", 0)).shape == (6, 4)
    digests = {workspace.image_digest("noise", position) for position in range(60)}
    assert len(digests) == 60
    assert workspace.image_digest("noise", 0) in digests


def test_a_broken_picture_and_one_that_is_not_there_are_said(array_corpus: Any) -> None:
    corpus = array_corpus()
    corpus.broken = {5}
    workspace = Workspace([], [ConnectedCorpus("noise", Path("noise"), corpus)])
    with pytest.raises(NotPossible, match="is broken"):
        workspace.thumbnail("noise", 5)
    with pytest.raises(NotFound, match="it has 0 to 59"):
        workspace.thumbnail("noise", 60)
    with pytest.raises(NotFound, match="no image"):
        workspace.position("noise", "test-99")


# -------------------------------------------------------------------------------------- the network's input


def network(array_run: Any, corpus: Any, shape: Any = (6, 6, 3), how: Preprocessing | None = None) -> Workspace:
    run = ConnectedRun("net", Path("net"), array_run(input_shape=shape), RunOptions(preprocessing=how))
    return Workspace([run], [ConnectedCorpus("noise", Path("noise"), corpus)])


def test_pixels_are_divided_by_255_where_nobody_says(array_run: Any, array_corpus: Any) -> None:
    corpus = array_corpus()
    workspace = network(array_run, corpus)
    assert workspace.run("net").preprocessing.assumed
    found = workspace.network_input("net", "noise", 2)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, corpus.pixels(2) / 255, rtol=1e-6)


def test_what_the_files_say_counts_less_than_what_the_user_says(array_run: Any) -> None:
    said = Preprocessing(scale=2)
    run = ConnectedRun("net", Path("net"), array_run(preprocessing=said))
    assert run.preprocessing == said
    mine = Preprocessing(scale=3)
    run = ConnectedRun("net", Path("net"), array_run(preprocessing=said), RunOptions(preprocessing=mine))
    assert run.preprocessing == mine


def test_scale_mean_and_channel_order(array_run: Any, array_corpus: Any) -> None:
    corpus = array_corpus()
    how = Preprocessing(0.5, (1.0, 2.0, 3.0), "bgr")
    found = network(array_run, corpus, how=how).network_input("net", "noise", 2)
    # The mean is in the network's own units and channel order.
    np.testing.assert_allclose(found, corpus.pixels(2)[..., ::-1] * 0.5 - [1, 2, 3])


def test_images_are_resized_and_made_grey_or_colour(array_run: Any, array_corpus: Any) -> None:
    plain = Preprocessing()
    grey = array_corpus((6, 6, 1))
    found = network(array_run, grey, (6, 6, 3), plain).network_input("net", "noise", 0)
    np.testing.assert_array_equal(found, np.repeat(grey.pixels(0), 3, axis=2))
    colour = array_corpus((6, 6, 3))
    found = network(array_run, colour, (6, 6, 1), plain).network_input("net", "noise", 0)
    luma = colour.pixels(0) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(found[..., 0], luma, atol=1)
    found = network(array_run, array_corpus((64, 32, 3)), (8, 4, 3), plain).network_input("net", "noise", 0)
    assert found.shape == (8, 4, 3)
    # Antialiased: noise of 0..255 becomes a grey that stays near its mean.
    assert found.std() < 30
    found = network(array_run, colour, (None, None, 3), plain).network_input("net", "noise", 0)
    assert found.shape == (6, 6, 3)
    found = network(array_run, colour, None, plain).network_input("net", "noise", 0)
    np.testing.assert_array_equal(found, colour.pixels(0))


def test_the_mean_of_the_training_split_is_subtracted(array_run: Any, array_corpus: Any) -> None:
    corpus = array_corpus()
    corpus.broken = {3}
    for order in ("rgb", "bgr"):
        how = Preprocessing(0.5, "corpus", order)
        workspace = network(array_run, corpus, how=how)
        mean = np.mean([corpus.pixels(i) for i in range(40) if i != 3], axis=0)
        expected = (corpus.pixels(50) - mean) * 0.5
        expected = expected if order == "rgb" else expected[..., ::-1]
        for _ in range(2):
            np.testing.assert_allclose(workspace.network_input("net", "noise", 50), expected, atol=1e-4)


def test_a_mean_image_that_cannot_be_had_is_said(array_run: Any, array_corpus: Any, tmp_path: Path) -> None:
    def refusal(mean: Any, corpus: Any = None) -> str:
        workspace = network(array_run, corpus or array_corpus(), how=Preprocessing(1.0, mean))
        with pytest.raises(MloscopeError) as error:
            workspace.network_input("net", "noise", 0)
        return str(error.value)

    assert "has none; it has: test" in refusal("corpus", array_corpus(training=0))
    assert "has 2 numbers" in refusal((1.0, 2.0))
    assert "does not exist" in refusal(str(tmp_path / "mean.npy"))
    (tmp_path / "mean.npy").write_bytes(b"no array")
    assert "no .npy file of numbers" in refusal(str(tmp_path / "mean.npy"))
    np.save(tmp_path / "mean.npy", np.zeros((5, 5, 3)))
    assert "has the shape (5, 5, 3)" in refusal(str(tmp_path / "mean.npy"))


def test_a_mean_file_is_subtracted(array_run: Any, array_corpus: Any, tmp_path: Path) -> None:
    mean = np.arange(108, dtype=np.float64).reshape(6, 6, 3)
    np.save(tmp_path / "mean.npy", mean)
    corpus = array_corpus()
    workspace = network(array_run, corpus, how=Preprocessing(1.0, str(tmp_path / "mean.npy")))
    np.testing.assert_allclose(workspace.network_input("net", "noise", 0), corpus.pixels(0) - mean)


def test_a_mean_as_cuda_convnet_keeps_it_is_in_units_of_pixels(
    array_run: Any, array_corpus: Any, tmp_path: Path
) -> None:
    mean = np.arange(108, dtype=np.float32).reshape(3, 6, 6)
    path = tmp_path / "batches.meta"
    path.write_bytes(pickle.dumps({"data_mean": mean.reshape(108, 1)}, protocol=2))
    corpus = array_corpus()
    for scale in (1.0, 0.5):
        workspace = network(array_run, corpus, how=Preprocessing(scale, str(path)))
        wanted = (corpus.pixels(0) - mean.transpose(1, 2, 0)) * scale
        np.testing.assert_allclose(workspace.network_input("net", "noise", 0), wanted)
    path.write_bytes(b"")
    with pytest.raises(NotPossible, match=r"batches\.meta"):
        network(array_run, corpus, how=Preprocessing(1.0, str(path))).network_input("net", "noise", 0)


def test_a_network_on_four_channels_is_refused(array_run: Any, array_corpus: Any) -> None:
    with pytest.raises(NotPossible, match="4 channels"):
        network(array_run, array_corpus(), (6, 6, 4)).network_input("net", "noise", 0)


def test_a_mean_without_a_scale_leaves_pixels_as_they_are() -> None:
    assert make_preprocessing(mean=120.5) == Preprocessing(1.0, (120.5,))
    assert make_preprocessing(channel_order="bgr") == Preprocessing(1 / 255, None, "bgr")


# ------------------------------------------------------------------------------------------- many images at once


class OneByOne:
    """A corpus without blocks."""

    def __init__(self, corpus) -> None:
        self._corpus = corpus

    def __getattr__(self, name: str):
        if name == "pixel_block":
            raise AttributeError(name)
        return getattr(self._corpus, name)

    def __len__(self) -> int:
        return len(self._corpus)


@pytest.mark.parametrize("blocks", [True, False], ids=["blocks", "one-by-one"])
@pytest.mark.parametrize(
    ("input_shape", "preprocessing"),
    [
        ((6, 6, 3), None),
        (None, Preprocessing(scale=1 / 256, channel_order="bgr")),
        ((6, 6, 3), Preprocessing(1.0, (1.5, 2.5, 3.5), "bgr")),
        ((6, 6, 3), Preprocessing(1 / 3, "corpus", "bgr")),
        ((9, 5, 3), Preprocessing(1 / 255, "corpus")),
        ((4, 8, 1), Preprocessing(1 / 255, (0.25,))),
        ((None, None, 1), Preprocessing(1.0, "corpus")),
    ],
)
def test_many_inputs_are_the_single_ones_bit_for_bit(array_run, tmp_path, input_shape, preprocessing, blocks) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 6, 6, 3), np.uint8)
    np.savez(tmp_path / "images.npz", x_train=pixels[:20], y_train=np.zeros(20), x_test=pixels[20:], y_test=np.ones(10))
    corpus = registry.open_corpus(tmp_path / "images.npz")
    assert isinstance(corpus, HasPixelBlocks)
    workspace = Workspace(
        [ConnectedRun("run", tmp_path, array_run(preprocessing=preprocessing, input_shape=input_shape))],
        [ConnectedCorpus("images", tmp_path, corpus if blocks else OneByOne(corpus))],
    )
    for positions in (range(3, 17), range(15, 30), range(29, 30)):
        batch = workspace.network_inputs("run", "images", positions)
        single = np.stack([workspace.network_input("run", "images", position) for position in positions])
        assert batch.dtype == np.float32
        assert batch.flags.c_contiguous
        assert batch.tobytes() == single.tobytes()
    with pytest.raises(NotFound, match="30 images; 25 to 30 are not all"):
        workspace.network_inputs("run", "images", range(25, 31))


@pytest.mark.parametrize("input_shape", [(6, 6, 3), (None, None, 3), (9, 5, 3), None])
def test_a_network_gets_the_values_of_a_file_that_pixels_cannot_hold(array_run, tmp_path, input_shape) -> None:
    """Resized with a bicubic filter, some lie beyond 1, and most between two levels."""
    floats = np.random.default_rng(0).uniform(0, 1.04, (12, 6, 6, 3)).astype(np.float32)
    bytes_ = np.rint(np.clip(floats, 0, 1) * 255).astype(np.uint8)
    np.savez(tmp_path / "images.npz", x_train=floats[:8], x_test=bytes_[8:])
    run = array_run(preprocessing=Preprocessing(1 / 255), input_shape=input_shape)
    corpora = [ConnectedCorpus("images", tmp_path, registry.open_corpus(tmp_path / "images.npz"))]
    workspace = Workspace([ConnectedRun("run", tmp_path, run)], corpora)
    if input_shape != (9, 5, 3):
        assert np.allclose(workspace.network_inputs("run", "images", range(8)), floats[:8], rtol=1e-6)
    for positions in (range(8), range(5, 11), range(9, 12)):
        batch = workspace.network_inputs("run", "images", positions)
        single = np.stack([workspace.network_input("run", "images", position) for position in positions])
        assert batch.tobytes() == single.tobytes()


def test_images_that_differ_only_in_what_pixels_cannot_hold_have_other_digests(tmp_path) -> None:
    floats = np.full((2, 6, 6, 3), 0.5, np.float32)
    floats[1] += 0.0001
    np.savez(tmp_path / "images.npz", x=floats)
    workspace = Workspace([], [ConnectedCorpus("images", tmp_path, registry.open_corpus(tmp_path / "images.npz"))])
    assert np.array_equal(workspace.pixels("images", 0), workspace.pixels("images", 1))
    assert workspace.image_digest("images", 0) != workspace.image_digest("images", 1)


def test_a_broken_picture_among_many_is_nan(array_run, array_corpus) -> None:
    corpus = array_corpus()
    corpus.broken.update({4, 30, 31})
    workspace = Workspace([ConnectedRun("run", Path("r"), array_run())], [ConnectedCorpus("noise", Path("n"), corpus)])
    batch = workspace.network_inputs("run", "noise", range(3, 6))
    assert np.isnan(batch[1]).all()
    assert not np.isnan(batch[[0, 2]]).any()
    assert np.isnan(workspace.network_inputs("run", "noise", range(30, 32))).all()


def test_images_of_several_sizes_are_no_batch_of_a_network_that_takes_any(array_run, array_corpus) -> None:
    corpus = array_corpus()
    whole = corpus.pixels
    corpus.pixels = lambda position: whole(position)[: 3 + position % 2]
    workspace = Workspace(
        [ConnectedRun("run", Path("r"), array_run(input_shape=(None, None, 3)))],
        [ConnectedCorpus("noise", Path("n"), corpus)],
    )
    assert workspace.network_inputs("run", "noise", range(2, 3)).shape == (1, 3, 6, 3)
    with pytest.raises(NotPossible, match="differ in theirs"):
        workspace.network_inputs("run", "noise", range(0, 4))
