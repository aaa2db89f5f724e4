"""Network backends: what evaluates a run's network, one per framework, and the table of those installed.

    EvaluableRun.backend ──► network_backends() ──► load: imports the framework ──► open(run) ──► Network
                                                                                        outputs(images, weights, layers)

Whoever implements :class:`NetworkBackend` and :class:`Network`, registers the former under the entry points
``mloscope.network_backends`` and passes ``mloscope.app.model_service.conformance`` evaluates networks as ours does. A
backend knows its framework and nothing else: batches of steps, the memory for weights, the queue of questions and what goes
wrong at one checkpoint are :class:`mloscope.app.model_service.evaluator.Evaluator`'s.

Importing a backend's module must be cheap, for the web process looks into the table too: the framework is imported in
:meth:`NetworkBackend.load`, which only the model service and the commands that compute call.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Literal, Protocol, Self, get_args, runtime_checkable

import numpy as np

from mloscope.adaptors.entry_points import NETWORK_BACKENDS, Registered, registered
from mloscope.adaptors.interface import Checkpoint, EvaluableRun
from mloscope.app.errors import MloscopeError, NotPossible

logger = logging.getLogger(__name__)

_WORTH_SAYING_S = 1.0

Rule = Literal["gradient", "guided", "deconvolution"]
"""How rectified units pass a signal back: where their input was positive; where input and signal are; where the signal is."""
RULES: tuple[Rule, ...] = get_args(Rule)


class BackendMissing(NotPossible):
    """The backend that a run names is not installed, or its framework cannot be loaded."""


class Weights(Protocol):
    """One checkpoint's arrays as a network takes them; what they are is the backend's own business."""

    @property
    def nbytes(self) -> int:
        """How much memory they take: what the budget for weights counts."""
        ...


class Network(Protocol):
    """One architecture, ready to compute; the weights are arguments. Used by one thread at a time.

    Images and maps are float32, channels last: (image, row, column, channel) and (image, ...shape of the layer)."""

    @property
    def digest(self) -> str:
        """Names the architecture: what :meth:`weights` made for one network serves all of the same digest."""
        ...

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Of one image: (row, column, channel), or (value,) where the network takes its pixels as one vector; None for a
        length that is free."""
        ...

    @property
    def layers(self) -> Mapping[str, tuple[int | None, ...]]:
        """The layers that can be evaluated, by the names that the run gives them, and the shape of their output without
        the batch axis."""
        ...

    @property
    def output_layer(self) -> str:
        """Where the network ends; one of :attr:`layers`."""
        ...

    def weights(self, arrays: Mapping[str, np.ndarray], checkpoint: Checkpoint) -> Weights:
        """A checkpoint's arrays, as :meth:`EvaluableRun.weights` gives them. Raises :class:`NotPossible`, naming checkpoint,
        layer and parameter, where one is missing or has another shape."""
        ...

    def outputs(self, images: np.ndarray, weights: Any, layers: Sequence[str]) -> dict[str, np.ndarray]:
        """What the layers make of the images, float32 (image, ...output shape), by layer. Inference: nothing is dropped out
        and nothing learnt.

        Raises MemoryError where the device has not enough memory for so many images; whatever else it raises becomes a
        sentence about the run."""
        ...

    def status(self) -> Mapping[str, Any]:
        """What the status page may say of it, JSON-able; may be empty."""
        ...


@runtime_checkable
class StacksWeights(Protocol):
    """What a :class:`Network` adds where several sets of weights at once are quicker than one after the other."""

    def sets_at_once(self, images: np.ndarray, weights: Any) -> int:
        """How many sets of weights :meth:`outputs_of_stack` should be given; 1 where one after the other is as quick. May
        try the network on these images to find out."""
        ...

    def stacked(self, sets: Sequence[Any]) -> Weights:
        """Several sets of weights as one."""
        ...

    def outputs_of_stack(self, images: np.ndarray, stack: Any, layers: Sequence[str]) -> dict[str, np.ndarray] | None:
        """As :meth:`Network.outputs`, float32 (set, image, ...output shape); None where this network cannot be computed so,
        and is to be asked for one set after the other."""
        ...


