"""docs/adding_a_facet.md, taken at its word: its files become a package outside the tree, and its facet is in the API, in the grid
and in a link."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import in_page
import numpy as np
import pytest
from starlette.testclient import TestClient

from mloscope.adaptors import registry
from mloscope.adaptors.conformance import CorpusConformance
from mloscope.adaptors.entry_points import CORPORA, registered
from mloscope.app.process.settings import Settings
from mloscope.app.web.server import create_app

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "adding_a_facet.md"
sys.path.insert(0, str(ROOT / "tests" / "docs"))  # tests are imported by path, their neighbours are not
MEANS = {"dark": 20, "medium": 120, "bright": 230}


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Twelve images of a training and a test split, dark, medium and bright in turns, opened by the page's package."""
    from installed_package import fenced, installed

    assert set(fenced(PAGE.read_text())) == {"mydigits/corpus.py", "pyproject.toml"}
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(installed(PAGE, site)))
    images = np.repeat(np.array([*MEANS.values()] * 2, np.uint8), 36 * 3).reshape(6, 6, 6, 3)
    labels = np.array([0, 1] * 3)
    file = tmp_path / "digits.bright.npz"
    np.savez(file, x_train=images, y_train=labels, x_test=images, y_test=labels)
    adaptors = registered(CORPORA)
    yield registry.open_corpus(file, format="bright-npz", adaptors=adaptors)
    sys.modules.pop("mydigits.corpus", None)
    sys.modules.pop("mydigits", None)


def test_it_keeps_the_promises_of_facets(corpus: Any) -> None:
    check = CorpusConformance().test_facets_have_one_value_per_image
    check(corpus)
    (facet,) = corpus.facets()
    for broken in (
        replace(facet, name="split"),
        replace(facet, values=("dark",)),
        replace(facet, of_images=np.zeros(3)),
    ):
        corpus.facets = lambda broken=broken: [broken]
        with pytest.raises(AssertionError):
            check(corpus)


def test_it_is_in_the_api(make_bench: Callable[..., Any], corpus: Any) -> None:
    with TestClient(create_app(make_bench(corpus=corpus).services, Settings.from_environment({}))) as client:
        facets = client.get("/api/v1/corpora/noise").json()["facets"]
        assert [facet["name"] for facet in facets] == ["label", "split", "brightness"]
        assert facets[2] == {"name": "brightness", "title": "Brightness", "values": list(MEANS)}
        found = client.get("/api/v1/corpora/noise/images?brightness=dark&split=test").json()
        assert [image["name"] for image in found["images"]] == ["test 0", "test 3"]


@pytest.mark.browser
def test_it_is_in_the_grid_and_in_a_link(
    make_bench: Callable[..., Any], corpus: Any, in_browser: Callable[..., Any]
) -> None:
    page = in_browser(make_bench(corpus=corpus), "/#images=brightness%3Dbright%26split%3Dtest")
    page.wait_for_function("() => document.querySelector('.images-total')?.textContent === '2 images'")
    page.wait_for_selector('select[aria-label="Brightness"] option[value="bright"]', state="attached")
    assert page.input_value('select[aria-label="Brightness"]') == "bright"
    page.select_option('select[aria-label="Split"]', "")
    page.wait_for_function("() => document.querySelector('.images-total').textContent === '4 images'")
    assert in_page.evaluate(page, "() => view.get().images") == "brightness=bright"
    assert page.problems == []
