"""What a film can be saved as: one more format is one line in :data:`FORMATS`."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from PIL import Image

from mloscope.adaptors.installation import how_to_add
from mloscope.app.errors import BadRequest, NotPossible, Unavailable

MOST_BYTES = 64 << 20
"""Of a file; it is kept in memory until it has been fetched."""


class FilmWriter(Protocol):
    """Writes one file, picture by picture."""

    def __init__(self, size: tuple[int, int], steps_per_second: float) -> None: ...

    def add(self, step: int, picture: Image.Image) -> None:
        """Write the picture of a step, RGB, of the given size; width and height are even."""
        ...

    def finish(self) -> bytes:
        """Return the whole file."""
        ...


class _File(io.BytesIO):
    """A file in memory that does not grow for ever."""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > MOST_BYTES:
            raise NotPossible(
                f"The file would be larger than {MOST_BYTES >> 20} MiB; save fewer steps, or make the film smaller."
            )
        return super().write(data)


class Mp4Writer:
    """H.264 that every browser and slide program plays."""

    def __init__(self, size: tuple[int, int], steps_per_second: float) -> None:
        import av

        self._av, self._file = av, _File()
        self._container = av.open(self._file, "w", format="mp4")
        rate = Fraction(steps_per_second).limit_denominator(1000)
        # Flat colours and sharp edges: quality and speed before size.
        options = {"crf": "14", "preset": "ultrafast"}
        stream: Any = self._container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 12  # players find a step quickly
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = 1  # BT.709, as players take it for
        self._stream = stream

    def add(self, step: int, picture: Image.Image) -> None:
        frame = self._av.VideoFrame.from_image(picture)
        self._container.mux(self._stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))

    def finish(self) -> bytes:
        self._container.mux(self._stream.encode())
        self._container.close()
        return self._file.getvalue()


class GifWriter:
    """An animation that repeats for ever."""

    def __init__(self, size: tuple[int, int], steps_per_second: float) -> None:
        self._pictures: list[Image.Image] = []
        self._duration_ms = max(20, round(1000 / steps_per_second))

    def add(self, step: int, picture: Image.Image) -> None:
        self._pictures.append(picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))

    def finish(self) -> bytes:
        file, (first, *others) = _File(), self._pictures
        first.save(file, "GIF", save_all=True, append_images=others, duration=self._duration_ms, loop=0, optimize=False)
        return file.getvalue()


class FramesWriter:
    """A PNG per step in an archive, numbered."""

    def __init__(self, size: tuple[int, int], steps_per_second: float) -> None:
        self._file = _File()
        self._archive = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)
        self._count = 0

    def add(self, step: int, picture: Image.Image) -> None:
        png = io.BytesIO()
        picture.save(png, "PNG", compress_level=3)
        self._archive.writestr(f"{self._count:04d}-step-{step}.png", png.getvalue())
        self._count += 1

    def finish(self) -> bytes:
        self._archive.close()
        return self._file.getvalue()


@dataclass(frozen=True)
class FilmFormat:
    """A kind of file."""

    title: str
    media_type: str
    writer: Callable[[tuple[int, int], float], FilmWriter]
    most_pixels: int
    """Of all pictures together: seconds of work, and memory."""
    needs: str | None = None
    """Name of a package that is not always installed."""
    extra: str = ""
    """What installs it."""

    @property
    def refusal(self) -> str | None:
        """Why it cannot be written here; None where it can."""
        if self.needs is None or importlib.util.find_spec(self.needs) is not None:
            return None
        return (
            f"{self.title} needs the package {self.needs}, which is not installed; to add it: {how_to_add(self.extra)}"
        )


FORMATS = {
    "mp4": FilmFormat("MP4", "video/mp4", Mp4Writer, 1_000_000_000, needs="av", extra="video"),
    "gif": FilmFormat("GIF", "image/gif", GifWriter, 200_000_000),
    "zip": FilmFormat("PNG frames (zip)", "application/zip", FramesWriter, 400_000_000),
}
"""By the ending of the file's name."""


def format_of(ending: str) -> FilmFormat:
    """Return the format of this ending. Raises :class:`BadRequest`, or :class:`Unavailable` where it cannot be written here."""
    if ending not in FORMATS:
        raise BadRequest(f'A film can be saved as {", ".join(FORMATS)}; got "{ending}".')
    found = FORMATS[ending]
    if found.refusal:
        raise Unavailable(found.refusal)
    return found
