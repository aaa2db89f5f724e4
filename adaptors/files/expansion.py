"""Limit how much a compressed file may expand."""

from __future__ import annotations

from mloscope.adaptors.interface import Refused

# A larger file with a higher ratio is a bomb: trained weights shrink by a fifth at best, checkpoints whose
# optimizer slots are all zero by a factor of three or four, MNIST's mostly black pictures by seven.
HARMLESS_BYTES = 64 * 1024 * 1024
LARGEST_RATIO = 100
LARGEST_UNPACKED_BYTES = 8 * 1024**3


def check_expansion(unpacked_bytes: int, packed_bytes: int, what: str, limit_bytes: int | None = None) -> None:
    """Raise Refused if the compression ratio is so high that the file must be a decompression bomb."""
    most = LARGEST_UNPACKED_BYTES if limit_bytes is None else limit_bytes
    is_bomb = unpacked_bytes > HARMLESS_BYTES and unpacked_bytes > LARGEST_RATIO * packed_bytes
    if unpacked_bytes > most or is_bomb:
        raise Refused(
            f"{what} would unpack {packed_bytes:,} bytes to {unpacked_bytes:,}, more than is read of any "
            "file "
            "that is so small or at all, so it is not read."
        )
