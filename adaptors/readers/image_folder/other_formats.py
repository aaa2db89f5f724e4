"""What somebody can do about pictures in a format that no corpus adaptor reads."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

from mloscope.adaptors.readers.image_folder.picture import is_picture_name

_AS_NPZ = "save images and labels as an .npz: numpy.savez(file, x_test=images, y_test=labels)"
_ADVICE = {
    **dict.fromkeys(
        ("zip", "tar", "tgz", "gz", "bz2", "xz", "7z", "rar", "zst"), "unpack the archive and give the folder"
    ),
    **dict.fromkeys(("mat", "npy", "pkl", "pickle", "pt", "pth", "h5", "hdf5", "csv"), _AS_NPZ),
    **dict.fromkeys(
        ("tfrecord", "tfrecords", "parquet", "arrow", "lmdb", "mdb", "rec"),
        f"export the pictures to folders, one per class, or {_AS_NPZ}",
    ),
}
_MOST_ENTRIES = 1000


def advice(path: Path) -> str:
    """A sentence for the file, or for what the folder holds most of; "" where there is none to give."""
    try:
        names = [each.name for each in islice(path.iterdir(), _MOST_ENTRIES)] if path.is_dir() else [path.name]
    except OSError:
        return ""
    if path.is_file() and is_picture_name(path.name):
        return "It is a single picture: give the folder that it lies in."
    suffixes = Counter(name.lower().rpartition(".")[2] for name in names if not name.startswith("."))
    known = [suffix for suffix, _ in suffixes.most_common() if suffix in _ADVICE]
    return f"Files of .{known[0]} are not read as images: {_ADVICE[known[0]]}." if known else ""
