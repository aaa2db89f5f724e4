"""Read the mean that a run's network subtracts from its images: ``.npy``, or the formats of Caffe and cuda-convnet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mloscope.adaptors.files.regular_files import check_regular, is_inside
from mloscope.adaptors.files.run_folder import OUTSIDE
from mloscope.adaptors.interface import AdaptorError
from mloscope.adaptors.readers.cuda_convnet.training_record import DATA_SET_MEAN
from mloscope.adaptors.readers.mean_image import is_mean_image, read_mean_image
from mloscope.app.errors import NotFound, NotPossible, from_adaptor


def read_mean_file(
    path: str, shape: tuple[int, ...], run_name: str, scale: float, folder: Path | None = None
) -> np.ndarray:
    """Return float32 that can be subtracted from images of the shape (row, column, channel).

    ``folder``: of the run, where the run's own files name the mean, which may then lie nowhere else, but for the
    ``batches.meta`` of the folder around it; None: the user named it. ``scale``: of pixels, for formats that keep the mean
    in those of 0..255. Raises :class:`NotFound` where there is no such file, and :class:`NotPossible`.
    """
    if folder is not None and not is_inside(path, folder) and Path(path) != folder.parent / DATA_SET_MEAN:
        raise NotPossible(f'Of the run "{run_name}" {OUTSIDE.format(mean=path, folder=folder)}')
    try:
        check_regular(path)
        if is_mean_image(Path(path)):
            return read_mean_image(Path(path), (shape[0], shape[1], shape[2]), scale)
        mean = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped, so that its shape is known before it is read
    except AdaptorError as error:
        raise from_adaptor(error) from error
    except FileNotFoundError:
        raise NotFound(f'The mean of the run "{run_name}" is {path}, which does not exist.') from None
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "it is not a .npy file of numbers"
        raise NotPossible(f'The mean of the run "{run_name}", {path}, cannot be read: {reason}.') from error
    try:
        if mean.dtype.kind not in "fiu":
            raise ValueError
        np.broadcast_to(mean, shape)
    except (AttributeError, ValueError):
        raise NotPossible(
            f'The mean of the run "{run_name}", {path}, has the shape {getattr(mean, "shape", None)}; '
            f"the network takes images of (row, column, channel) {shape}."
        ) from None
    return np.array(mean, np.float32)