@runtime_checkable
class Differentiates(Protocol):
    """What a :class:`Network` adds whose layers can be projected back to the image: pictures of what a unit sees stand on it."""

    def backward(
        self,
        images: np.ndarray,
        weights: Any,
        layer: str,
        seeds: np.ndarray,
        *,
        scale: float = 0.0,
        with_respect_to: str | None = None,
        rule: Rule = "gradient",
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the layer makes of the images, y, and the signal ``seeds + scale * y`` passed back from there, both float32.

        By the rule ``gradient`` the latter is the gradient of ``sum(seeds * y) + scale / 2 * sum(y * y)`` per image, with respect
        to the images or to another layer's output, and has its shape. By the rule ``deconvolution``, local response
        normalisation hands the signal on unchanged. ``seeds``: float32 (image, ...output shape); where there is one image, it
        serves all seeds. Raises :class:`NotPossible` where no signal gets there, and MemoryError as :meth:`Network.outputs`.
        """
        ...


class NetworkBackend(Protocol):
    """Builds and evaluates networks with one framework."""

    name: ClassVar[str]
    """Under which it registers, and which :attr:`EvaluableRun.backend` says."""
    title: ClassVar[str]
    """The framework as sentences call it, such as ``TensorFlow``."""
    loading_s: ClassVar[float]
    """About how long :meth:`load` takes."""

    @classmethod
    def missing(cls) -> str | None:
        """A sentence that says what is not installed and what to type; None where all is there. Imports nothing heavy."""
        ...

    @classmethod
    def load(cls, gpu_memory_bytes: int | None = None) -> Self:
        """Import the framework and prepare its devices; called once per process. ``gpu_memory_bytes``: never take more of
        a GPU's memory. Raises :class:`BackendMissing` where it cannot be imported."""
        ...

    @property
    def device(self) -> str:
        """What computes, for people: ``CPU``, or the name of a GPU."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """Of the packages that the numbers depend on."""
        ...

    def open(self, run: EvaluableRun, where: str) -> Network:
        """The run's network, built; networks of one architecture may share what was built. ``where``: the run's path, for
        sentences. Raises :class:`NotPossible` or what the adaptor raises where it cannot be evaluated."""
        ...


# --------------------------------------------------------------------------------------------------- the table


@cache
def network_backends() -> tuple[Registered, ...]:
    """Every installed backend by name, those that cannot be imported included."""
    return tuple(registered(NETWORK_BACKENDS))


def missing(known: Sequence[Registered] | None = None) -> str | None:
    """Why no network at all can be evaluated in this installation, with what to install; None where some can be."""
    reasons = [_missing(each) for each in (network_backends() if known is None else known)]
    return " ".join(str(reason) for reason in reasons) or _NONE if None not in reasons else None


_NONE = (
    f"No network backend is installed (entry points {NETWORK_BACKENDS.name}): install mloscope again, as after every update of "
    "a source tree."
)


def loading(known: Sequence[Registered] | None = None) -> str:
    """What is said while the installed backends are being loaded."""
    installed = [each.implementation for each in (network_backends() if known is None else known) if not _missing(each)]
    slow = [f"{each.title} is loading (about {each.loading_s:g} s)." for each in installed if each.loading_s >= 1]
    return " ".join(slow) or "The model service is starting."


def _missing(known: Registered) -> str | None:
    return known.problem if known.implementation is None else known.implementation.missing()


class LoadedBackends:
    """The backends of this process, each loaded once. Safe to use from several threads."""

    def __init__(
        self,
        known: Sequence[Registered] | None = None,
        *,
        loaded: Sequence[NetworkBackend] = (),
        gpu_memory_bytes: int | None = None,
    ) -> None:
        """``known``: default all that are installed. ``loaded``: these are, and take the place of those known by their
        names."""
        self._known = {each.name: each for each in (network_backends() if known is None else known)}
        self._gpu_memory_bytes = gpu_memory_bytes
        self._loaded = {backend.name: backend for backend in loaded}
        self._lock = threading.Lock()

    def backend(self, name: str) -> NetworkBackend:
        """The backend of this name, loaded now if it is not. Raises :class:`BackendMissing`."""
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load(name)
            return self._loaded[name]

    def load_installed(self) -> None:
        """Load every one whose framework is installed, so that the first question need not wait. One that fails costs only
        its own runs; raises :class:`BackendMissing` where none can be loaded."""
        failures = []
        for name, known in self._known.items():
            if _missing(known) is None:
                try:
                    self.backend(name)
                except MloscopeError as error:
                    logger.warning("%s", error)
                    failures.append(str(error))
        if not self._loaded:
            raise BackendMissing(" ".join(failures) or missing(list(self._known.values())) or _NONE)

    @property
    def loaded(self) -> tuple[NetworkBackend, ...]:
        return tuple(self._loaded.values())

    def _load(self, name: str) -> NetworkBackend:
        known = self._known.get(name)
        if known is None:
            if not self._known:
                raise BackendMissing(_NONE)
            names = ", ".join(self._known)
            raise BackendMissing(f'There is no network backend "{name}", which this run needs; installed are: {names}.')
        if reason := _missing(known):
            raise BackendMissing(reason)
        assert known.implementation is not None
        try:
            return known.implementation.load(self._gpu_memory_bytes)
        except MloscopeError:
            raise
        except Exception as error:  # a broken framework raises anything while it is imported
            logger.exception("The network backend %s cannot be loaded", name)
            raise BackendMissing(f"{known.implementation.title} cannot be loaded: {error}") from error


@cache
def backends_of_this_process() -> LoadedBackends:
    """Those that commands evaluate with: devices can be prepared once per process, before anything runs."""
    return LoadedBackends()
