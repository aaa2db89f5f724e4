"""Answers questions about networks, whichever backend evaluates them: maps of one image at many steps, pictures of what units see
in it, class probabilities of many images at one step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.adaptors import registry
from mloscope.adaptors.interface import AdaptorError, EvaluableRun, RunAdaptor
from mloscope.app import errors
from mloscope.app.model_service.backends import Differentiates, StacksWeights, Weights, backends_of_this_process
from mloscope.app.model_service.class_probabilities import as_probabilities
from mloscope.app.model_service.opened_networks import Backends, OpenedNetwork, OpenedNetworks, OpenRun, WeightsKey
from mloscope.app.model_service.pictures import METHODS
from mloscope.app.model_service.pictures.picture import Asked, DifferentiableNetwork, Picture
from mloscope.app.model_service.wire import Evaluation, Pictures, RunSpec
from mloscope.app.model_service.work_queue import Stopped

logger = logging.getLogger(__name__)

_FIRST_PARTS_SHOWN = 12


@dataclass(frozen=True)
class Watch:
    """Somebody who looks at maps while class probabilities are computed."""

    layers: tuple[str, ...]
    see: Callable[[Mapping[str, np.ndarray]], None]
    """Called with each batch's maps by layer, in the order of the images."""


class Evaluator:
    """Opens runs and evaluates their checkpoints. Used by one thread; only :meth:`status` may be called from others."""

    def __init__(
        self,
        backends: Backends,
        *,
        weights_budget_bytes: int = 1 << 30,
        open_run: OpenRun = registry.open_run,
    ) -> None:
        self._backends = backends
        self._opened = OpenedNetworks(backends, weights_budget_bytes, open_run)
        self._evaluated = 0

    def describe(self, spec: RunSpec) -> dict[str, Any]:
        """``output_layer``, ``layers`` (name -> shape without the batch axis) and ``input_shape``, JSON-able."""
        network = self._opened.opened(spec).network
        return {
            "output_layer": network.output_layer,
            "layers": {name: list(shape) for name, shape in network.layers.items()},
            "input_shape": list(network.input_shape),
        }

    def evaluate(
        self,
        spec: RunSpec,
        steps: Sequence[int],
        layers: Sequence[str],
        image: np.ndarray,
        stop: Callable[[], bool] = lambda: False,
    ) -> Evaluation:
        """What the layers make of the image, float32 (row, column, channel), at each step.

        ``stop`` is asked between checkpoints; where it says True, Stopped is raised. A step that cannot be evaluated is in
        ``.failed``. Raises BadRequest, NotFound, NotPossible, Unavailable."""
        opened = self._opened.opened(spec, steps)
        network, layers = opened.network, list(dict.fromkeys(layers))
        _check_layers(opened, layers)
        images = _fitted(image[np.newaxis], network.input_shape)
        failed: dict[int, str] = {}
        maps = _Maps({layer: network.layers[layer] for layer in layers}, len(steps))
        for block in self._blocks(opened, steps, images, stop, failed):
            if not layers:
                continue
            rows, sets = [row for row, _key, _weights in block], [(key, weights) for _row, key, weights in block]
            together = self._of_several(opened, images, sets, layers) if len(block) > 1 else None
            if together is not None:
                maps.put(rows, together)
            else:
                for row, (_key, weights) in zip(rows, sets, strict=True):
                    with _as_sentences(opened):
                        maps.put([row], network.outputs(images, weights, layers))
            self._evaluated += len(block)
        return Evaluation(maps.arrays(), steps, failed)

    def pictures(
        self,
        spec: RunSpec,
        steps: Sequence[int],
        method: str,
        asked: Asked,
        before: Picture | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Pictures:
        """What the method, of :data:`mloscope.app.model_service.pictures.METHODS`, makes of the layer at each step, in this order;
        ``before``: what it made of the step before the first.

        ``stop`` is asked between calls of the network. A step without a picture is in ``.failed``. Raises as :meth:`evaluate`.
        """
        opened = self._opened.opened(spec, steps)
        if method not in METHODS:
            raise errors.NotFound(f'There is no method "{method}" of pictures; there are: {", ".join(METHODS)}.')
        if not isinstance(opened.network, Differentiates):
            raise errors.NotPossible(
                f"{opened.backend.title} passes nothing back from the layers of {spec.path} to its image, so there are no pictures."
            )
        _check_layers(opened, [asked.layer])
        _fitted(asked.image[np.newaxis], opened.network.input_shape)
        made, failed = dict[int, Picture](), dict[int, str]()
        for step in steps:
            if stop():
                raise Stopped
            try:
                _key, weights = self._opened.weights(opened, step)
                with _as_sentences(opened):
                    before = METHODS[method](DifferentiableNetwork(opened.network, weights, stop), asked, before)
            except (AdaptorError, errors.NotPossible, errors.NotFound) as error:
                failed[step] = str(error)
                continue
            made[step] = before
            self._evaluated += 1
        return _stacked(steps, made, failed)

    def output_size(self, spec: RunSpec, layer: str) -> int:
        """How many values a layer gives per image. Raises as :meth:`probabilities`."""
        shape = self._with_output(spec, layer).network.layers[layer]
        if None in shape or sum(length > 1 for length in shape) > 1:
            raise errors.NotPossible(
                f"The output {layer} of {spec.path} has the shape {shape} per image; class probabilities are one vector."
            )
        return int(np.prod(shape))

    def probabilities(
        self,
        spec: RunSpec,
        step: int,
        images: np.ndarray,
        output: str,
        rule: str,
        batch: int = 250,
        watch: Watch | None = None,
    ) -> np.ndarray:
        """Class probabilities of many images at one step, float32 (image, class): what the layer ``output`` gives, by one of
        :data:`mloscope.app.model_service.class_probabilities.RULES`.

        ``images``: float32 (image, row, column, channel), preprocessed, at least one; ``batch`` of them are evaluated at
        once, fewer where the device has no memory for so many. ``watch`` sees other layers' maps in the same pass. Raises
        BadRequest, NotFound, NotPossible, Unavailable.
        """
        opened = self._with_output(spec, output, (step,))
        for layer in watch.layers if watch is not None else ():
            self._with_output(spec, layer, (step,))
        fitted = _fitted(images, opened.network.input_shape)
        try:
            _key, weights = self._opened.weights(opened, step)
        except AdaptorError as error:
            raise errors.from_adaptor(error) from error
        pieces = []
        wanted = list(dict.fromkeys((output, *(watch.layers if watch is not None else ()))))
        for maps in _in_batches(opened, fitted, weights, wanted, batch):
            pieces.append(maps[output].reshape(len(maps[output]), -1))
            if watch is not None:
                watch.see(maps)
        self._evaluated += 1
        return as_probabilities(rule, np.concatenate(pieces))[0]

    def status(self) -> dict[str, Any]:
        """``device``, versions, what is kept and what was done; JSON-able."""
        loaded = self._backends.loaded
        return {
            "device": ", ".join(dict.fromkeys(backend.device for backend in loaded)),
            **{package: version for backend in loaded for package, version in backend.versions.items()},
            "weights_bytes": self._opened.weights_bytes,
            "weights_budget_bytes": self._opened.weights_budget_bytes,
            "networks": [{"run": path, **network.status()} for path, network in self._opened.networks],
            "checkpoints_evaluated": self._evaluated,
        }

    def _with_output(self, spec: RunSpec, output: str, steps: Sequence[int] = ()) -> OpenedNetwork:
        """The network, which has this layer."""
        opened = self._opened.opened(spec, steps)
        if output not in opened.network.layers:
            known = {layer.name: layer for layer in opened.adaptor.layers()}
            problem = known[output].problem if output in known else None
            raise errors.NotPossible(
                f"The layer {output} of {spec.path} cannot be evaluated: "
                f"{problem or 'the network that was built has no such layer.'}"
            )
        return opened

    def _blocks(
        self,
        opened: OpenedNetwork,
        steps: Sequence[int],
        images: np.ndarray,
        stop: Callable[[], bool],
        failed: dict[int, str],
    ) -> Iterator[list[tuple[int, WeightsKey, Weights]]]:
        """The steps that can be evaluated, each with its position, as many as the network takes at once; why the others
        cannot goes into ``failed``."""
        at_once, block = 1, []
        stacks = opened.network if len(steps) > 1 and isinstance(opened.network, StacksWeights) else None
        for position, step in enumerate(steps):
            if stop():
                raise Stopped
            try:
                key, weights = self._opened.weights(opened, step)
            except (AdaptorError, errors.MloscopeError) as error:
                failed[step] = str(error)
                continue
            block.append((position, key, weights))
            if stacks is not None:
                with _as_sentences(opened):
                    at_once = stacks.sets_at_once(images, weights)
            if len(block) >= at_once:
                yield block
                block = []
        if block:
            yield block

    def _of_several(
        self,
        opened: OpenedNetwork,
        images: np.ndarray,
        sets: Sequence[tuple[WeightsKey, Weights]],
        layers: Sequence[str],
    ) -> dict[str, np.ndarray] | None:
        """The one image's maps by layer, float32 (set, ...output shape); None where the network takes one set at a time."""
        assert isinstance(opened.network, StacksWeights)
        with _as_sentences(opened):
            stack = self._opened.stacked(opened.network, sets)
            outputs = opened.network.outputs_of_stack(images, stack, layers)
        return outputs and {layer: values[:, 0] for layer, values in outputs.items()}


def evaluator_in_this_process(
    run: RunAdaptor, *, weights_budget_bytes: int = 1 << 30, open_run: OpenRun = registry.open_run
) -> Evaluator:
    """What commands evaluate with, without a model service; the run's backend is loaded, which takes seconds. Raises
    :class:`mloscope.app.model_service.backends.BackendMissing` where it cannot be."""
    backends = backends_of_this_process()
    if isinstance(run, EvaluableRun):
        backends.backend(run.backend)
    return Evaluator(backends, weights_budget_bytes=weights_budget_bytes, open_run=open_run)


class _Maps:
    """Maps of many steps by layer; rows that are never put are NaN. Answers that come whole are not copied."""

    def __init__(self, shapes: Mapping[str, tuple[int | None, ...]], steps: int) -> None:
        self._shapes, self._steps = shapes, steps
        self._arrays: dict[str, np.ndarray] = {}

    def put(self, rows: list[int], maps: Mapping[str, np.ndarray]) -> None:
        for layer, values in maps.items():
            if len(rows) == self._steps:
                self._arrays[layer] = values
                continue
            if layer not in self._arrays:
                self._arrays[layer] = np.full((self._steps, *values.shape[1:]), np.nan, np.float32)
            self._arrays[layer][rows] = values

    def arrays(self) -> dict[str, np.ndarray]:
        """By layer, in the order asked for; where no step could be evaluated, free lengths are 0."""
        for layer, shape in self._shapes.items():
            if layer not in self._arrays:
                self._arrays[layer] = np.full((self._steps, *(length or 0 for length in shape)), np.nan, np.float32)
        return {layer: self._arrays[layer] for layer in self._shapes}


def _check_layers(opened: OpenedNetwork, layers: Sequence[str]) -> None:
    for layer in layers:
        if layer not in opened.network.layers:
            raise errors.NotFound(
                f"The network of {opened.spec.path} has no layer {layer} that can be evaluated; there are: "
                f"{_some(opened.network.layers)}."
            )


def _stacked(steps: Sequence[int], made: Mapping[int, Picture], failed: Mapping[int, str]) -> Pictures:
    shape = next((picture.values.shape for picture in made.values()), (0, 0, 0, 0))
    values = np.full((len(steps), *shape), np.nan, np.float32)
    for row, step in enumerate(steps):
        if step in made:
            values[row] = made[step].values
    figures = {step: {name: list(of_units) for name, of_units in each.figures.items()} for step, each in made.items()}
    return Pictures(tuple(steps), values, figures, failed)


def _fitted(images: np.ndarray, wanted: tuple[int | None, ...]) -> np.ndarray:
    """Images, (image, row, column, channel), as the network takes them, float32; no copy where they are that. Raises
    BadRequest where they do not fit."""
    shape: tuple[int, ...] = images.shape[1:]
    if len(wanted) != 3 and None not in wanted and np.prod(shape) == np.prod(wanted):
        shape = wanted  # type: ignore[assignment]  # a network that takes the pixels as one vector
    if len(shape) != len(wanted) or any(w not in (None, s) for w, s in zip(wanted, shape, strict=True)):
        raise errors.BadRequest(
            f"The image has the shape {images.shape[1:]}; this network takes {wanted} (row, column, channel)."
        )
    return np.asarray(images, np.float32).reshape(len(images), *shape)


def _in_batches(
    opened: OpenedNetwork, images: np.ndarray, weights: Weights, layers: Sequence[str], batch: int
) -> Iterator[dict[str, np.ndarray]]:
    position = 0
    while position < len(images):
        try:
            with _as_sentences(opened, memory=batch == 1):
                part = images[position : position + batch]
                maps = opened.network.outputs(part, weights, layers)
        except MemoryError:
            batch //= 2
            continue
        yield maps
        position += len(part)


@contextmanager
def _as_sentences(opened: OpenedNetwork, memory: bool = True) -> Iterator[None]:
    """What a backend raises while it computes, as an error of ours about the run; a lack of memory only if ``memory``."""
    try:
        yield
    except (errors.MloscopeError, AdaptorError, Stopped):
        raise
    except MemoryError as error:
        if not memory:
            raise
        raise errors.Unavailable(
            f"There is not enough memory on {opened.backend.device} to evaluate {opened.spec.path}."
        ) from error
    except Exception as error:
        logger.exception("%s failed on the network of %s", opened.backend.title, opened.spec.path)
        raise errors.NotPossible(
            f"{opened.backend.title} cannot evaluate the network of {opened.spec.path}: {errors.lines_of(error)[0]}"
        ) from error


def _some(names: Mapping[str, Any]) -> str:
    shown = list(names)[:_FIRST_PARTS_SHOWN]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
