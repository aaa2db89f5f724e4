"""Words burnt into pictures, in a font that this machine has."""

from __future__ import annotations

import functools

from PIL import ImageDraw, ImageFont

_FONTS = (
    "DejaVuSans.ttf",
    "LiberationSans-Regular.ttf",
    "NotoSans-Regular.ttf",
    "Arial Unicode.ttf",
    "arial.ttf",
    "Arial.ttf",
)
_PLAIN = str.maketrans({"−": "-", "–": "-", "×": "x", "\u202f": " ", "∞": "inf", "≈": "~", "≤": "<="})


class Words:
    """Draws text of one size."""

    def __init__(self, size_px: int) -> None:
        self._font, self._knows_signs = _font(size_px)

    def draw(self, draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, fill: str, anchor: str = "la") -> None:
        draw.text(at, self._drawable(text), fill=fill, font=self._font, anchor=anchor)

    def width(self, text: str) -> float:
        return self._font.getlength(self._drawable(text))

    def shortened(self, text: str, width: float) -> str:
        """The text, or as much of it as fits, with an ellipsis."""
        if self.width(text) <= width:
            return text
        while text and self.width(text + "…") > width:
            text = text[:-1]
        return text + "…"

    def wrapped(self, text: str, width: float) -> list[str]:
        """The text in lines of at most this width."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self.width(longer) > width:
                lines.append(word)
            else:
                lines[-1] = longer
        return [self.shortened(line, width) for line in lines]

    def _drawable(self, text: str) -> str:
        text = "".join(sign for sign in text if sign.isprintable())
        if self._knows_signs:
            return text.replace("\u202f", "\u00a0")
        # The font that Pillow brings along knows hardly more than ASCII.
        return text.translate(_PLAIN).encode("latin-1", "replace").decode("latin-1")


@functools.cache
def _font(size_px: int) -> tuple[ImageFont.FreeTypeFont, bool]:
    """A font, and whether it knows more signs than the one that Pillow brings along."""
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size_px), True
        except OSError:
            continue
    found = ImageFont.load_default(size_px)
    if not isinstance(found, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, so it cannot draw text.")
    return found, False
