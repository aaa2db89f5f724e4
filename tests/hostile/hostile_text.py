"""Words that want to be a path somewhere else, or break what reads them; always the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

CLIMBS = ("../", "..\\", "....//", "..;/", ".../", "./../", "%2e%2e/", "/../", "..//", "a/../../")
TARGETS = (
    "secrets/passwd",
    "secret.txt",
    "etc/passwd",
    "proc/self/environ",
    "secrets/step_0099.weights.h5",
    "users.json",
    "cache",
)
ODD = (
    ".", "..", "...", "/", "//", "///", "\\", "~", "~root", "~/.ssh/id_rsa", "$HOME", "${HOME}", "%HOME%", "`id`", "$(id)", "|id",
    ";id", "a b", " ", "  ", ". ", ".. ", "con", "CON", "NUL.png", "aux.npy", "LPT1", "C:\\Windows\\win.ini", "C:/x", "\\\\host\\share",
    "//host/share", "file:///etc/passwd", "file://localhost/etc/passwd", "http://127.0.0.1:1/", "gopher://x", "data:,x", "jar:file:/x!/",
    "php://filter", "\x00", "a\x00b", "secret.txt\x00.png", "a\nb", "a\r\nSet-Cookie: a=b", "\x1b[2J", "\x7f", "\u202e", "\u200b", "\ufeff",
    "．．／", "․․/", "‥/", "∕etc∕passwd", "ﬁle", "e\u0301", "é", "\U0001f600", "\ud7ff", "İ", "ß", "ſ", "K", "<script>alert(1)</script>",
    "'\"><img src=x onerror=alert(1)>", "' OR 1=1--", "{{7*7}}", "${7*7}", "{0.__class__}", "%s%n%x", "__proto__", "constructor", "None",
    "null", "nan", "NaN", "inf", "-inf", "True", "[]", "{}", "*", "?", "#", "&", "=", "+", ",", "0", "-0", "00", "1e9", "0x7f", "1_000",
    "-1", "-9223372036854775809", "18446744073709551616", "9" * 40, "9" * 5000, "0-999999999", "0-1000000", "5-1", "0-99999," * 200,
    "1," * 5000, "١٢٣", "a" * 300, "a" * 5000, "a/" * 2000, "../" * 2000, "é" * 3000, "~2E~2E~2F", "~2F", "~00", "~", "~~", "~ZZ",
    ".git/config", ".env", ".ssh/", "test-0", "training-0/../test-0", "conv\x00", "con1.weights.h5",
)  # fmt: skip


def _overlong(text: str) -> str:
    """Dots and slashes in more bytes than UTF-8 allows."""
    return "".join(
        {".": "%c0%ae", "/": "%c0%af", "\\": "%c1%9c"}.get(letter, quote(letter, safe="")) for letter in text
    )


ENCODINGS: Sequence[Callable[[str], str]] = (
    lambda text: quote(text, safe="/~.!$'()*;:@,\\"),  # as few as a browser would
    lambda text: quote(text, safe=""),
    lambda text: quote(quote(text, safe=""), safe=""),
    lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    lambda text: "".join(f"%25{byte:02X}" for byte in text.encode()),
    _overlong,
    lambda text: quote(text.replace("/", "\\"), safe=""),
    lambda text: quote(text.replace(".", "．").replace("/", "／"), safe=""),
    lambda text: "".join(f"~{byte:02X}" for byte in text.encode()),  # as ids of images are written
    lambda text: quote(text, safe="/") + "%00.png",
    lambda text: quote(text, safe="") + "%20.",
)


def words(root: Path, seed: int) -> Iterator[str]:
    """Without end, each as it is sent: every odd word and every way out plainly, and then at random in some encoding."""
    ways = [climb * depth + target for climb in CLIMBS for depth in (1, 3, 8) for target in TARGETS]
    ways += [f"{start}{root / target}" for target in TARGETS for start in ("", "/", "file://")]
    dice = random.Random(seed)
    yield from (ENCODINGS[0](word)[:9000] for word in ODD)
    while True:
        word = dice.choice(ways if dice.random() < 0.6 else ODD)
        if dice.random() < 0.15:
            word += dice.choice(ODD)
        yield dice.choice(ENCODINGS)(word)[:9000]
