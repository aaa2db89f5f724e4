"""Images as networks take them: one by one and many at once, the same bits."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.interface import HasPixelBlocks, Preprocessing, RunOptions
from mloscope.app.errors import MloscopeError, NotFound, NotPossible
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.entries import make_preprocessing
from mloscope.app.workspace.workspace import Workspace


def taken(workspace: Workspace, position: int) -> np.ndarray:
    return workspace.inputs.one(workspace.opened_run("net"), workspace.opened_corpus("noise"), position)


def batch_of(workspace: Workspace, positions: range) -> np.ndarray:
    return workspace.inputs.batch(workspace.opened_run("net"), workspace.opened_corpus("noise"), positions)


def network(array_run: Any, corpus: Any, shape: Any = (6, 6, 3), how: Preprocessing | None = None) -> Workspace:
    run = ConnectedRun("net", Path("net"), array_run(input_shape=shape), RunOptions(preprocessing=how))
    return Workspace([run], [ConnectedCorpus("noise", Path("noise"), corpus)])


def test_pixels_are_divided_by_255_where_nobody_says(array_run: Any, array_corpus: Any) -> None:
    corpus = array_corpus()
    workspace = network(array_run, corpus)
    assert workspace.run("net").preprocessing.assumed
    found = taken(workspace, 2)
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
    found = taken(network(array_run, corpus, how=how), 2)
    # The mean is in the network's own units and channel order.
    np.testing.assert_allclose(found, corpus.pixels(2)[..., ::-1] * 0.5 - [1, 2, 3])


def test_images_are_resized_and_made_grey_or_colour(array_run: Any, array_corpus: Any) -> None:
    plain = Preprocessing()
    grey = array_corpus((6, 6, 1))
    found = taken(network(array_run, grey, (6, 6, 3), plain), 0)
    np.testing.assert_array_equal(found, np.repeat(grey.pixels(0), 3, axis=2))
    colour = array_corpus((6, 6, 3))
    found = taken(network(array_run, colour, (6, 6, 1), plain), 0)
    luma = colour.pixels(0) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(found[..., 0], luma, atol=1)
    found = taken(network(array_run, array_corpus((64, 32, 3)), (8, 4, 3), plain), 0)
    assert found.shape == (8, 4, 3)
    # Antialiased: noise of 0..255 becomes a grey that stays near its mean.
    assert found.std() < 30
    found = taken(network(array_run, colour, (None, None, 3), plain), 0)
    assert found.shape == (6, 6, 3)
    found = taken(network(array_run, colour, None, plain), 0)
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
            np.testing.assert_allclose(taken(workspace, 50), expected, atol=1e-4)


def test_a_mean_image_that_cannot_be_had_is_said(array_run: Any, array_corpus: Any, tmp_path: Path) -> None:
    def refusal(mean: Any, corpus: Any = None) -> str:
        workspace = network(array_run, corpus or array_corpus(), how=Preprocessing(1.0, mean))
        with pytest.raises(MloscopeError) as error:
            taken(workspace, 0)
        return str(error.value)

    assert "has none; it has: test" in refusal("corpus", array_corpus(training=0))
    assert "has 2 numbers" in refusal((1.0, 2.0))
    assert "does not exist" in refusal(str(tmp_path / "mean.npy"))
    (tmp_path / "mean.npy").write_bytes(b"no array")
    assert "not a .npy file of numbers" in refusal(str(tmp_path / "mean.npy"))
    np.save(tmp_path / "mean.npy", np.zeros((5, 5, 3)))
    assert "has the shape (5, 5, 3)" in refusal(str(tmp_path / "mean.npy"))


def test_a_mean_file_is_subtracted(array_run: Any, array_corpus: Any, tmp_path: Path) -> None:
    mean = np.arange(108, dtype=np.float64).reshape(6, 6, 3)
    np.save(tmp_path / "mean.npy", mean)
    corpus = array_corpus()
    workspace = network(array_run, corpus, how=Preprocessing(1.0, str(tmp_path / "mean.npy")))
    np.testing.assert_allclose(taken(workspace, 0), corpus.pixels(0) - mean)


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
        np.testing.assert_allclose(taken(workspace, 0), wanted)
    path.write_bytes(b"")
    with pytest.raises(NotPossible, match=r"batches\.meta"):
        taken(network(array_run, corpus, how=Preprocessing(1.0, str(path))), 0)


def test_a_network_on_four_channels_is_refused(array_run: Any, array_corpus: Any) -> None:
    with pytest.raises(NotPossible, match="4 channels"):
        taken(network(array_run, array_corpus(), (6, 6, 4)), 0)


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
        [ConnectedRun("net", tmp_path, array_run(preprocessing=preprocessing, input_shape=input_shape))],
        [ConnectedCorpus("noise", tmp_path, corpus if blocks else OneByOne(corpus))],
    )
    for positions in (range(3, 17), range(15, 30), range(29, 30)):
        batch = batch_of(workspace, positions)
        single = np.stack([taken(workspace, position) for position in positions])
        assert batch.dtype == np.float32
        assert batch.flags.c_contiguous
        assert batch.tobytes() == single.tobytes()
    with pytest.raises(NotFound, match="30 images; 25 to 30 are not all"):
        batch_of(workspace, range(25, 31))


@pytest.mark.parametrize("input_shape", [(6, 6, 3), (None, None, 3), (9, 5, 3), None])
def test_a_network_gets_the_values_of_a_file_that_pixels_cannot_hold(array_run, tmp_path, input_shape) -> None:
    """Resized with a bicubic filter, some lie beyond 1, and most between two levels."""
    floats = np.random.default_rng(0).uniform(0, 1.04, (12, 6, 6, 3)).astype(np.float32)
    bytes_ = np.rint(np.clip(floats, 0, 1) * 255).astype(np.uint8)
    np.savez(tmp_path / "images.npz", x_train=floats[:8], x_test=bytes_[8:])
    run = array_run(preprocessing=Preprocessing(1 / 255), input_shape=input_shape)
    corpora = [ConnectedCorpus("noise", tmp_path, registry.open_corpus(tmp_path / "images.npz"))]
    workspace = Workspace([ConnectedRun("net", tmp_path, run)], corpora)
    if input_shape != (9, 5, 3):
        assert np.allclose(batch_of(workspace, range(8)), floats[:8], rtol=1e-6)
    for positions in (range(8), range(5, 11), range(9, 12)):
        batch = batch_of(workspace, positions)
        single = np.stack([taken(workspace, position) for position in positions])
        assert batch.tobytes() == single.tobytes()


def test_a_broken_picture_among_many_is_nan(array_run, array_corpus) -> None:
    corpus = array_corpus()
    corpus.broken.update({4, 30, 31})
    workspace = Workspace([ConnectedRun("net", Path("r"), array_run())], [ConnectedCorpus("noise", Path("n"), corpus)])
    batch = batch_of(workspace, range(3, 6))
    assert np.isnan(batch[1]).all()
    assert not np.isnan(batch[[0, 2]]).any()
    assert np.isnan(batch_of(workspace, range(30, 32))).all()


def test_images_of_several_sizes_are_no_batch_of_a_network_that_takes_any(array_run, array_corpus) -> None:
    corpus = array_corpus()
    whole = corpus.pixels
    corpus.pixels = lambda position: whole(position)[: 3 + position % 2]
    workspace = Workspace(
        [ConnectedRun("net", Path("r"), array_run(input_shape=(None, None, 3)))],
        [ConnectedCorpus("noise", Path("n"), corpus)],
    )
    assert batch_of(workspace, range(2, 3)).shape == (1, 3, 6, 3)
    with pytest.raises(NotPossible, match="differ in size"):
        batch_of(workspace, range(0, 4))
