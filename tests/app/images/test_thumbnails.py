"""Thumbnails: the pixels or smaller, and what is broken is said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mloscope.app.errors import BadRequest, NotFound, NotPossible
from mloscope.app.workspace.connected import ConnectedCorpus
from mloscope.app.workspace.workspace import Workspace


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


def test_grey_images_stay_grey(array_corpus: Any) -> None:
    workspace = Workspace([], [ConnectedCorpus("noise", Path("noise"), array_corpus((6, 4, 1)))])
    assert opened(workspace.thumbnail("noise", 0)).shape == (6, 4)


def test_a_broken_picture_and_one_that_is_not_there_are_said(array_corpus: Any) -> None:
    corpus = array_corpus()
    corpus.broken = {5}
    workspace = Workspace([], [ConnectedCorpus("noise", Path("noise"), corpus)])
    with pytest.raises(NotPossible, match="is broken"):
        workspace.thumbnail("noise", 5)
    with pytest.raises(NotFound, match="it has 0 to 59"):
        workspace.thumbnail("noise", 60)
    with pytest.raises(NotFound, match="no image"):
        workspace.opened_corpus("noise").position("test-99")
