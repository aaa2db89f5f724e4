"""Images found by words and facets, in their own or in a random order; a query read from the words of an address."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Facet, ImageRecord
from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.images.image_index import ImageIndex
from mloscope.app.images.image_query import ImageQuery


@pytest.fixture
def images(array_corpus: Any) -> ImageIndex:
    """40 images of training, 20 of test, Bird and cat in turns."""
    return ImageIndex("noise", array_corpus())


def query(text: str = "", seed: int | None = None, **facets: str) -> ImageQuery:
    return ImageQuery(text, facets, seed)


def test_every_word_must_match_name_id_or_class(images: ImageIndex) -> None:
    assert images.find(query("TEST 1")).positions == (41, *range(50, 60))
    assert images.find(query("test-1")).total == 11
    assert images.find(query("training bird 3")).positions == (30, 32, 34, 36, 38)
    assert images.find(query("dog")).total == 0
    assert images.find(query("bird " * 1000)).total == images.find(query("bird")).total
    with pytest.raises(BadRequest, match="40"):
        images.find(query(" ".join(map(str, range(40)))))


def test_a_facet_among_the_words_is_exact(images: ImageIndex) -> None:
    assert images.find(query("label:1")) == images.find(query(label="cat")), "not every image with a 1 in its name"
    assert images.find(query("1 label:cat split:test")).positions == (41, 51, 53, 55, 57, 59)
    assert images.find(query('label:"Bird"')) == images.find(query(label="Bird"))
    assert images.find(query("label:cat", label="Bird")).total == 0
    assert images.find(query("colour:red label:")).total == 0, "neither is a facet's value: both are words"
    with pytest.raises(NotFound, match="dog"):
        images.find(query("label:dog"))


def test_label_split_and_pages(images: ImageIndex) -> None:
    found = images.find(query(split="test", label="cat"), offset=2, limit=3)
    assert (found.positions, found.total) == ((45, 47, 49), 10)
    assert images.find(query(label="1")) == images.find(query(label="cat"))
    with pytest.raises(NotFound, match='split "validation"; it has: training, test'):
        images.find(query(split="validation"))
    with pytest.raises(NotFound, match='class "dog"; it has: Bird, cat'):
        images.find(query(label="dog"))
    for number in ("2", "9" * 5000):
        with pytest.raises(NotFound, match="class"):
            images.find(query(label=number))
    with pytest.raises(NotFound, match="split"):
        images.find(query(split="0"))


def test_the_page_of_an_image_is_where_it_stands_among_those_that_match(images: ImageIndex) -> None:
    shuffled = images.find(query(seed=7), limit=60).positions
    assert images.page_of(41, query(seed=7), limit=25) == shuffled.index(41) // 25 * 25
    assert images.page_of(47, query(split="test", label="cat"), limit=3) == 3
    assert images.page_of(46, query(label="cat"), limit=3) == 0, "it is a Bird"


def test_random_is_the_same_for_a_seed_and_pages_meet(images: ImageIndex) -> None:
    whole = images.find(query(seed=7), limit=60).positions
    assert sorted(whole) == list(range(60))
    assert whole != tuple(range(60))
    pages = [images.find(query(seed=7), offset, 25).positions for offset in (0, 25, 50)]
    assert sum(pages, ()) == whole
    assert images.find(query(seed=8), limit=60).positions != whole
    assert images.find(query(seed=-3), limit=60).total == 60


def test_among_chosen_images_their_order_remains(images: ImageIndex) -> None:
    among = np.array([59, 41, 3, 40, 50], np.int32)
    assert images.matching(query(), among).tolist() == [59, 41, 3, 40, 50]
    assert images.matching(query("test", label="cat"), among).tolist() == [59, 41]
    assert images.matching(query("dog"), among).tolist() == []
    assert images.matching(query("test"), among[:0]).tolist() == []


def test_a_random_order_does_not_depend_on_the_order_before(images: ImageIndex) -> None:
    among = np.array([59, 41, 3, 40, 50, 7, 8, 9])
    shuffled = images.matching(query(seed=7), among).tolist()
    assert sorted(shuffled) == sorted(among.tolist())
    assert shuffled != sorted(shuffled)
    assert images.matching(query(seed=7), among[::-1]).tolist() == shuffled


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


def test_60_000_images_are_searched() -> None:
    images = ImageIndex("many", ManyImages())  # type: ignore[arg-type]
    assert images.find(query("img_00042")).positions == (42,)
    assert images.find(query("class jpeg 99", seed=1)).total > 600


# ------------------------------------------------------------------------------------------------ a corpus's own facets


def with_facets(array_corpus: Any, *facets: Facet) -> ImageIndex:
    corpus = array_corpus()
    corpus.facets = lambda: facets
    return ImageIndex("noise", corpus)


def weather(name: str = "weather", of: Sequence[int] = (0, 1, -1) * 20) -> Facet:
    return Facet(name, "Weather", ("sun", "rain"), np.array(of, np.int32))


def test_a_corpus_adds_facets_after_class_and_split(array_corpus: Any) -> None:
    images = with_facets(array_corpus, weather())
    assert list(images.facets) == ["label", "split", "weather"]
    assert images.find(query(weather="rain"), limit=3).positions == (1, 4, 7)
    assert images.find(query(weather="rain", split="test", label="Bird")).positions == (40, 46, 52, 58)
    with pytest.raises(NotFound, match='weather "snow"; it has: sun, rain'):
        images.find(query(weather="snow"))
    with pytest.raises(NotFound, match="weather"):
        images.find(query(weather="1"))


@pytest.mark.parametrize(
    "wrong",
    [weather("label"), weather("search"), weather("Weather?"), weather(of=(0, 1))],
    ids=["taken", "another word", "no name", "too short"],
)
def test_a_facet_that_breaks_its_promise_is_left_out(
    array_corpus: Any, caplog: pytest.LogCaptureFixture, wrong: Facet
) -> None:
    with caplog.at_level(logging.WARNING):
        assert list(with_facets(array_corpus, wrong, weather("sky")).facets) == ["label", "split", "sky"]
    (record,) = caplog.records
    assert wrong.name in record.getMessage()


# ----------------------------------------------------------------------------------------------- in an address


def test_words_that_are_not_its_business_are_left_alone() -> None:
    words = {"search": "a b", "label": "cat", "split": "", "weather": "sun", "offset": "60", "random": ""}
    assert ImageQuery.parse(words, ["label", "split"]) == ImageQuery("a b", {"label": "cat"})


@pytest.mark.parametrize("seed", ["soon", "1.5", "-", "9" * 5000])
def test_a_seed_is_a_whole_number(seed: str) -> None:
    assert ImageQuery.parse({"random": "-12"}, []) == ImageQuery(seed=-12)
    with pytest.raises(BadRequest, match="random"):
        ImageQuery.parse({"random": seed}, [])
