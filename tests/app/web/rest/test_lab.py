"""The image lab over REST: changed images wherever an image may stand, images of one's own, sweeps."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from mloscope.app.images.changes import CHANGES
from mloscope.app.web.rest.api import add_rest

API = "/api/v1"
OWN = {"X-Mloscope": "1"}


@pytest.fixture
def client(bench: Any) -> TestClient:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_rest(app, bench.services)
    return TestClient(app, raise_server_exceptions=False)


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_changed_images_are_shown(client: TestClient) -> None:
    plain, moved = (client.get(f"{API}/corpora/noise/images/test-1{change}.png") for change in ("", "~mirror=1"))
    np.testing.assert_array_equal(picture(moved.content), picture(plain.content)[:, ::-1])


def test_every_question_about_an_image_answers_for_a_changed_one(client: TestClient, bench: Any) -> None:
    address = f"{API}/runs/lenet/checkpoints/20/layers/block/conv1/features"
    plain, same, moved = (
        np.load(io.BytesIO(client.get(f"{address}/test-1{change}.npy").content))
        for change in ("", "~shift=0,0", "~shift=2,1")
    )
    np.testing.assert_array_equal(plain, same)
    assert (plain != moved).any()
    assert client.get(f"{API}/runs/lenet/predictions/test-1~noise=30,2").status_code == 200
    lines = client.get(
        f"{API}/runs/lenet/layers/block/conv1/film", params={"show": "features", "image": "test-1~blur=1"}
    )
    assert json.loads(lines.text.splitlines()[-1]) == {"done": True}


@pytest.mark.parametrize("image", ["test-1~turn=3", "test-1~scale=0", "nothing~shift=1"])
def test_wrong_references_are_refused(client: TestClient, image: str) -> None:
    for address in (f"corpora/noise/images/{image}.png", f"runs/lenet/predictions/{image}"):
        answer = client.get(f"{API}/{address}")
        assert answer.status_code in (400, 404)
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["a~turn=3", "a~shift=2,1", "a~scale=0"])
def test_a_file_whose_name_looks_like_a_reference_is_that_file(client: TestClient, bench: Any, name: str) -> None:
    position = bench.corpus.position
    bench.corpus.position = lambda image: 41 if image == name else position(image)
    found, expected = (client.get(f"{API}/runs/lenet/predictions/{image}").json() for image in (name, "test-1"))
    assert found["probabilities"] == expected["probabilities"]
    pictures = [client.get(f"{API}/corpora/noise/images/{image}.png").content for image in (name, "test-1")]
    assert pictures[0] == pictures[1]
    assert client.get(f"{API}/runs/lenet/sweeps/blur/{name}", params={"count": 2}).status_code == 200
    assert client.get(f"{API}/corpora/noise/images/{name}~mirror=1.png").content != pictures[0]


def test_an_own_image_may_stand_wherever_an_image_may(client: TestClient) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    added = client.post(f"{API}/own-images", content=png(pixels), headers=OWN).json()
    assert (added["rows"], added["columns"], added["channels"]) == (12, 12, 3)
    image = added["image"]
    np.testing.assert_array_equal(picture(client.get(f"{API}/own-images/{image}.png").content), pixels)
    shifted = picture(client.get(f"{API}/own-images/{image}~mirror=1.png").content)
    np.testing.assert_array_equal(shifted, pixels[:, ::-1])
    assert client.get(f"{API}/runs/lenet/predictions/{image}").status_code == 200
    assert client.get(f"{API}/corpora/noise/images/{image}.png").status_code == 200
    sweep = client.get(f"{API}/runs/lenet/sweeps/blur/{image}", params={"count": 2})
    assert json.loads(sweep.text.splitlines()[0])["sweep"]["class"] is not None


def test_own_images_come_from_pages_of_ours_and_are_pictures(client: TestClient) -> None:
    assert client.post(f"{API}/own-images", content=b"x").status_code == 403
    assert client.post(f"{API}/own-images", content=b"x", headers=OWN).status_code in (400, 422)
    assert client.get(f"{API}/own-images/own-{'0' * 32}.png").status_code == 404


def test_a_sweep_follows_the_class_of_its_image(client: TestClient) -> None:
    address = f"{API}/runs/lenet/sweeps/shift-right/test-1"
    lines = [
        json.loads(line) for line in client.get(address, params={"low": -2, "high": 2, "count": 5}).text.splitlines()
    ]
    assert lines[0]["sweep"]["amounts"] == [-2, -1, 0, 1, 2]
    assert lines[0]["sweep"]["class"] == 1
    neutral = [line for line in lines if line.get("amount") == 2]
    assert all(distance == 0 for line in neutral for row in line["distances"] for distance in row)
    assert lines[-1] == {"done": True}
    assert client.get(address, params={"count": 1}).status_code == 400
    assert client.get(f"{API}/runs/lenet/sweeps/taste/test-1").status_code in (400, 422)


def test_the_changes_are_listed(client: TestClient) -> None:
    listed = client.get(f"{API}/image-changes").json()["changes"]
    assert [each["name"] for each in listed] == list(CHANGES)
