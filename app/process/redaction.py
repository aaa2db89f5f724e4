"""Secrets are redacted from text, in whatever form a library, an error or a log may write them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from urllib.parse import quote, quote_plus, unquote

REDACTED = "***"
SHORTEST = 4
"""A shorter secret would redact parts of ordinary words."""


class Redaction:
    """``redaction(text)`` is the text without the secrets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in forms_of(secret.strip()) if len(form) >= SHORTEST}
        # The longest first: a form that begins with another one would otherwise leave its end behind.
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(REDACTED, text) if self._pattern is not None else text


def forms_of(secret: str) -> Iterator[str]:
    """How a text may be written: as it is, as ``repr`` of text or bytes, in JSON, in an address, in HTML; each also once more
    escaped, as JSON holds the repr of it."""
    for plain in {secret, unquote(secret)}:
        for form in _escaped(plain):
            yield form
            yield _json(form)


def _escaped(plain: str) -> Iterator[str]:
    yield plain
    for encoding in ("utf-8", "latin-1"):
        try:
            bytes_form = repr(plain.encode(encoding))[2:-1]
        except UnicodeEncodeError:
            continue
        yield from _with_either_quote(bytes_form)
    for text_form in (repr(plain)[1:-1], ascii(plain)[1:-1]):
        yield from _with_either_quote(text_form)
    yield json.dumps(plain)[1:-1]
    yield _json(plain)
    yield escape(plain)
    for quoted in (
        quote(plain, errors="replace"),
        quote(plain, safe="", errors="replace"),
        quote_plus(plain, errors="replace"),
    ):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), quoted)


def _with_either_quote(form: str) -> Iterator[str]:
    """A quotation mark is escaped only where the other kind stands in the same text, which may be longer than the secret."""
    bare = form.replace("\\'", "'")
    yield bare
    yield bare.replace("'", "\\'")


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def without_credentials(address: str) -> str:
    """An address, however malformed, or several with commas between them, without what stands before the last ``@``."""
    return re.sub(r"([A-Za-z][\w+.-]*:(?://)?)?[^,\s]*@", _masked, address)


def _masked(found: re.Match[str]) -> str:
    scheme = found[1] or ""
    return f"{scheme}{':' if scheme.endswith('/') else ''}{REDACTED}@"
