"""What a method of pictures is given, and what it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mloscope.app.errors import NotPossible
from mloscope.app.model_service.backends import Differentiates, Network, Rule
from mloscope.app.model_service.work_queue import Stopped

SILENT = "silent"
"""What stands in a figure instead of a number, where nothing excites a unit."""
_CALL_BYTES = 256 << 20
"""How much memory a call of the network may take, by estimate."""


class Picture(NamedTuple):
    """What a method makes of one checkpoint."""

    values: np.ndarray
    """float32 (row, column, channel, unit), in the rows, columns and channels of the network's input; one unit where the
    picture is of no unit in particular."""
    figures: Mapping[str, Sequence[float | str | None]]
    """Numbers beside the picture, or words instead of them, by what they are called: one of each unit of :attr:`values`."""


@dataclass(frozen=True)
class Asked:
    """What a picture is to show."""

    layer: str
    options: Mapping[str, Any]
    """The method's own, JSON-able."""
    image: np.ndarray
    """float32 (row, column, channel), as the network takes it."""
    beside: np.ndarray | None = None
    """A second array, for methods that need one, such as a baseline."""


Method = Callable[["DifferentiableNetwork", Asked, Picture | None], Picture]
"""Given the network at one checkpoint, the question, and what the method made of the checkpoint before it, where there was one.
Raises :class:`NotPossible` where this checkpoint has no such picture."""


@dataclass(frozen=True)
class DifferentiableNetwork:
    """A network with one checkpoint's weights. Between calls it asks whether to stop, and raises :class:`Stopped`."""

    network: Network
    weights: Any
    stop: Callable[[], bool] = lambda: False

    def output(self, images: np.ndarray, layer: str) -> np.ndarray:
        """What the layer makes of the images, float32 (image, ...output shape)."""
        self._go_on()
        return self.network.outputs(self._fitted(images), self.weights, [layer])[layer]

    def backward(
        self,
        images: np.ndarray,
        layer: str,
        seeds: np.ndarray,
        *,
        scale: float = 0.0,
        with_respect_to: str | None = None,
        rule: Rule = "gradient",
    ) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`Differentiates.backward`; signals at the image have the image's shape."""
        assert isinstance(self.network, Differentiates)
        self._go_on()
        output, signal = self.network.backward(
            self._fitted(images), self.weights, layer, seeds, scale=scale, with_respect_to=with_respect_to, rule=rule
        )
        if with_respect_to is None:
            signal = signal.reshape(len(signal), *images.shape[1:])
        return output, signal

    def in_batches(self, count: int) -> Iterator[slice]:
        """Parts of ``count`` images, as many as the network should be given at once."""
        lengths = [int(np.prod([length or 64 for length in shape])) for shape in self.network.layers.values()]
        at_once = max(1, _CALL_BYTES // (8 * max(1, sum(lengths))))
        for begin in range(0, count, at_once):
            yield slice(begin, min(begin + at_once, count))

    def _fitted(self, images: np.ndarray) -> np.ndarray:
        """A network may take its pixels as one vector."""
        wanted = self.network.input_shape
        return images if len(wanted) == images.ndim - 1 else images.reshape(len(images), -1)

    def _go_on(self) -> None:
        if self.stop():
            raise Stopped


def check_finite(values: np.ndarray, layer: str) -> None:
    """Raise :class:`NotPossible` where a layer gives nothing that could be projected back."""
    if not np.isfinite(values).any():
        raise NotPossible(f"{layer} gives no finite number at this checkpoint, so nothing leads back to the image.")
