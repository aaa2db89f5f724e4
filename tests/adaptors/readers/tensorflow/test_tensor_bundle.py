"""TensorFlow's checkpoint files: every tensor bit for bit as TensorFlow reads it, and what broken and hostile
files get."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import AdaptorError, Unknown, Unreadable
from mloscope.adaptors.readers.tensorflow.tensor_bundle import INDEX, open_bundle

# ---------- as TensorFlow reads them


@pytest.fixture(scope="session")
def tensorflow(keras: Any) -> Any:
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="session")
def generated(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Prefixes of checkpoints with everything that occurs."""
    tf, root = tensorflow, tmp_path_factory.mktemp("bundles")
    rng = np.random.default_rng(3)
    tensors = {
        "bfloat16": tf.cast(rng.normal(size=(3, 4)), tf.bfloat16),
        "half": tf.cast(rng.normal(size=7), tf.float16),
        "bool": tf.constant([True, False]),
        "int64": tf.constant([[1, -(2**60)]], tf.int64),
        "int8": tf.constant([-7], tf.int8),
        "uint8": tf.constant([1, 255], tf.uint8),
        "double": tf.constant(rng.normal(size=(2, 2))),
        "not finite": tf.constant([np.nan, -np.inf, np.inf, -0.0], tf.float32),
        "strings": tf.constant([["a", "bb", ""], ["x" * 300, "é", "z"]]),
        "empty": tf.zeros((0, 3)),
        "scalar": tf.constant(3.5),
        "long": tf.constant(rng.normal(size=100_000).astype(np.float32)),
    }
    save = tf.raw_ops.SaveV2
    save(
        prefix=str(root / "dtypes"),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
    whole = rng.normal(size=(300, 70)).astype(np.float32)
    save(
        prefix=str(root / "partitioned"),
        tensor_names=["rows", "rows", "rows", "columns", "columns"],
        shape_and_slices=[
            "300 70 0,63:-", "300 70 63,65:-", "300 70 128,172:-", "300 70 -:0,20", "300 70 -:20,50"
        ],
        tensors=[whole[:63], whole[63:128], whole[128:], whole[:, :20], whole[:, 20:]],
    )  # fmt: skip
    for shard in range(3):
        save(
            prefix=str(root / f"part{shard}"),
            tensor_names=[f"layer_{shard}_{number}/kernel" for number in range(1000)],
            shape_and_slices=[""] * 1000,
            tensors=[tf.fill((number % 5, 3), float(number)) for number in range(1000)],
        )
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[str(root / f"part{shard}") for shard in range(3)],
        destination_prefix=str(root / "three shards"),
    )
    variables = tf.Module()
    variables.kernel = tf.Variable(rng.normal(size=(3, 3, 2, 4)).astype(np.float32))
    tf.saved_model.save(variables, str(root / "saved_model"))
    return {
        "dtypes": root / "dtypes",
        "partitioned": root / "partitioned",
        "three shards": root / "three shards",
        "SavedModel": root / "saved_model/variables/variables",
    }


def _compare(tensorflow: Any, prefix: Path) -> int:
    bundle, reference = open_bundle(prefix), tensorflow.train.load_checkpoint(str(prefix))
    shapes = reference.get_variable_to_shape_map()
    assert set(bundle.entries) == set(shapes)
    for key, shape in shapes.items():
        expected = reference.get_tensor(key)
        assert bundle.entries[key].shape == tuple(shape)
        if not bundle.entries[key].is_number:
            flat = [expected] if isinstance(expected, bytes) else list(np.ravel(expected))
            assert bundle.read_strings(key) == flat
            continue
        if expected.dtype.name == "bfloat16":
            expected = expected.astype(np.float32)
        array = bundle.read(key)
        assert (array.shape, array.dtype) == (expected.shape, expected.dtype), key
        assert array.tobytes() == expected.tobytes(), key
    return len(shapes)


@pytest.mark.parametrize(
    ("name", "count"), [("dtypes", 12), ("partitioned", 2), ("three shards", 3000), ("SavedModel", 2)]
)
def test_every_tensor_is_bit_identical(tensorflow: Any, generated: Mapping[str, Path], name: str, count: int) -> None:
    assert _compare(tensorflow, generated[name]) == count


@pytest.mark.real_data
@pytest.mark.parametrize("run", ["mnist_cnn_tf2", "pnet_tf1"])
def test_every_real_tensor_is_bit_identical(tensorflow: Any, real_data: Path, run: str) -> None:
    prefixes = [str(path).removesuffix(INDEX) for path in (real_data / "tensorflow" / run).glob(f"*{INDEX}")]
    assert len(prefixes) == 15
    for prefix in prefixes:
        assert _compare(tensorflow, Path(prefix)) >= 30


