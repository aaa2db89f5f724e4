"""The network between web and model service is cut, in namespaces of our own. A row of docs/faults.md."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from team import WELL_WITHIN_S, Program, Team, Witness, model_service, until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(400)]

HERE, THERE = "198.51.100.1", "198.51.100.2"
"""Addresses that are nobody's (RFC 5737)."""
PORT = 8060


class Link:
    """Two ends of a cable, one of them in a namespace: as good as another machine."""

    def __init__(self) -> None:
        self.name = f"mloscope-{os.getpid()}"
        self.here, self.there = f"mlo{os.getpid()}a", f"mlo{os.getpid()}b"  # 15 letters at most
        self.inside = ["ip", "netns", "exec", self.name]

    def ip(self, *words: str) -> None:
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")

    def __enter__(self) -> Link:
        self.ip("netns", "add", self.name)
        self.ip("link", "add", self.here, "type", "veth", "peer", "name", self.there, "netns", self.name)
        self.ip("addr", "add", f"{HERE}/30", "dev", self.here)
        self.ip("link", "set", self.here, "up")
        self.ip("-n", self.name, "addr", "add", f"{THERE}/30", "dev", self.there)
        self.ip("-n", self.name, "link", "set", self.there, "up")
        self.ip("-n", self.name, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for words in (("link", "del", self.here), ("netns", "del", self.name)):
            with contextlib.suppress(OSError):
                self.ip(*words)

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """What is sent is lost, and nobody hears of it: there is no reset and no refusal."""
        self.ip("-n", self.name, "link", "set", self.there, "down")
        yield
        self.ip("-n", self.name, "link", "set", self.there, "up")


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    if shutil.which("ip") is None:
        pytest.skip("no ip (apt: iproute2)")
    link = Link()
    try:
        link.__enter__()
    except OSError as error:
        link.__exit__()
        pytest.skip(f"no network namespace can be made here: {error}")
    yield link
    link.__exit__()


@pytest.fixture(scope="module")
def far_team(link: Link, subjects: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A team whose only model service is at the other end."""
    folder = tmp_path_factory.mktemp("far")
    service = model_service(folder / "service.log", "a secret", port=PORT, host=THERE)
    service.command = [*link.inside, *service.command]
    far = Far(service)
    team = Team(subjects, folder, services=(f"http://{THERE}:{PORT}",), token="a secret")
    team.services = [far]
    with team:
        yield team


class Far(Program):
    """A program that is not on the loopback address."""

    def __init__(self, program: Program) -> None:
        super().__init__(program.command, program.environment, program.log, program.port)

    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None


def test_the_network_to_the_model_service_is_cut(link: Link, far_team: Team, measured: Callable[..., None]):
    with Witness(far_team) as witness:
        time.sleep(1)
        known = [answer.image for answer in witness.answers[:5]]
        with link.cut():
            time.sleep(16)
            assert all(far_team.is_right(far_team.predictions(image)) for image in known), "what is cached is answered"
        gone = time.monotonic()
        well_s = until(far_team.is_well, "all is well with the cable in", WELL_WITHIN_S)
        time.sleep(2)
    assert witness.wrong == []
    assert witness.problems, "somebody noticed"
    assert {p for p in witness.problems if not p.endswith("does not answer.")} == set()
    last_refusal_s = witness.last_refusal_after(gone)
    assert last_refusal_s <= WELL_WITHIN_S
    measured(
        "the network between web and model service cut", well_s=max(well_s, last_refusal_s),
        slowest_s=witness.slowest_s, refusals=sorted(witness.problems),
    )  # fmt: skip
