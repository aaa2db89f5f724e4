"""The clock on the wall jumps, for the web workers and Redis, while somebody asks. A row of docs/faults.md."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
from team import WELL_WITHIN_S, Team, Witness, until

from mloscope.app.web.doors.users import UserFile

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(400)]

PASSWORD = "a password of hers"
PRELOADED = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


class Clock:
    """The clock that programs see which were started with :attr:`environment`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump_to("+0")
        self.environment = {
            "LD_PRELOAD": str(PRELOADED), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip

    def jump_to(self, offset: str) -> None:
        """Such as ``+1d`` or ``-1h``: that far from the true time."""
        made = self._file.with_suffix(".new")
        made.write_text(offset + "\n")
        made.replace(self._file)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    if not PRELOADED.exists():
        pytest.skip("no libfaketime (apt: faketime)")
    return Clock(tmp_path_factory.mktemp("clock") / "offset")


@pytest.fixture(scope="module")
def timed_team(clock: Clock, subjects: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    users = UserFile(folder / "users.json")
    users.put_user("anna", PASSWORD, "editor")
    token = users.add_token("witness", "editor")
    team = Team(subjects, folder, services=1, environment=clock.environment)
    team.redis.environment = clock.environment
    team.headers = {"authorization": f"Bearer {token}"}
    with team:
        yield team


def signed_in(team: Team) -> str:
    """The cookie of a fresh sign-in."""
    http = urllib3.PoolManager(retries=False)
    page = http.request("GET", f"{team.address}/login")
    token = re.search(rb'name="token" value="([^"]+)"', page.data)[1].decode()  # type: ignore[index]
    csrf = page.headers["set-cookie"].partition(";")[0]
    form = {"token": token, "next": "/", "name": "anna", "password": PASSWORD}
    answer = http.request(
        "POST", f"{team.address}/login", redirect=False, fields=form, encode_multipart=False,
        headers={"cookie": csrf, "origin": team.address},
    )  # fmt: skip
    assert answer.status == 303, answer.data
    return answer.headers["set-cookie"].partition(";")[0]


def status_with(team: Team, cookie: str) -> tuple[int, bytes]:
    answer = urllib3.request("GET", f"{team.address}/api/v1/runs", headers={"cookie": cookie}, retries=False)
    return answer.status, answer.data


@pytest.mark.parametrize(("offset", "ends_sessions"), [("+30m", False), ("+2d", True), ("-2d", True)])
def test_the_clock_jumps(
    clock: Clock, timed_team: Team, measured: Callable[..., None], offset: str, ends_sessions: bool
):
    team = timed_team
    clock.jump_to("+0")
    time.sleep(0.2)
    team.be_well()
    cookie = signed_in(team)
    assert status_with(team, cookie)[0] == 200
    seen = server_time(team)
    with Witness(team) as witness:
        time.sleep(1)
        clock.jump_to(offset)
        jumped = time.monotonic()
        time.sleep(3)
        well_s = until(team.is_well, "all is well after the jump", WELL_WITHIN_S)
        status, body = status_with(team, cookie)
        assert abs(server_time(team) - seen) > 1000, "the server saw the jump"
        if ends_sessions:
            assert status == 401
            assert b"This sign-in is over; reload the page to sign in again." in body
        else:
            assert status == 200
        assert status_with(team, signed_in(team))[0] == 200, "one can sign in at once"
        clock.jump_to("+0")
        back = time.monotonic()
        time.sleep(3)
        well_s = max(well_s, until(team.is_well, "all is well when the clock is right again", WELL_WITHIN_S))
        assert status_with(team, signed_in(team))[0] == 200
        image = team.unseen_image()
        team.predictions(image)
        before = team.evaluated()
        assert team.is_right(team.predictions(image))
        assert team.evaluated() == before, "what is cached stays so"
    assert witness.wrong == []
    assert witness.problems == set()
    assert witness.last_refusal_after(jumped) == witness.last_refusal_after(back) == 0
    measured(f"the clock jumps by {offset}", well_s=well_s, slowest_s=witness.slowest_s)


def server_time(team: Team) -> float:
    """The web process's clock, in seconds since 1970, as HTTP's Date tells it."""
    from email.utils import parsedate_to_datetime

    _, headers, _ = team.ask("/healthz")
    return parsedate_to_datetime({name.lower(): value for name, value in headers.items()}["date"]).timestamp()
