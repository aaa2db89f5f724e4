"""Tiny-ImageNet-200 as it is distributed, with fewer classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mloscope.adaptors import registry
from mloscope.adaptors.conformance import CorpusConformance
from mloscope.adaptors.corpora.image_folder import ImageFolderCorpus

CLASSES = ("n01443537", "n01629819", "n12267677")


def write_tiny_imagenet(root: Path) -> Path:
    def picture(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)).save(path, "JPEG")

    for name in CLASSES:
        for number in range(2):
            picture(root / "train" / name / "images" / f"{name}_{number}.JPEG")
        (root / "train" / name / f"{name}_boxes.txt").write_text(f"{name}_0.JPEG\t0\t0\t7\t7\n")
    lines = [f"val_{number}.JPEG\t{CLASSES[(2 - number) % 3]}\t0\t0\t7\t7\n" for number in range(4)]
    for number in range(5):
        picture(root / "val" / "images" / f"val_{number}.JPEG")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    picture(root / "test" / "images" / "test_0.JPEG")
    (root / "wnids.txt").write_text("\n".join(reversed(CLASSES)))
    (root / "words.txt").write_text("n00000001\tentity\nn01443537\tgoldfish, Carassius auratus\nn12267677\tacorn\n")
    return root


class TestTinyImageNet(CorpusConformance):
    adaptor = ImageFolderCorpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return write_tiny_imagenet(tmp_path / "tiny-imagenet-200")


def test_labels_and_names(tmp_path: Path) -> None:
    corpus = registry.open_corpus(write_tiny_imagenet(tmp_path))
    assert corpus.format == "image-folder"
    assert corpus.class_names == ("goldfish, Carassius auratus (n01443537)", "n01629819", "acorn (n12267677)")
    assert corpus.splits == {"training": range(6), "validation": range(6, 11), "test": range(11, 12)}
    assert corpus.labels.tolist() == [0, 0, 1, 1, 2, 2, 2, 1, 0, 2, -1, -1]
    for noun in ("val_annotations.txt; 1 of 5", "test/images is none of the 3 classes", "wnids.txt", ": 3 .txt."):
        assert sum(noun in problem for problem in corpus.problems()) == 1
    assert len(corpus.problems()) == 4


def test_the_training_folder_alone(tmp_path: Path) -> None:
    corpus = registry.open_corpus(write_tiny_imagenet(tmp_path) / "train")
    assert corpus.class_names == CLASSES
    assert corpus.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_names_as_kaggle_gives_them(tmp_path: Path) -> None:
    root = write_tiny_imagenet(tmp_path)
    (root / "words.txt").unlink()
    (root / "LOC_synset_mapping.txt").write_text(
        "n01443537 goldfish, Carassius auratus\nn01629819 European fire salamander\n"
    )
    assert registry.open_corpus(root).class_names[1] == "European fire salamander (n01629819)"
