"""How passwords are kept: hashed, salted, and the same however their letters were typed."""

from __future__ import annotations

from mloscope.app.accounts.passwords import NOBODYS_PASSWORD, check_password, hash_password

PASSWORD = "correct horse"


def test_a_password_is_kept_as_a_salted_argon2_hash() -> None:
    one, other = hash_password(PASSWORD), hash_password(PASSWORD)
    assert one.startswith("$argon2id$v=19$m=32768,t=4,p=1$")
    assert one != other
    assert PASSWORD not in one
    assert check_password(PASSWORD, one) == (True, None)
    assert check_password(PASSWORD + " ", one) == (False, None)


def test_the_same_letters_typed_otherwise_are_the_same_password() -> None:
    assert check_password("cafe\u0301 au lait", hash_password("caf\u00e9 au lait"))[0]


def test_nobodys_password_takes_as_long_as_anybodys_and_never_fits() -> None:
    assert NOBODYS_PASSWORD.split("$")[:4] == hash_password(PASSWORD).split("$")[:4]
    assert check_password("", NOBODYS_PASSWORD) == (False, None)


def test_a_hash_made_with_other_parameters_is_to_be_replaced() -> None:
    weak = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$" + "4Smw+8uJE9vkMuQHTI8JCch07funn1w88/v1CwyXAOw"
    fits, better = check_password(PASSWORD, weak)
    assert fits
    assert better is not None
    assert check_password(PASSWORD, better) == (True, None)