def test_shards_are_found_and_their_lengths_known(generated: Mapping[str, Path]) -> None:
    bundle = open_bundle(generated["three shards"])
    assert bundle.shards == 3
    assert {path.name: path.stat().st_size for path in bundle.data_files()} == {
        path.name: end for path, end in bundle.data_ends().items()
    }


def test_an_index_is_parsed_once_and_again_where_it_changed(generated: Mapping[str, Path], tmp_path: Path) -> None:
    for path in generated["dtypes"].parent.glob("dtypes.*"):
        shutil.copy(path, tmp_path)
    first = open_bundle(tmp_path / "dtypes")
    assert open_bundle(tmp_path / "dtypes") is first
    shutil.copy(f"{generated['partitioned']}{INDEX}", tmp_path / f"dtypes{INDEX}")
    assert set(open_bundle(tmp_path / "dtypes").entries) == {"rows", "columns"}


def test_what_is_not_there_is_unknown_and_strings_are_no_numbers(generated: Mapping[str, Path]) -> None:
    bundle = open_bundle(generated["dtypes"])
    with pytest.raises(Unknown, match="no tensor nothing"):
        bundle.read("nothing")
    with pytest.raises(Unreadable, match="strings does not hold numbers"):
        bundle.read("strings")
    with pytest.raises(Unreadable, match="half does not hold strings"):
        bundle.read_strings("half")


# ---------- broken files


def _everything(prefix: Path) -> dict[str, bytes]:
    bundle = open_bundle(prefix)
    return {
        key: bundle.read(key).tobytes() if entry.is_number else b"\0".join(bundle.read_strings(key))
        for key, entry in bundle.entries.items()
    }


def test_no_mutation_gives_other_numbers(generated: Mapping[str, Path], tmp_path: Path) -> None:
    """Bytes changed, cut off or put in: a sentence with the file's name, or what was there before."""
    source, prefix = generated["partitioned"], tmp_path / "partitioned"
    files = sorted(source.parent.glob("partitioned.*")) + sorted(source.parent.glob("dtypes.*"))
    chance = random.Random(7)
    refused = 0
    for turn in range(300):
        for path in files:
            shutil.copy(path, tmp_path)
        prefix = tmp_path / ("partitioned" if turn % 2 else "dtypes")
        expected = _everything(source.parent / prefix.name)
        victim = tmp_path / f"{prefix.name}{chance.choice([INDEX, '.data-00000-of-00001'])}"
        data = bytearray(victim.read_bytes())
        place = chance.randrange(len(data))
        how = chance.choice(["flip", "cut", "insert", "zero"])
        if how == "flip":
            data[place] ^= 1 << chance.randrange(8)
        elif how == "cut":
            del data[place:]
        elif how == "insert":
            data[place:place] = chance.randbytes(3)
        else:
            data[place : place + 40] = bytes(len(data[place : place + 40]))
        victim.write_bytes(data)
        sentence = None
        try:
            read = _everything(prefix)
        except AdaptorError as error:
            sentence = str(error)
        if sentence is None:
            assert read == expected
        else:
            refused += 1
            assert str(tmp_path) in sentence
            assert sentence.endswith(".")
    assert refused > 200


def test_a_tensor_is_checked_again_where_its_file_has_changed(tensorflow: Any, tmp_path: Path) -> None:
    values = np.arange(500_000, dtype=np.float32)
    tensorflow.raw_ops.SaveV2(
        prefix=str(tmp_path / "x"), tensor_names=["large"], shape_and_slices=[""], tensors=[values]
    )
    bundle = open_bundle(tmp_path / "x")
    for _ in range(2):
        assert np.array_equal(bundle.read("large"), values)
    data = bytearray((tmp_path / "x.data-00000-of-00001").read_bytes())
    data[1_000_000] ^= 1
    (tmp_path / "x.data-00000-of-00001").write_bytes(data)
    with pytest.raises(Unreadable, match="large does not have the checksum"):
        bundle.read("large")


def test_a_data_file_that_is_not_there_is_named(generated: Mapping[str, Path], tmp_path: Path) -> None:
    shutil.copy(f"{generated['dtypes']}{INDEX}", tmp_path)
    with pytest.raises(Unreadable, match=r"dtypes\.data-00000-of-00001 cannot be read"):
        open_bundle(tmp_path / "dtypes").read("half")
