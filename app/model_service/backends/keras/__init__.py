"""Keras on TensorFlow: the first network backend. This module is what the table of backends imports, so it imports neither.

run.keras_model() ──► KerasNetwork ── traced once ──► every layer's output of (images, *weights)
                                                         │ pruned to the layers asked for: no retrace
run.weights(checkpoint) ──► matched to the variables ────┴──► maps
"""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, runtime_checkable

from cachetools import LRUCache

from mloscope.adaptors.installation import how_to_add
from mloscope.adaptors.interface import AdaptorError, EvaluableRun, Layer
from mloscope.app.errors import MloscopeError, NotPossible, lines_of
from mloscope.app.model_service.backends import BackendMissing

if TYPE_CHECKING:
    import keras

    from mloscope.app.model_service.backends.keras.network import KerasNetwork

logger = logging.getLogger(__name__)

_MOST_NETWORKS = 4


@runtime_checkable
class BuildsKerasModel(Protocol):
    """What an :class:`EvaluableRun` of this backend gives beside its weights. Weights match the model's variables by
    ``<Layer.name>/<Parameter.name>``, so the model's layers are called what the run's are."""

    def keras_model(self) -> keras.Model:
        """The network, built and with any weights. Imports Keras inside the call. Raises
        :class:`mloscope.adaptors.interface.Refused` or :class:`mloscope.adaptors.interface.Unreadable`."""
        ...


@runtime_checkable
class KeepsChannelsFirst(Protocol):
    """What a run adds where the Keras model that it builds has maps with the channels first. What it says of layers, shapes
    and its input are channels last all the same; this backend moves the axes."""

    def channels_first(self) -> frozenset[str]:
        """Names of the layers, inputs among them, whose output the model has as channel, row, column."""
        ...

    def layers(self) -> tuple[Layer, ...]:
        """As :meth:`mloscope.adaptors.interface.RunAdaptor.layers`."""
        ...


class KerasBackend:
    """Builds networks once per architecture, and shares what was traced between the runs that have it."""

    name: ClassVar[str] = "keras"
    title: ClassVar[str] = "TensorFlow"
    loading_s: ClassVar[float] = 5.0

    @classmethod
    def missing(cls) -> str | None:
        if all(importlib.util.find_spec(package) for package in ("tensorflow", "keras")):
            return None
        return f"Feature maps and predictions need TensorFlow, which is not installed here: {how_to_add('evaluate')}"

    @classmethod
    def load(cls, gpu_memory_bytes: int | None = None) -> Self:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        try:
            from mloscope.app.model_service.backends.keras.devices import configure_devices
        except ImportError as error:
            raise BackendMissing(f"TensorFlow cannot be loaded ({error}): {how_to_add('evaluate')}") from error
        return cls(configure_devices(gpu_memory_bytes))

    def __init__(
        self,
        device: str = "CPU",
        *,
        vectorise_below_s: float = 0.005,
        block_bytes: int = 256 << 20,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``vectorise_below_s``: networks with a quicker forward pass are evaluated at several checkpoints at once, as many
        as ``block_bytes`` hold the weights and maps of."""
        self.device = device
        self._vectorise_below_s, self._block_bytes, self._clock = vectorise_below_s, block_bytes, clock
        self._networks: LRUCache[str, KerasNetwork] = LRUCache(_MOST_NETWORKS)

    @property
    def versions(self) -> Mapping[str, str]:
        import keras
        import tensorflow as tf

        return {"tensorflow": tf.__version__, "keras": keras.__version__}

    def open(self, run: EvaluableRun, where: str) -> KerasNetwork:
        if not isinstance(run, BuildsKerasModel):
            raise NotPossible(f"The adaptor of {where} names the backend {self.name}, but has no method keras_model.")
        try:
            return self._network(run, where)
        except (AdaptorError, MloscopeError):
            raise
        except Exception as error:  # Keras raises whatever a foreign architecture makes it
            logger.exception("Keras refused the network of %s", where)
            raise NotPossible(
                f"Keras {self.versions['keras']} cannot run the network of {where}: {_where_and_why(error)}"
            ) from error

    def _network(self, run: BuildsKerasModel, where: str) -> KerasNetwork:
        from mloscope.app.model_service.backends.keras.network import KerasNetwork, architecture_digest

        model = run.keras_model()
        first: frozenset[str] = frozenset()
        turns_image = False
        if isinstance(run, KeepsChannelsFirst):
            first = run.channels_first()
            turns_image = any(layer.kind == "input" and layer.name in first for layer in run.layers())
        digest = architecture_digest(model)
        network = self._networks.get(digest)
        if network is None:
            network = self._networks[digest] = KerasNetwork(
                model,
                where,
                digest,
                vectorise_below_s=self._vectorise_below_s,
                block_bytes=self._block_bytes,
                clock=self._clock,
                channels_first=first,
                turns_image=turns_image,
            )
        return network


def _where_and_why(error: BaseException) -> str:
    """The first line of what Keras says; of an error inside a layer's call the first says where, and the second why."""
    first, *others = lines_of(error)
    if others and first.startswith("Exception encountered when calling "):
        return f"{first.rstrip('.')}: {others[0]}"[:300]
    return first
