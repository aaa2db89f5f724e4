"""Users and tokens: one file, written by ``mloscope user`` and ``mloscope token``, read by the web process.

    {"version": 1, "secret": "...",
     "users": {"anna": {"role": "editor", "password": "$argon2id$v=19$...", "created": "2026-11-23"}},
     "tokens": {"nightly": {"role": "viewer", "digest": "<sha256 of the token>", "created": "2026-11-23"}}}

It holds hashes of passwords and tokens, and the ``secret`` that signs sessions: whoever can read the file can sign in as anyone, so
only its owner may. The path may be a link. Changes take effect with the next request; nothing needs a restart.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import sys
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from mloscope.adaptors.files.regular_files import read_regular
from mloscope.app.accounts import shared_file
from mloscope.app.accounts.passwords import LONGEST_PASSWORD_BYTES, NOBODYS_PASSWORD, check_password, hash_password
from mloscope.app.errors import BadRequest, NotFound, Unavailable
from mloscope.app.process.home_folder import NoHome, home_folder
from mloscope.app.process.request_context import ROLES, Role

if TYPE_CHECKING:
    from mloscope.app.process.settings import Settings

TOKEN_START = "mloscope_"
SHORTEST_PASSWORD = 8
_MOST_BYTES = 64 << 20
_NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"


@dataclass(frozen=True)
class User:
    role: Role
    password: str | None
    """Its hash; None for users who sign in through a proxy only."""
    created: str


@dataclass(frozen=True)
class Token:
    role: Role
    digest: str
    created: str


@dataclass(frozen=True)
class _Contents:
    secret: str
    users: Mapping[str, User]
    tokens: Mapping[str, Token]

    @property
    def token_names(self) -> dict[str, str]:
        """Names by digest."""
        return {token.digest: name for name, token in self.tokens.items()}


_NOBODY = _Contents("", {}, {})


def default_path(environment: Mapping[str, str]) -> Path:
    """``mloscope/users.json`` in the user's configuration folder. Raises :class:`NoHome`."""
    if sys.platform == "win32":
        folder = Path(environment.get("APPDATA") or home_folder("MLOSCOPE_USERS_FILE") / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        folder = home_folder("MLOSCOPE_USERS_FILE") / "Library" / "Application Support"
    else:
        folder = Path(environment.get("XDG_CONFIG_HOME") or home_folder("MLOSCOPE_USERS_FILE") / ".config")
    return folder / "mloscope" / "users.json"


def user_file(settings: Settings, environment: Mapping[str, str]) -> UserFile:
    """The file that the settings name, else the one at the default path. Raises :class:`NoHome`."""
    named = settings.users_file
    return UserFile(Path(named).expanduser() if named else default_path(environment))


def users_of_server(settings: Settings, environment: Mapping[str, str]) -> UserFile:
    """:func:`user_file`; for a process without a home one with nobody in it, as nobody can have been added."""
    try:
        return user_file(settings, environment)
    except NoHome:
        return UserFile(Path(os.devnull) / "users.json")


def _digest(token: str) -> str:
    # Unlike a password a token is 256 random bits: nobody guesses it, however fast the hash.
    return hashlib.sha256(token.encode()).hexdigest()


# ------------------------------------------------------------------------------------------------------ file


class UserFile:
    """Users and tokens by name. Thread-safe; several processes may use one file."""

    def __init__(self, path: Path) -> None:
        """A file that does not exist has nobody in it."""
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._contents = _NOBODY

    def _read(self) -> _Contents:
        """Read the file if it has changed. Raises :class:`Unavailable` if it cannot be read or is damaged."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return _NOBODY
        except OSError as error:
            raise Unavailable(f"The users file {self.path} cannot be read: {error.strerror}.") from None
        if not stat.S_ISREG(found.st_mode):
            raise Unavailable(f"The users file {self.path} cannot be read: it is not a regular file.")
        seen = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)
        with self._lock:
            if seen != self._seen:
                self._contents = _parsed(self.path)
                self._seen = seen
            return self._contents

    # ---- questions

    @property
    def anybody(self) -> bool:
        """Whether the file has a user or a token."""
        contents = self._read()
        return bool(contents.users or contents.tokens)

    @property
    def anybody_with_password(self) -> bool:
        return any(user.password for user in self._read().users.values())

    def users(self) -> Mapping[str, User]:
        return self._read().users

    def user(self, name: str) -> User:
        """Raises :class:`NotFound`."""
        users = self.users()
        if name not in users:
            raise NotFound(f'There is no user "{name}"; the users are: {_listed(users)}.')
        return users[name]

    def tokens(self) -> Mapping[str, Token]:
        return self._read().tokens

    def user_with_password(self, name: str, password: str) -> User | None:
        """Return the user if name and password match. Takes a tenth of a second and 32 MiB. Replaces a hash of an earlier
        version, which ends the sessions that this user has elsewhere."""
        user = self._read().users.get(name)
        hashed = user.password if user is not None else None
        fits, better = check_password(password, hashed or NOBODYS_PASSWORD)
        if not fits or not hashed:
            return None
        if better is not None:
            self._replace_hash(name, hashed, better)
        return user

    def _replace_hash(self, name: str, before: str, better: str) -> None:
        # A file that this process may only read stays as it is.
        with contextlib.suppress(OSError, Unavailable), self._changing() as contents:
            user = contents["users"].get(name)
            if user is not None and user["password"] == before:
                user["password"] = better

    def token(self, text: str) -> tuple[str, Token] | None:
        """Return name and token of this text; None if it is not valid."""
        contents = self._read()
        name = contents.token_names.get(_digest(text))
        return (name, contents.tokens[name]) if name is not None else None

    @property
    def signing_key(self) -> bytes:
        """The key that signs sessions."""
        return self._read().secret.encode()

    def stamp(self, name: str) -> str | None:
        """Changes with the user's password, so that sessions end with it; None where there is no such user."""
        user = self._read().users.get(name)
        if user is None or user.password is None:
            return None
        return hmac.new(self.signing_key, user.password.encode(), "sha256").hexdigest()[:16]

    # ---- changes

    def put_user(self, name: str, password: str | None, role: Role | None = None) -> bool:
        """Add a user, or change their password and role; return whether the user is new. ``password`` None: they sign in
        through a proxy only. ``role`` None: unchanged; viewer for a new user."""
        _check_name(name)
        _check_role(role or "viewer")
        if password is not None:
            _check_password(name, password)
        with self._changing() as contents:
            before = contents["users"].get(name)
            role = role or (before["role"] if before else "viewer")
            hashed = hash_password(password) if password is not None else None
            created = before["created"] if before else _today()
            contents["users"][name] = asdict(User(role, hashed, created))
        return before is None

    def change_password(self, name: str, password: str) -> None:
        """Change the password of an existing user; their sessions end at once."""
        _check_password(name, password)
        with self._changing() as contents:
            self.user(name)
            contents["users"][name]["password"] = hash_password(password)

    def change_role(self, name: str, role: Role) -> None:
        """Change the role of an existing user, in their sessions from the next request on."""
        _check_role(role)
        with self._changing() as contents:
            self.user(name)
            contents["users"][name]["role"] = role

    def remove_user(self, name: str) -> None:
        """Remove the user; their sessions end at once."""
        with self._changing() as contents:
            self.user(name)
            del contents["users"][name]

    def add_token(self, name: str, role: Role) -> str:
        """Make a token and return its text, which is not stored."""
        _check_name(name)
        _check_role(role)
        text = TOKEN_START + secrets.token_urlsafe(32)
        with self._changing() as contents:
            if name in contents["tokens"]:
                raise BadRequest(f'The token "{name}" already exists; revoke it, or choose another name.')
            contents["tokens"][name] = asdict(Token(role, _digest(text), _today()))
        return text

    def remove_token(self, name: str) -> None:
        with self._changing() as contents:
            if contents["tokens"].pop(name, None) is None:
                raise NotFound(f'There is no token "{name}"; the tokens are: {_listed(contents["tokens"])}.')

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """The file's content, to be changed in place; written unless the block raises. See :mod:`.shared_file`."""
        with shared_file.locked(self.path) as target:
            contents = self._read()
            changed: dict[str, Any] = {
                "version": 1,
                "secret": contents.secret or secrets.token_urlsafe(32),
                "users": {name: asdict(user) for name, user in contents.users.items()},
                "tokens": {name: asdict(token) for name, token in contents.tokens.items()},
            }
            yield changed
            shared_file.write(target, json.dumps(changed, indent=1))


def _parsed(path: Path) -> _Contents:
    problem = f"The users file {path} was not written by mloscope user"
    try:
        read = json.loads(read_regular(path, _MOST_BYTES))
        if read["version"] != 1:
            raise Unavailable(f'{problem}: its version is "{read["version"]}"; expected 1.')
        contents = _Contents(
            str(read["secret"]),
            {str(name): User(**user) for name, user in read["users"].items()},
            {str(name): Token(**token) for name, token in read["tokens"].items()},
        )
    except OSError as error:
        raise Unavailable(f"The users file {path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unavailable(f"{problem}; restore it from a backup, or move it away to start with none.") from None
    roles = {entry.role for entry in (*contents.users.values(), *contents.tokens.values())}
    if len(contents.secret) < 32 or not roles <= set(get_args(Role)):
        raise Unavailable(f"{problem}: its secret is too short, or a role is neither viewer nor editor.")
    return contents


def _check_name(name: str) -> None:
    if not re.fullmatch(_NAME, name):
        raise BadRequest(
            f'"{name}" is not a valid name; expected up to 64 letters, digits and . _ @ -, beginning with a letter or digit.'
        )


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise BadRequest(f'"{role}" is not a role; expected {" or ".join(ROLES)}.')


def _check_password(name: str, password: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        raise BadRequest(f"The password has {len(password)} characters; it needs at least {SHORTEST_PASSWORD}.")
    if len(unicodedata.normalize("NFKC", password).encode()) > LONGEST_PASSWORD_BYTES:
        raise BadRequest(f"The password is longer than {LONGEST_PASSWORD_BYTES} bytes.")
    if password.lower() == name.lower():
        raise BadRequest("The password must differ from the name.")


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "none"
