"""How passwords are kept: as Argon2id hashes. The scrypt hashes of earlier versions are still accepted, and replaced at a sign-in."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pwdlib import PasswordHash

LONGEST_PASSWORD_BYTES = 1024

NOBODYS_PASSWORD = f"$argon2id$v=19$m=32768,t=4,p=1${'A' * 22}${'A' * 43}"
"""A hash that no password has. Tried for names that do not exist, so that they take as long as those that do."""


@functools.cache
def _hashes() -> PasswordHash:
    # Imported with the first password: most processes never see one.
    from pwdlib import PasswordHash
    from pwdlib.hashers.argon2 import Argon2Hasher

    # More than OWASP's Password Storage Cheat Sheet asks for (19 MiB, t=2): 32 MiB, about 0.1 s.
    return PasswordHash((Argon2Hasher(time_cost=4, memory_cost=1 << 15, parallelism=1), _Scrypt()))


def hash_password(password: str) -> str:
    return _hashes().hash(_normalised(password))


def check_password(password: str, hashed: str) -> tuple[bool, str | None]:
    """Whether it is the password that was hashed; and if so, the hash to keep instead, None while the present one will do."""
    return _hashes().verify_and_update(_normalised(password), hashed)


def _normalised(password: str) -> bytes:
    """Password bytes. The same letters can be typed as different code points, depending on the keyboard."""
    return unicodedata.normalize("NFKC", password).encode()[:LONGEST_PASSWORD_BYTES]


class _Scrypt:
    """Hashes of earlier versions, ``scrypt:n:r:p:salt:hash``, the last two in base64. Only verified, never made."""

    @classmethod
    def identify(cls, hashed: str) -> bool:
        return hashed.startswith("scrypt:")

    def verify(self, password: bytes, hashed: str) -> bool:
        _, n, r, p, salt, expected = hashed.split(":")
        found = hashlib.scrypt(
            password, salt=base64.b64decode(salt), n=int(n), r=int(r), p=int(p), maxmem=1 << 26, dklen=32
        )
        return hmac.compare_digest(found, base64.b64decode(expected))

    def hash(self, password: bytes, *, salt: bytes | None = None) -> str:
        raise NotImplementedError

    def check_needs_rehash(self, hashed: str) -> bool:
        return True
