"""``mloscope.notebook.show``: one server per run and images, a frame and a link, and what is said where there is no server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from mloscope.app.errors import BadRequest, NotFound, Unavailable
from mloscope.app.serving.notebook import Servers, show

UP = 'print("ML-o-scope listens on http://127.0.0.1:4711 (Ctrl-C stops it).", flush=True); input()'


class Started:
    """Starts a program in place of a server, and remembers what it was to show."""

    def __init__(self, program: str = UP) -> None:
        self.program = program
        self.words: list[tuple[str, ...]] = []

    def __call__(self, words: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        self.words.append(tuple(words))
        command = [sys.executable, "-c", self.program]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)


@pytest.fixture
def started() -> Started:
    return Started()


@pytest.fixture
def servers(started: Started) -> Iterator[Servers]:
    made = Servers(started, patience_s=20)
    yield made
    made.stop()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_the_cell_shows_a_frame_and_a_link(run: Path, servers: Servers) -> None:
    view = show(run, view='layer=conv"2', page="/compare", height=400, servers=servers)

    html = view._repr_html_()
    assert '<iframe src="http://127.0.0.1:4711/compare#layer=conv&quot;2"' in html
    assert 'height="400"' in html
    assert '<a href="http://127.0.0.1:4711/compare#' in html


def test_the_same_run_and_images_again_reuse_the_server(run: Path, servers: Servers, started: Started) -> None:
    first, again = show(run, servers=servers), show(str(run), view="step=20", servers=servers)
    other = show([run, run], run, options=["--scale", "1"], servers=servers)

    assert again.server is first.server
    assert other.server is not first.server
    assert started.words == [(str(run),), (str(run), str(run), "--images", str(run), "--scale", "1")]


def test_a_server_that_ended_is_started_again(run: Path, servers: Servers, started: Started) -> None:
    first = show(run, servers=servers)
    first.stop()

    assert show(run, servers=servers).server.is_up()
    assert len(started.words) == 2


def test_what_is_wrong_is_said(run: Path, servers: Servers) -> None:
    with pytest.raises(NotFound, match="nowhere does not exist"):
        show(run / "nowhere", servers=servers)
    with pytest.raises(BadRequest, match="got 10"):
        show(run, height=10, servers=servers)
    with pytest.raises(Unavailable, match="No adaptor can read it"):
        show(run, servers=Servers(Started('print("No adaptor can read it.")'), patience_s=20))


def test_notebooks_import_it() -> None:
    names: dict[str, Any] = {}
    exec((Path(__file__).parents[3] / "notebook" / "__init__.py").read_text(), names)

    assert names["show"] is show
