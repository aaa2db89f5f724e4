"""The clock on the wall jumps, for web workers and Redis, while somebody asks. A row of docs/faults.md."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
from team import WELL_WITHIN_S, Team, Witness, until

from mloscope.app.accounts.users import UserFile

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(400)]

PASSWORD = "a password of hers"
HOUR_S = 3600


class Clock:
    """The clock that programs see which were started with :attr:`environment`."""

    def __init__(self, folder: Path) -> None:
        library, self._file = folder / "shifted_clock.so", folder / "shift"
        self.jump_to(0)
        source = Path(__file__).with_name("shifted_clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
        self.environment = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK_FILE": str(self._file)}

    def jump_to(self, shift_s: int) -> None:
        """So far from the true time."""
        with open(self._file, "r+b" if self._file.exists() else "wb") as file:  # in place, for it is mapped
            file.write(shift_s.to_bytes(8, sys.byteorder, signed=True))


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (apt: gcc libc6-dev)")
    return Clock(tmp_path_factory.mktemp("clock"))


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


@pytest.mark.parametrize(("hours", "ends_sessions"), [(1, False), (48, True), (-48, True)])
def test_the_clock_jumps(
    clock: Clock, timed_team: Team, measured: Callable[..., None], hours: int, ends_sessions: bool
):
    team = timed_team
    clock.jump_to(0)
    time.sleep(0.2)
    team.be_well()
    cookie = signed_in(team)
    assert status_with(team, cookie)[0] == 200
    seen = server_time(team)
    with Witness(team) as witness:
        time.sleep(1)
        clock.jump_to(hours * HOUR_S)
        jumped = time.monotonic()
        time.sleep(3)
        well_s = until(team.caches, "all is well after the jump", WELL_WITHIN_S)
        status, body = status_with(team, cookie)
        assert abs(server_time(team) - seen) > 1000, "the server saw the jump"
        if ends_sessions:
            assert status == 401
            assert b"This sign-in is over; sign in again." in body
        else:
            assert status == 200
        assert status_with(team, signed_in(team))[0] == 200, "one can sign in at once"
        clock.jump_to(0)
        back = time.monotonic()
        time.sleep(3)
        well_s = max(well_s, until(team.caches, "all is well when the clock is right again", WELL_WITHIN_S))
        assert status_with(team, signed_in(team))[0] == 200
    assert witness.wrong == []
    assert witness.problems == set()
    assert witness.last_refusal_after(jumped) == witness.last_refusal_after(back) == 0
    measured(f"the clock jumps by {hours:+d} h, and back", well_s=well_s, slowest_s=witness.slowest_s)


def server_time(team: Team) -> float:
    """The web process's clock, in seconds since 1970, as HTTP's Date tells it."""
    from email.utils import parsedate_to_datetime

    _, headers, _ = team.ask("/healthz")
    return parsedate_to_datetime({name.lower(): value for name, value in headers.items()}["date"]).timestamp()
