"""Whose request it is: tokens, sessions, the word of proxies, and what none of them can be made to say."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import anyio
import pytest
from itsdangerous import URLSafeSerializer

from mloscope.app.accounts.users import UserFile
from mloscope.app.errors import BadRequest, NotSignedIn, TooManyRequests
from mloscope.app.process.settings import Settings
from mloscope.app.web.access.authentication import (
    Authentication,
    Origin,
    check_address,
    is_loopback,
)

PASSWORD = "correct horse"

HERE = Origin("10.0.0.7", "http", False)
PROXY = (ip_network("172.18.0.0/24"),)


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(residents: Path, tmp_path: Path) -> UserFile:
    path = tmp_path / "users.json"
    path.write_bytes(residents.read_bytes())
    return UserFile(path)


@pytest.fixture
def authentication(users: UserFile, clock: Clock) -> Callable[..., Authentication]:
    return lambda **settings: Authentication(Settings(**settings), users, clock, clock)


def sign_in(
    authentication: Authentication, name: str = "anna", password: str = PASSWORD, address: str = "1.2.3.4"
) -> str:
    return anyio.run(authentication.sign_in, name, password, address)


def of_cookie(authentication: Authentication, cookie: str) -> Any:
    return authentication.caller(HERE, {}, {authentication.session_cookie: cookie})


# --------------------------------------------------------------------------------------------------- demanded


def test_with_nobody_in_the_file_everybody_is_an_editor(tmp_path: Path) -> None:
    caller = Authentication(Settings(), UserFile(tmp_path / "none.json")).caller(HERE, {}, {})
    assert (caller.name, caller.role, caller.via, caller.address) == ("", "editor", "open", "10.0.0.7")


def test_the_first_user_closes_the_door_and_a_lost_file_does_not_open_it(tmp_path: Path) -> None:
    users = UserFile(tmp_path / "users.json")
    authentication = Authentication(Settings(), users)
    assert not authentication.demanded
    users.add_token("nightly", "viewer")
    assert authentication.demanded
    users.path.unlink()
    assert authentication.demanded
    with pytest.raises(NotSignedIn):
        authentication.caller(HERE, {}, {})


def test_unprotected_asks_nobody(authentication: Callable[..., Authentication]) -> None:
    assert authentication(unprotected=True).caller(HERE, {}, {}).via == "open"


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("a.localhost", True),
     ("0.0.0.0", False), ("::", False), ("", False), ("10.0.0.7", False), ("gpu1", False)],
)  # fmt: skip
def test_other_addresses_than_loopback_need_users_or_a_word(
    host: str, alone: bool, users: UserFile, tmp_path: Path
) -> None:
    assert is_loopback(host) is alone
    nobody = UserFile(tmp_path / "none.json")
    settings = Settings(host=host)
    if alone:
        check_address(settings, Authentication(settings, nobody))
    else:
        with pytest.raises(BadRequest, match=r"mloscope user add NAME, or say --unprotected"):
            check_address(settings, Authentication(settings, nobody))
    check_address(settings, Authentication(settings, users))
    free = Settings(host=host, unprotected=True)
    check_address(free, Authentication(free, nobody))
    proxied = Settings(host=host, proxy_user_header="x-user", trusted_proxies=PROXY)
    check_address(proxied, Authentication(proxied, nobody))


# ----------------------------------------------------------------------------------------------------- tokens


def test_a_token_says_who_and_what_they_may(authentication: Callable[..., Authentication], users: UserFile) -> None:
    text = users.add_token("nightly", "viewer")
    caller = authentication().caller(HERE, {"authorization": f"bearer {text}"}, {})
    assert (caller.name, caller.role, caller.via) == ("nightly", "viewer", "token")
    users.remove_token("nightly")
    with pytest.raises(NotSignedIn, match="invalid, expired or revoked"):
        authentication().caller(HERE, {"authorization": f"Bearer {text}"}, {})


def test_a_wrong_token_is_not_made_up_for_by_a_session(authentication: Callable[..., Authentication]) -> None:
    access = authentication()
    cookies = {access.session_cookie: sign_in(access)}
    with pytest.raises(NotSignedIn):
        access.caller(HERE, {"authorization": "Bearer mloscope_wrong"}, cookies)


# --------------------------------------------------------------------------------------------------- sessions


def test_a_session_says_who_until_it_is_over(authentication: Callable[..., Authentication], clock: Clock) -> None:
    access = authentication(session_s=3600.0)
    cookie = sign_in(access)
    caller = of_cookie(access, cookie)
    assert (caller.name, caller.role, caller.via) == ("anna", "editor", "session")
    clock.now += 3599
    assert of_cookie(access, cookie).name == "anna"
    clock.now += 2
    with pytest.raises(NotSignedIn, match="over"):
        of_cookie(access, cookie)


@pytest.mark.parametrize("change", ["password", "removed", "no password"])
def test_a_session_ends_with_the_password(
    authentication: Callable[..., Authentication], users: UserFile, change: str
) -> None:
    access = authentication()
    cookie = sign_in(access)
    if change == "removed":
        users.remove_user("anna")
    else:
        users.put_user("anna", PASSWORD if change == "password" else None, "editor")
    with pytest.raises(NotSignedIn):
        of_cookie(access, cookie)


def test_a_role_is_taken_back_at_once(authentication: Callable[..., Authentication], users: UserFile) -> None:
    access = authentication()
    cookie = sign_in(access, "vera")
    text = users.path.read_text()
    assert of_cookie(access, cookie).role == "viewer"
    assert text.count('"viewer"') == 1
    replacement = users.path.with_name("new.json")
    replacement.write_text(text.replace('"viewer"', '"editor"'))
    replacement.replace(users.path)
    assert of_cookie(access, cookie).role == "editor"


def test_forged_sessions_are_none(authentication: Callable[..., Authentication], users: UserFile, clock: Clock) -> None:
    access = authentication()
    cookie = sign_in(access)
    payload, _, signature = cookie.rpartition(".")
    value = ["anna", users.stamp("anna"), int(clock.now)]
    forged = [
        "", ".", "x.y", payload, f"{payload}.", f"{payload}.{signature[::-1]}", f"{payload[:-2]}xx.{signature}",
        URLSafeSerializer("", salt="mloscope session").dumps(value),
        URLSafeSerializer("another secret", salt="mloscope session").dumps(value),
        URLSafeSerializer(users.signing_key, salt="another use").dumps(value),
    ]  # fmt: skip
    for attempt in forged:
        with pytest.raises(NotSignedIn, match="over"):
            of_cookie(access, str(attempt))


def test_a_clock_that_was_set_back_ends_sessions_of_the_future(
    authentication: Callable[..., Authentication], clock: Clock
) -> None:
    access = authentication()
    cookie = sign_in(access)
    clock.now -= 3600
    with pytest.raises(NotSignedIn):
        of_cookie(access, cookie)


# -------------------------------------------------------------------------------------------------- passwords


def test_wrong_names_and_passwords_read_the_same(authentication: Callable[..., Authentication]) -> None:
    access = authentication()
    said = set()
    for name, password in (("anna", "wrong horse"), ("nobody", PASSWORD), ("", "")):
        with pytest.raises(NotSignedIn) as refusal:
            sign_in(access, name, password)
        said.add(str(refusal.value))
    assert said == {"The name or the password is wrong."}


def test_what_was_tried_is_not_logged(
    authentication: Callable[..., Authentication], caplog: pytest.LogCaptureFixture
) -> None:
    access = authentication()
    for name, password in (("anna", "wrong horse"), ("my password by mistake", "x")):
        with pytest.raises(NotSignedIn):
            sign_in(access, name, password)
    assert 'Failed sign-in as "anna" from' in caplog.text
    assert "unknown user" in caplog.text
    assert "horse" not in caplog.text
    assert "mistake" not in caplog.text


def test_guessing_is_slow_from_one_address_and_for_one_name(
    authentication: Callable[..., Authentication], clock: Clock
) -> None:
    access = authentication()

    def tries(count: int, name: str, address: str) -> int:
        """How many are looked at."""
        looked = 0
        for _ in range(count):
            try:
                sign_in(access, name, "wrong horse", address)
            except NotSignedIn:
                looked += 1
            except TooManyRequests as refusal:
                waits.append(refusal.retry_after_s)
        return looked

    waits: list[float] = []

    assert tries(13, "anna", "2001:db8::1") == 10
    assert tries(1, "vera", "2001:db8::ffff") == 0  # the same household
    clock.now += 10
    assert tries(2, "anna", "2001:db8::1") == 1
    assert sum(tries(10, "anna", f"10.0.{n}.1") for n in range(3)) < 30  # the name has its own allowance
    assert sign_in(access, "vera", PASSWORD, "10.1.1.1")
    assert 0 < min(waits) <= max(waits) <= 10


# ---------------------------------------------------------------------------------------------------- proxies


def proxied(authentication: Callable[..., Authentication], peer: str, **headers: str) -> Any:
    access = authentication(proxy_user_header="x-forwarded-user", trusted_proxies=PROXY)
    lower = {name.replace("_", "-"): value for name, value in headers.items()}
    return access.caller(access.origin(peer, "http", lower), lower, {})


def test_a_trusted_proxy_names_users_and_the_file_their_role(authentication: Callable[..., Authentication]) -> None:
    known = proxied(authentication, "172.18.0.5", x_forwarded_user="anna", x_forwarded_for="10.1.2.3")
    assert (known.name, known.role, known.via, known.address) == ("anna", "editor", "proxy", "10.1.2.3")
    assert proxied(authentication, "172.18.0.5", x_forwarded_user="carl@lab.org").role == "viewer"
    assert proxied(authentication, "::ffff:172.18.0.5", x_forwarded_user="anna").name == "anna"


@pytest.mark.parametrize("peer", ["10.0.0.7", "172.19.0.5", "127.0.0.1", "", "::1"])
def test_from_anywhere_else_the_header_means_nothing(authentication: Callable[..., Authentication], peer: str) -> None:
    with pytest.raises(NotSignedIn):
        proxied(authentication, peer, x_forwarded_user="anna", x_forwarded_for="172.18.0.5")


@pytest.mark.parametrize("name", ["anna, eve", "anna\x00", "<b>"])
def test_a_header_that_came_twice_names_nobody(authentication: Callable[..., Authentication], name: str) -> None:
    with pytest.raises(NotSignedIn, match="names nobody"):
        proxied(authentication, "172.18.0.5", x_forwarded_user=name)


def test_a_header_without_a_proxy_to_trust_is_refused_at_the_start(users: UserFile) -> None:
    with pytest.raises(BadRequest, match="MLOSCOPE_TRUSTED_PROXIES names no proxy"):
        Authentication(Settings(proxy_user_header="x-user"), users)


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("6.6.6.6, 10.1.2.3", "10.1.2.3"),  # the visitor made up the first
        ("10.1.2.3, 172.18.0.9", "10.1.2.3"),  # two proxies of ours
        ("nonsense", "172.18.0.5"),
        ("10.1.2.3, nonsense", "172.18.0.5"),
        ("", "172.18.0.5"),
        ("203.0.113.9:40000", "203.0.113.9"),
        ("6.6.6.6:1, 203.0.113.9:40000, 172.18.0.9:50000", "203.0.113.9"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:40000", "2001:db8::1"),
        ('"[2001:db8::1]:40000"', "2001:db8::1"),
        ('for="[2001:db8::1]:40000"', "2001:db8::1"),
        ("For=203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:40000", "fe80::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:40000", "203.0.113.9"),
        ("unknown", "172.18.0.5"),
        ("203.0.113.9, unknown", "172.18.0.5"),
        ("_hidden", "172.18.0.5"),
        ("203.0.113.9:, [::1", "172.18.0.5"),
        ("203.0.113.9:400000", "172.18.0.5"),
    ],
)
def test_the_visitor_s_address_is_the_one_that_our_proxy_saw(
    authentication: Callable[..., Authentication], chain: str, address: str
) -> None:
    access = authentication(trusted_proxies=PROXY)
    origin = access.origin("172.18.0.5", "http", {"x-forwarded-for": chain, "x-forwarded-proto": "https"})
    assert origin == Origin(address, "https", True)
    assert access.origin("10.0.0.7", "http", {"x-forwarded-for": chain, "x-forwarded-proto": "https"}) == HERE


def test_whoever_tries_passwords_shuts_out_nobody_else_behind_a_proxy_that_writes_ports(
    authentication: Callable[..., Authentication],
) -> None:
    access = authentication(trusted_proxies=PROXY)

    def address(hop: str) -> str:
        return access.origin("172.18.0.5", "http", {"x-forwarded-for": hop}).address

    for port in range(40_000, 40_012):
        with pytest.raises((NotSignedIn, TooManyRequests)) as refusal:
            anyio.run(access.sign_in, "nobody", "wrong", address(f"203.0.113.9:{port}"))
    assert refusal.type is TooManyRequests
    assert anyio.run(access.sign_in, "anna", PASSWORD, address("198.51.100.7:51000"))


def test_of_several_schemes_the_nearest_proxy_wrote_the_last(authentication: Callable[..., Authentication]) -> None:
    access = authentication(trusted_proxies=PROXY)
    assert access.origin("172.18.0.5", "http", {"x-forwarded-proto": "http, https"}).scheme == "https"
    assert access.origin("172.18.0.5", "http", {"x-forwarded-proto": "https, gopher"}).scheme == "http"
