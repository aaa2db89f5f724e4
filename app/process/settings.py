"""Settings: one table of names, types, defaults and help, from which documentation is generated.

Every setting is an environment variable; a flag of the command line, where there is one, overrides it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from mloscope.app.errors import BadRequest
from mloscope.app.process.home_folder import home_folder
from mloscope.app.process.redaction import without_credentials
from mloscope.app.process.url_prefix import parse as parse_url_prefix

_MIB = 1 << 20
_BYTE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _text(value: str) -> str:
    return value


def _secret(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("printable ASCII, as allowed in an HTTP header (the value is not shown here)")
    return value


def _port(value: str) -> int:
    if not value.isdecimal() or int(value) > 65535:
        raise ValueError("a whole number from 0 to 65535, such as 8050 (0 takes any free port)")
    return int(value)


def parse_bytes(value: str) -> int:
    """Read ``"1500000"``, ``"256M"``, ``"256 MiB"`` or ``"2G"`` as bytes; units are powers of 1024."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", value, re.IGNORECASE)
    if not found:
        raise ValueError('a number of bytes, such as 268435456 or "256M"')
    return int(float(found[1]) * _BYTE_UNITS[found[2].upper()])


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError("a number of seconds above 0, such as 60")
    return seconds


def _url_of(*schemes: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not (parts.hostname or parts.scheme == "unix"):
            raise ValueError(f"an address that begins with {' or '.join(s + '://' for s in schemes)}")
        return value

    return parse


def _urls_of(*schemes: str) -> Callable[[str], str]:
    parse_one = _url_of(*schemes)

    def parse(value: str) -> str:
        urls = [url.strip() for url in value.split(",") if url.strip()] or [value]
        return ",".join(parse_one(url) for url in urls)

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in words:
            raise ValueError(f"{', '.join(words[:-1])} or {words[-1]}")
        return value.lower()

    return parse


def _yes_or_no(value: str) -> bool:
    try:
        return {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}[value.lower()]
    except KeyError:
        raise ValueError("yes or no") from None


def _count(value: str) -> int:
    if not value.isdecimal():
        raise ValueError("a whole number from 0")
    return int(value)


def _folders(value: str) -> tuple[str, ...]:
    folders = tuple(filter(None, map(str.strip, value.split(os.pathsep))))
    if not all(map(os.path.isabs, folders)):
        raise ValueError(f'absolute paths separated by "{os.pathsep}", such as /data/runs')
    return folders


def _words(value: str) -> tuple[str, ...]:
    """Split at commas and spaces, in lower case."""
    return tuple(re.split(r"[,\s]+", value.strip().lower()))


def _ancestors(value: str) -> tuple[str, ...]:
    origins = _words(value)
    for origin in origins:
        if not re.fullmatch(r"https?://(\*\.)?[a-z0-9.-]+(:(\d{1,5}|\*))?|vscode-webview:", origin):
            raise ValueError(
                'origins separated by commas, such as "http://localhost:*" or "https://hub.lab.org", or "vscode-webview:"'
            )
    return origins


def _header(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
        raise ValueError('the name of a header, such as "X-Forwarded-User"')
    return value.lower()


def _networks(value: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    right = 'addresses or networks separated by commas, such as "172.18.0.2" or "10.0.5.0/24"'
    try:
        networks = tuple(ipaddress.ip_network(word, strict=False) for word in _words(value))
    except ValueError:
        raise ValueError(right) from None
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError(f"{right}; a network of all addresses cannot be trusted")
    return networks


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    name: str
    default: Any
    parse: Callable[[str], Any]
    """Turns the variable's text into the value; raises ValueError saying what is expected."""
    kind: str
    """The type in words, for the documentation."""
    help: str

    @property
    def variable(self) -> str:
        return f"MLOSCOPE_{self.name.upper()}"


def _setting(default: Any, parse: Callable[[str], Any], kind: str, help: str) -> Any:
    return field(default=default, metadata={"parse": parse, "kind": kind, "help": help})


@dataclass(frozen=True)
class Settings:
    """The settings in force. The class body is the table."""

    host: str = _setting("127.0.0.1", _text, "address", "Address that the web server listens on.")
    port: int = _setting(8050, _port, "port", "Port that the web server listens on; 0 takes any free port.")
    url_prefix: str = _setting(
        "",
        parse_url_prefix,
        "path",
        "Path below which browsers see this server, such as `/tools/mloscope`; the proxy in front may keep it or strip it. "
        "A trusted proxy may send it as `X-Forwarded-Prefix` instead.",
    )
    workspace: str | None = _setting(None, _text, "file", "The workspace file that names runs and corpora.")
    redis_url: str | None = _setting(
        None,
        _url_of("redis", "rediss", "unix"),
        "URL",
        "Redis for results, shared by several web processes. Without it results are kept in memory.",
    )
    cache_budget_bytes: int = _setting(
        256 * _MIB,
        parse_bytes,
        "bytes",
        "Memory for results if there is no Redis; the least recently used are evicted first.",
    )
    cache_folder: str | None = _setting(
        None,
        _text,
        "folder",
        "Folder for statistics, saved views and compressed scripts. Default: `MLOSCOPE_HOME`, else `mloscope` in the user's cache folder.",
    )
    film_chunk_bytes: int = _setting(
        2 * _MIB,
        parse_bytes,
        "bytes",
        "Largest chunk of a film; smaller chunks appear sooner, larger ones need fewer requests.",
    )
    model_service_url: str | None = _setting(
        None,
        _urls_of("http", "https"),
        "URL",
        "A model service that runs elsewhere, or several separated by commas; a name with several addresses counts as "
        "several. Without it a model service is started as a child process.",
    )
    model_service_token: str | None = _setting(
        None,
        _secret,
        "secret",
        "Secret shared by the web process and the model service; needed if others can reach its port.",
    )
    model_service_timeout_s: float = _setting(120.0, _seconds, "seconds", "Timeout of an evaluation.")
    weights_budget_bytes: int = _setting(
        512 * _MIB,
        parse_bytes,
        "bytes",
        "Memory in which the model service keeps weights of checkpoints.",
    )
    dask_address: str | None = _setting(
        None,
        _url_of("tcp", "tls"),
        "URL",
        "A Dask scheduler whose workers compute statistics. Without it this machine computes them.",
    )
    watch_runs: str | None = _setting(
        None, _text, "folder", "Every folder and run file in it is connected as a run, including those added later."
    )
    watch_corpora: str | None = _setting(
        None,
        _text,
        "folder",
        "Every folder and image file in it is connected as a corpus, including those added later.",
    )
    connect_folders: tuple[str, ...] | None = _setting(
        None,
        _folders,
        "folders",
        "Folders from which an editor may connect runs on the page Runs, separated by `:` (`;` on Windows). "
        "Default: those in which the runs lie that the server was started with.",
    )
    unprotected: bool = _setting(
        False,
        _yes_or_no,
        "yes or no",
        "Let in anyone who reaches the address, without asking who they are, even if there are users.",
    )
    users_file: str | None = _setting(
        None,
        _text,
        "file",
        "Where `mloscope user` and `mloscope token` keep who may sign in. "
        "Default: `mloscope/users.json` in the user's configuration folder.",
    )
    session_s: float = _setting(43200.0, _seconds, "seconds", "How long a sign-in lasts.")
    allowed_hosts: tuple[str, ...] | None = _setting(
        None,
        _words,
        "names",
        "Host names under which browsers may reach this server, separated by commas; `.lab.org` means all below it. "
        "The name in `MLOSCOPE_HOST`, `localhost` and IP addresses are always allowed.",
    )
    frame_ancestors: tuple[str, ...] | None = _setting(
        None,
        _ancestors,
        "origins",
        "Pages that may show this server's pages in a frame, such as `http://localhost:*` for notebooks of the same machine, "
        "separated by commas. Default: none.",
    )
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] | None = _setting(
        None,
        _networks,
        "addresses",
        "Addresses or networks of reverse proxies that are believed about a visitor's address, scheme and name.",
    )
    proxy_user_header: str | None = _setting(
        None,
        _header,
        "header",
        "Header in which a trusted proxy names who has signed in with it. It is ignored from any other address.",
    )
    evaluations_a_minute: int = _setting(
        6000,
        _count,
        "number",
        "Evaluations (one checkpoint, one image) that each user, or address, may cause per minute; "
        "0 means no limit. Cached results cost nothing.",
    )
    body_limit_bytes: int = _setting(
        16 * _MIB, parse_bytes, "bytes", "Largest request that is accepted; pages send far smaller ones."
    )
    callback_limit_bytes: int = _setting(
        2 * _MIB,
        parse_bytes,
        "bytes",
        "Largest request of a page's own callbacks; for a run with 1,000 checkpoints they have about 100 kB.",
    )
    log_format: str = _setting(
        "text", _one_of("text", "json"), "word", "text, or json: one object per line, requests included."
    )
    log_level: str = _setting(
        "info",
        _one_of("debug", "info", "warning", "error"),
        "word",
        "How much is logged: debug, info, warning or error.",
    )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be logged or shown."""
        urls = [url for each in (self.redis_url, self.model_service_url) if each for url in each.split(",")]
        passwords = [urlsplit(url).password for url in urls]
        return tuple(filter(None, (self.model_service_token, *passwords)))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], but: Container[str] = ()) -> Self:
        """Read the settings from variables, e.g. ``os.environ``, without white space around them. Empty variables count as not
        set, and so do those of the settings named in ``but``: given by a flag, or of no use here.

        Raises :class:`BadRequest` naming the variable, its value unless that is a secret, and what is expected.
        """
        found: dict[str, Any] = {}
        for setting in TABLE:
            text = environment.get(setting.variable, "").strip()
            if text == "" or setting.name in but or _is_of_kubernetes(setting, text):
                continue
            try:
                found[setting.name] = setting.parse(text)
            except ValueError as error:
                shown = "not usable" if setting.kind == "secret" else f'"{without_credentials(text)}"'
                raise BadRequest(f"{setting.variable} is {shown}; it must be {error}.") from None
        return cls(**found)


def _is_of_kubernetes(setting: Setting, text: str) -> bool:
    """Whether Kubernetes, or a link of Docker's, set the variable: for a service called ``mloscope`` they set ``MLOSCOPE_PORT``
    to its address, ``tcp://10.96.12.7:8050``."""
    return setting.kind == "port" and re.fullmatch(r"(tcp|udp|sctp)://\S+", text) is not None


def user_cache_folder(environment: Mapping[str, str]) -> Path:
    """``$MLOSCOPE_HOME``, else ``mloscope`` in the system's folder for caches. Raises :class:`NoHome`."""
    if home := environment.get("MLOSCOPE_HOME"):
        return Path(home)
    if sys.platform == "win32":
        cache = Path(environment.get("LOCALAPPDATA") or home_folder("MLOSCOPE_HOME") / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = home_folder("MLOSCOPE_HOME") / "Library" / "Caches"
    else:
        cache = Path(environment.get("XDG_CACHE_HOME") or home_folder("MLOSCOPE_HOME") / ".cache")
    return cache / "mloscope"


def cache_folder_of(settings: Settings, environment: Mapping[str, str]) -> Path:
    """The folder that the setting names, else :func:`user_cache_folder`; it may not exist yet. Raises :class:`NoHome`."""
    named = settings.cache_folder
    return Path(named).expanduser().absolute() if named else user_cache_folder(environment)


ABOUT_SERVING = frozenset({"host", "port", "url_prefix"})
"""Settings of servers only: other commands do not read them, so wrong ones do not stop them."""
TABLE: tuple[Setting, ...] = tuple(
    Setting(row.name, row.default, row.metadata["parse"], row.metadata["kind"], row.metadata["help"])
    for row in fields(Settings)
)


def as_markdown() -> str:
    """The table as docs/settings.md shows it."""
    rows = ["| variable | type | default | what it does |", "|---|---|---|---|"]
    for setting in TABLE:
        default = "not set" if setting.default in (None, "") else f"`{setting.default}`"
        rows.append(f"| `{setting.variable}` | {setting.kind} | {default} | {setting.help} |")
    return "\n".join(rows) + "\n"
