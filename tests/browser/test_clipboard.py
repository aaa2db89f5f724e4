"""assets/base/clipboard.mjs."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { configurable: true, value: %s });"
COPIED = "const { copied } = await import('mloscope/base/clipboard.mjs');"


def test_a_text_is_copied(bare):
    clipboard = CLIPBOARD % "{ writeText: async (text) => (window.written = text) }"
    assert bare.js(f"async () => {{ {COPIED} {clipboard} return [await copied('a link'), window.written]; }}") == [
        True,
        "a link",
    ]


def test_without_a_clipboard_nothing_is_copied_and_nothing_fails(bare):
    assert bare.js(f"async () => {{ {COPIED} {CLIPBOARD % 'undefined'} return copied('a link'); }}") is False
