"""The questions that views ask, answered from files, cache and model service. REST and Dash callbacks use the
same ones.

    question ──► workspace (which run, checkpoint, layer, image) ──► adaptor     parameters, from files
                                                                └──► result cache ──miss──► model service
                                                                feature maps

Every method is synchronous and thread-safe, takes names as addresses have them, and raises
:class:`mloscope.app.errors.MloscopeError` with a sentence. Keys in the cache are content: a checkpoint's
fingerprint, the architecture, the layer, the digest of the network's input (image and preprocessing in one),
:data:`CODE_VERSION`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from mloscope.adaptors.interface import (
    AdaptorError,
    Checkpoint,
    Curve,
    EvaluableRun,
    Layer,
    Parameter,
    RunAdaptor,
)
from mloscope.app.errors import (
    BadRequest,
    Conflict,
    MloscopeError,
    NotFound,
    NotPossible,
    Unavailable,
    as_json,
    from_adaptor,
)
from mloscope.app.films import encoding
from mloscope.app.model_service import backends
from mloscope.app.model_service.class_probabilities import AS_GIVEN, as_probabilities
from mloscope.app.model_service.client import Evaluation as Evaluated
from mloscope.app.model_service.client import RunSpec
from mloscope.app.process.plain_json import plain
from mloscope.app.runs.training_curves import MetricsReader
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.connected import ConnectedRun
from mloscope.app.workspace.workspace import Workspace

logger = logging.getLogger(__name__)

_NO_SERVICE = "No model service is running."

UNEXPECTED = "Something went wrong inside ML-o-scope; its log says what."
FILM_ADDRESS = "/api/v1/films/"
CODE_VERSION = "2"
"""Part of every key; raise it whenever what is computed from the same input changes."""

TILES_SHOWN = 256
"""Up to this many tiles all are shown where no units are given; beyond, the first :data:`FIRST_UNITS` and so
on."""
FIRST_UNITS = 32
FIRST_CHANNELS = 16
CHUNK_STEPS = 16
"""Checkpoints in a film's chunk at most; a power of two, see :func:`_blocks`."""
FIRST_CHUNK_STEPS = 2
EVALUATION_STEPS = 64
"""Checkpoints in one call of the model service at most."""
FIRST_KNOWN_STEPS = 8
"""From so many steps in one call on, what the call itself costs does not hide what a step does."""
EVALUATION_S = 0.5
"""How long a call of the model service should take, so that the reader sees progress and hanging up stops the
work."""


class ModelService(Protocol):
    """What is needed of :class:`mloscope.app.model_service.client.ModelServiceClient`."""

    def evaluate(
        self, spec: RunSpec, steps: Sequence[int], layers: Sequence[str], image: np.ndarray, priority: int = 0
    ) -> Evaluated: ...


class Cache(Protocol):
    """What is needed of :class:`mloscope.app.cache.result_cache.ResultCache`."""

    def status(self) -> dict[str, Any]: ...

    def kept(self, keys: Sequence[str]) -> dict[str, bytes]: ...

    def has_all(self, keys: Sequence[str]) -> bool: ...

    def get_or_compute(self, key: str, compute: Callable[[], bytes]) -> bytes: ...

    def get_or_compute_many(
        self, keys: Sequence[str], compute: Callable[[Sequence[str]], Mapping[str, bytes]]
    ) -> dict[str, bytes]: ...


@dataclass(frozen=True)
class Evaluation:
    """Whether a run's network can be evaluated just now."""

    possible: bool
    state: str
    """The model service's: ``ready``, ``starting``, ``restarting``, ``not installed``, ``stopped``; or
    ``impossible``."""
    message: str | None
    """A sentence where it is not possible."""
    passing: bool = False
    """True where waiting helps."""


@dataclass(frozen=True)
class FilmQuestion:
    """What a film is to show. ``units`` and ``channels``: None for all, or the first of many
    (:data:`TILES_SHOWN`)."""

    run: str
    layer: str
    show: str = "parameters"
    """``parameters`` or ``features``"""
    parameter: str | None = None
    """Default: the layer's first."""
    units: tuple[int, ...] | None = None
    channels: tuple[int, ...] | None = None
    layout: str = "tiles"
    """``tiles`` or ``matrix``, for dense kernels"""
    image: str | None = None
    corpus: str | None = None
    near: int | None = None
    """The step whose neighbours come first; default: the first checkpoint."""


@dataclass(frozen=True)
class FeatureMaps:
    """A layer's outputs for one image."""

    maps: dict[int, np.ndarray]
    """By step, float32 in the layer's output shape (channels last)."""
    missing: dict[int, str]
    """By step, a sentence why there is none."""


@dataclass(frozen=True)
class Predictions:
    """What the network holds an image for."""

    probabilities: dict[int, np.ndarray]
    """By step, float64 (class,)."""
    missing: dict[int, str]
    kind: str
    """One of :data:`mloscope.app.model_service.class_probabilities.RULES`."""


@dataclass(frozen=True)
class PredictionCourse:
    """Predictions of one image over the whole run."""

    probabilities: np.ndarray
    """float64 (checkpoint, class), in the checkpoints' order; rows of NaN where there is none."""
    class_names: tuple[str, ...]
    true_class: int | None
    """Which of the network's classes is right; None where that is not known."""
    missing: dict[int, str]
    kind: str


class UnitCourse(NamedTuple):
    """One unit's values over the whole run."""

    values: np.ndarray
    """float as stored, (checkpoint, value), in the checkpoints' order; rows of NaN where there is none."""
    names: tuple[str, ...]
    """What each value is: ``row 0, column 3, channel 2``."""


@dataclass(frozen=True)
class UnitRanking:
    """Units that a rule found, best first."""

    units: tuple[int, ...]
    values: tuple[float, ...]
    rule: str
    unit_total: int


RANKING_RULES = ("largest-norm", "most-changed", "most-active")


@dataclass(frozen=True)
class _KeptOutputs:
    """A network's outputs at every checkpoint for one image, as one result of the cache."""

    key: str
    prints: Mapping[int, str]
    """Fingerprints, by step, of the checkpoints that can be read."""
    found: FeatureMaps | None
    """None where they are not all there."""


@dataclass(frozen=True)
class _Input:
    """An image as a network takes it."""

    values: np.ndarray
    digest: str


class Observatory:
    """See the module's docstring.

    ``model_service`` is None where there is none. ``service_state()`` gives its state and a sentence or None,
    as ``ModelServiceProcess.state`` and ``.problem`` do; default: ready where there is a service. ``charge(count)``
    is called before so many checkpoints are evaluated for whoever asks just now; it may raise TooManyRequests.
    ``statistics`` answers what is asked of all images of a corpus at once; default: there are none.
    """

    def __init__(
        self,
        workspace: Workspace,
        cache: Cache,
        model_service: ModelService | None = None,
        *,
        service_state: Callable[[], tuple[str, str | None]] | None = None,
        film_chunk_bytes: int = 2 << 20,
        clock: Callable[[], float] = time.perf_counter,
        charge: Callable[[int], None] = lambda _count: None,
        statistics: Statistics | None = None,
    ) -> None:
        self.workspace = workspace
        self.statistics = statistics or Statistics(workspace, StatisticsStore(None))
        self._cache = cache
        self._service = model_service
        self._service_state = service_state or self._presumed_state
        self._film_chunk_bytes = film_chunk_bytes
        self._clock = clock
        self._charge = charge
        self._lock = threading.Lock()
        self._layers: dict[str, tuple[tuple[Layer, ...], dict[str, Layer], str]] = {}
        self._unreadable: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._metrics = MetricsReader()
        self._step_s: dict[str, float] = {}
        """Seconds that a step took to evaluate the last time, by the digest of the architecture."""

    def _presumed_state(self) -> tuple[str, str | None]:
        return ("not installed", backends.missing() or _NO_SERVICE) if self._service is None else ("ready", None)

    def vitals(self, timeout_s: float = 1.0) -> dict[str, dict[str, Any]]:
        """How the cache and the model service are, JSON-able: ``{"cache": {"kind", "available", "hits" ...},
        "model_service": {"state", "problem", and what it says of itself}}``. Takes about ``timeout_s`` at most."""
        state, problem = self._service_state()
        service: dict[str, Any] = {}
        ask = getattr(self._service, "status", None)
        if ask is not None and state == "ready":
            try:
                service = ask(timeout_s)
                state, problem = service["state"], service["problem"]
            except MloscopeError as error:
                state, problem = "unreachable", str(error)
            several = getattr(self._service, "services", None)
            if several is not None:
                service["services"] = several(timeout_s)
        return {"cache": self._cache.status(), "model_service": {**service, "state": state, "problem": problem}}

    # ------------------------------------------------------------------------------------- what there is

    def layers(self, run: str) -> tuple[Layer, ...]:
        """The run's layers in topological order."""
        return self._described(run)[0]

    def layer(self, run: str, name: str) -> Layer:
        """One layer. Raises :class:`NotFound`."""
        _, by_name, _ = self._described(run)
        try:
            return by_name[name]
        except KeyError:
            names = list(by_name)
            known = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
            raise NotFound(f'The run "{run}" has no layer "{name}"; it has: {known}.') from None

    def _described(self, run: str) -> tuple[tuple[Layer, ...], dict[str, Layer], str]:
        """Layers, layers by name, digest of the architecture."""
        opened = self.workspace.opened_run(run)
        connected, adaptor = opened.connected, opened.adaptor
        try:
            layers = adaptor.layers()
        except AdaptorError as error:
            raise from_adaptor(error) from error
        with self._lock:
            known = self._layers.get(run)
        if known is None or known[0] is not layers:
            text = json.dumps(
                [
                    [layer.name, layer.kind, layer.inputs, layer.output_shape, dict(layer.hyperparameters)]
                    for layer in layers
                ],
                default=repr,
            )
            options = connected.options
            digest = _digest(adaptor.format, str(options.architecture), str(options.custom_objects), text)
            known = (layers, {layer.name: layer for layer in layers}, digest)
            with self._lock:
                self._layers[run] = known
        return known

    def checkpoints(self, run: str) -> tuple[Checkpoint, ...]:
        """All checkpoints by step, broken ones with their problem included."""
        adaptor = self.workspace.opened_run(run).adaptor
        try:
            return adaptor.checkpoints()
        except AdaptorError as error:
            raise from_adaptor(error) from error

    def checkpoint(self, run: str, step: int) -> Checkpoint:
        """The checkpoint of this step, broken or not. Raises :class:`NotFound`."""
        checkpoints = self.checkpoints(run)
        for checkpoint in checkpoints:
            if checkpoint.step == step:
                return checkpoint
        span = f"its steps go from {checkpoints[0].step} to {checkpoints[-1].step}" if checkpoints else "it has none"
        raise NotFound(f'The run "{run}" has no checkpoint of step {step}; {span}.')

    def metrics(self, run: str) -> tuple[Curve, ...]:
        """How the run's training went: the curves in its checkpoints and in the logs beside them. Empty where nobody wrote
        any."""
        opened = self.workspace.opened_run(run)
        connected, adaptor = opened.connected, opened.adaptor
        return self._metrics.metrics(adaptor, connected.path).curves

    def metric_problems(self, run: str) -> tuple[str, ...]:
        """Sentences about the logs that could not be read, and about what was assumed of them."""
        opened = self.workspace.opened_run(run)
        connected, adaptor = opened.connected, opened.adaptor
        return self._metrics.metrics(adaptor, connected.path).problems

    def evaluation(self, run: str) -> Evaluation:
        """Whether feature maps and predictions of the run can be had just now, and if not, why."""
        opened = self.workspace.opened_run(run)
        connected, adaptor = opened.connected, opened.adaptor
        if not isinstance(adaptor, EvaluableRun):
            return Evaluation(
                False,
                "impossible",
                f'The network of the run "{connected.name}" cannot be evaluated: '
                f"the format {adaptor.format} holds its weights only.",
            )
        state, problem = self._service_state()
        if state == "ready" and self._service is not None:
            return Evaluation(True, state, None)
        if state == "not installed" or self._service is None:
            return Evaluation(False, "not installed", problem or backends.missing() or _NO_SERVICE)
        passing = state in ("starting", "restarting")
        words = {"starting": "is starting", "restarting": "stopped and is being restarted"}.get(state, f"is {state}")
        return Evaluation(False, state, problem or f"The model service {words}.", passing)

    def subject(self, run: str | None = None, corpus: str | None = None) -> dict[str, Any]:
        """What the browser needs to know of a run and a corpus, JSON-able: ``mloscope.subject``.

        An unknown name is said in ``problems`` and the first that can be opened takes its place.
        """
        problems: list[str] = []
        run = self._name_or_first(run, self.workspace.run, self.workspace.runs, problems)
        own = self.workspace.corpus_of(run) if run is not None else None
        if corpus is None and own is not None:
            corpus = own
        corpus = self._name_or_first(corpus, self.workspace.corpus, self.workspace.corpora, problems)
        subject: dict[str, Any] = {
            "run": run,
            "corpus": corpus,
            "runs": [known.name for known in self.workspace.runs],
            "corpora": [known.name for known in self.workspace.corpora],
            "titles": {
                "runs": {known.name: known.shown_title for known in self.workspace.runs},
                "corpora": {known.name: known.shown_title for known in self.workspace.corpora},
            },
            "problems": problems,
            "version": "",
            "checkpoints": [],
            "classNames": [],
            "layers": [],
            "evaluation": {
                "possible": False,
                "state": "impossible",
                "message": self.workspace.run(run).problem if run is not None else None,
                "passing": False,
            },
            "preprocessing": None,
            "basis": None,
        }
        if corpus is not None:
            adaptor = self.workspace.corpus(corpus).adaptor
            problems += adaptor.problems() if adaptor is not None else ()
        if run is None or self.workspace.run(run).adaptor is None:
            return plain(subject)
        handle = self.workspace.opened_run(run)
        connected, opened = handle.connected, handle.adaptor
        subject["version"] = self.workspace.version(run)
        problems += opened.problems()
        try:
            subject["checkpoints"] = [checkpoint_json(checkpoint) for checkpoint in self.checkpoints(run)]
            subject["layers"] = [layer_json(layer) for layer in self.layers(run)]
        except MloscopeError as error:
            problems.append(str(error))
        subject["evaluation"] = vars(self.evaluation(run))
        subject["preprocessing"] = preprocessing_json(connected)
        try:
            basis = self.workspace.basis(run, corpus)
        except MloscopeError as error:
            problems.append(str(error))
        else:
            subject["classNames"] = list(basis.classes.names)
            subject["basis"] = basis.json()
        return plain(subject)

    @staticmethod
    def _name_or_first(
        name: str | None, find: Callable[[str], Any], known: Sequence[Any], problems: list[str]
    ) -> str | None:
        if name is not None:
            try:
                found = find(name)
            except NotFound as error:
                problems.append(str(error))
            else:
                if found.problem:
                    problems.append(found.problem)
                return found.name
        for candidate in known:
            if candidate.adaptor is None:
                problems.append(f"{candidate.name}: {candidate.problem}")
        usable = [candidate for candidate in known if candidate.adaptor is not None]
        return (usable or list(known))[0].name if known else None

    # ---------------------------------------------------------------------------------------- parameters

    def parameters(self, run: str, step: int, layer: str) -> dict[str, np.ndarray]:
        """The layer's arrays at the step, as stored."""
        adaptor = self.workspace.opened_run(run).adaptor
        return self._read(adaptor, self.checkpoint(run, step), self.layer(run, layer))

    def _read(
        self, adaptor: RunAdaptor, checkpoint: Checkpoint, layer: Layer, fingerprint: str | None = None
    ) -> dict[str, np.ndarray]:
        """The layer's arrays. Raises :class:`Conflict` where the file is another one afterwards than before, or than
        that of the ``fingerprint``."""
        if checkpoint.problem:
            raise NotPossible(checkpoint.problem)
        try:
            before = fingerprint or adaptor.fingerprint(checkpoint)
            values = adaptor.parameters(checkpoint, layer)
            if adaptor.fingerprint(checkpoint) != before:
                raise Conflict(_changed(checkpoint))
            return values
        except MloscopeError:
            raise
        except AdaptorError as error:
            raise from_adaptor(error) from error
        except Exception as error:  # a stranger's adaptor: one checkpoint must not take the others with it
            logger.exception("adaptor %s failed on %s", adaptor.format, checkpoint.name)
            raise NotPossible(
                f"The checkpoint {checkpoint.name} could not be read: the adaptor {adaptor.format} failed "
                "on it; the log says how."
            ) from error

    def parameter_of(self, run: str, layer: str, name: str | None) -> Parameter:
        """The parameter of this name, or the layer's first. Raises :class:`NotFound` or
        :class:`NotPossible`."""
        known = self.layer(run, layer)
        if not known.parameters:
            raise NotPossible(f'The layer "{layer}" has no parameters ({known.kind}).')
        if not name:
            return known.parameters[0]
        for parameter in known.parameters:
            if parameter.name == name:
                return parameter
        names = ", ".join(parameter.name for parameter in known.parameters)
        raise NotFound(f'The layer "{layer}" has no parameter "{name}"; it has: {names}.')

    def parameter_tiles(
        self, run: str, step: int, layer: str, parameter: str | None = None, layout: str = "tiles"
    ) -> np.ndarray:
        """A parameter at one step as pictures, float (unit, channel, row, column, component).

        A first convolution's kernel on three channels has one channel and three components, red, green and
        blue whatever the network's channel order; anything else has one component.
        """
        adaptor = self.workspace.opened_run(run).adaptor
        known, array = self.layer(run, layer), self.parameter_of(run, layer, parameter)
        picture = self._pictured(run, known, array, layout)
        return picture(self._read(adaptor, self.checkpoint(run, step), known))

    def _pictured(
        self, run: str, layer: Layer, parameter: Parameter, layout: str
    ) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
        """How a layer's arrays become (unit, channel, row, column, component)."""
        layers, by_name, _ = self._described(run)
        connected = self.workspace.opened_run(run)
        colour = _is_colour_kernel(layers, by_name, layer, parameter)
        reverse = connected.preprocessing.channel_order == "bgr"
        preceding = _preceding_map(by_name, layer)

        def picture(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
            array = arrays.get(parameter.name)
            if array is None or array.shape != tuple(parameter.shape):
                if array is None and parameter.slot:
                    raise NotPossible(f"This checkpoint was saved without {layer.name}/{parameter.name}.")
                held = "is not in it" if array is None else f"has the shape {array.shape} in it"
                raise NotPossible(
                    f"This checkpoint belongs to another network: {layer.name}/{parameter.name} {held}, not "
                    f"{tuple(parameter.shape)}."
                )
            tiles = encoding.tiles(array, parameter.axes, preceding, layout, parameter.flattened)
            if not colour:
                return tiles[..., np.newaxis]
            tiles = tiles[:, ::-1] if reverse else tiles
            return tiles.transpose(0, 2, 3, 1)[:, np.newaxis]

        return picture

    def layer_details(self, run: str, step: int, layer: str, unit: int | None = None) -> list[dict[str, Any]]:
        """One JSON-able mapping for each of the layer's parameters at the step, in the layer's order.

        ``parameter``, ``shape``, ``dtype``, ``count``; ``min``, ``max``, ``mean``, ``std``, ``norm`` (L2) of
        the finite values, None where there are none; ``share_of_zeros`` (exact zeros among all values),
        ``nan``, ``infinite`` (how many). With a unit, also ``unit_min``, ``unit_max``, ``unit_norm``,
        ``unit_share_of_zeros``; a unit that the parameter has not: None.
        """

        def tell(arrays: Mapping[str, np.ndarray]) -> bytes:
            rows = []
            for parameter in self.layer(run, layer).parameters:
                array = arrays.get(parameter.name)
                if array is None:
                    continue
                row = {
                    "parameter": parameter.name,
                    "shape": list(array.shape),
                    "dtype": str(array.dtype),
                    **_statistics(array),
                }
                if unit is not None:
                    flat = _by_unit(array, parameter.axes)[0]
                    found = _statistics(flat[unit]) if 0 <= unit < len(flat) else {}
                    row |= {f"unit_{key}": found.get(key) for key in ("min", "max", "norm", "share_of_zeros")}
                rows.append(row)
            return json.dumps(rows).encode()

        rows: list[dict[str, Any]] = json.loads(self._told_of(run, step, layer, ("details", str(unit)), tell))
        return rows

    def _told_of(
        self,
        run: str,
        step: int,
        layer: str,
        what: Sequence[str],
        tell: Callable[[dict[str, np.ndarray]], bytes],
    ) -> bytes:
        """What ``tell`` makes of the layer's arrays at the step, and of nothing but them and ``what``: each file is read for
        it once."""
        adaptor = self.workspace.opened_run(run).adaptor
        checkpoint, known = self.checkpoint(run, step), self.layer(run, layer)
        prints, _ = self._fingerprints(adaptor, (checkpoint,))
        if step not in prints:
            return tell(self._read(adaptor, checkpoint, known))  # which raises what is the matter
        key = "told:" + _digest(CODE_VERSION, self._described(run)[2], prints[step], known.name, *what)
        return self._cache.get_or_compute(key, lambda: tell(self._read(adaptor, checkpoint, known, prints[step])))

    def unit_course(self, run: str, layer: str, parameter: str | None, unit: int) -> UnitCourse:
        """One unit's values at every checkpoint, exactly as stored."""
        adaptor = self.workspace.opened_run(run).adaptor
        known, wanted = self.layer(run, layer), self.parameter_of(run, layer, parameter)
        total, names = _unit_names(wanted)
        if not 0 <= unit < total:
            raise _no_unit(layer, unit, total)
        checkpoints = self.checkpoints(run)
        prints, _ = self._fingerprints(adaptor, checkpoints)
        key = "course:" + _digest(
            CODE_VERSION,
            self._described(run)[2],
            known.name,
            wanted.name,
            str(unit),
            *map(str, prints.items()),
        )

        def compute() -> bytes:
            rows: dict[int, np.ndarray] = {}
            for checkpoint in checkpoints:
                if checkpoint.step not in prints:
                    continue
                try:
                    array = self._read(adaptor, checkpoint, known, prints[checkpoint.step])[wanted.name]
                except (MloscopeError, KeyError):
                    continue
                if array.shape == tuple(wanted.shape):
                    rows[checkpoint.step] = _by_unit(array, wanted.axes)[0][unit]
            kind = np.result_type(np.float16, *rows.values()) if rows else np.dtype(np.float32)
            course = np.full((len(checkpoints), len(names)), np.nan, kind)
            for position, checkpoint in enumerate(checkpoints):
                if checkpoint.step in rows:
                    course[position] = rows[checkpoint.step]
            return _packed(course)

        return UnitCourse(_unpacked(self._cache.get_or_compute(key, compute)), names)

    def unit_values(
        self,
        run: str,
        step: int,
        layer: str,
        unit: int,
        *,
        parameter: str | None = None,
        image: str | None = None,
        corpus: str | None = None,
        layout: str = "tiles",
    ) -> tuple[np.ndarray, tuple[float, float]]:
        """One unit enlarged: float (channel, row, column), and the range of the whole layer's finite values
        at the step.

        With an image its feature map (one channel), else its weights.
        """
        if image:
            maps = encoding.map_tiles(self.feature_map(run, step, layer, image, corpus))[..., np.newaxis]
            return _unit_of(maps, layer, unit)
        wanted = self.parameter_of(run, layer, parameter)
        picture = self._pictured(run, self.layer(run, layer), wanted, layout)

        def tell(arrays: Mapping[str, np.ndarray]) -> bytes:
            values, ends = _unit_of(picture(arrays), layer, unit)
            return struct.pack("<2d", *ends) + _packed(values)

        order = self.workspace.opened_run(run).preprocessing.channel_order
        told = self._told_of(run, step, layer, ("unit", wanted.name, layout, str(unit), order), tell)
        return _unpacked(told[16:]), struct.unpack_from("<2d", told)

    def unit_ranking(
        self,
        run: str,
        step: int,
        layer: str,
        rule: str,
        image: str | None = None,
        corpus: str | None = None,
        count: int = 32,
        parameter: str | None = None,
    ) -> UnitRanking:
        """The ``count`` units that a rule of :data:`RANKING_RULES` puts first.

        ``largest-norm``: L2 norm of the unit's weights; ``most-changed``: L2 norm of their difference from
        the first checkpoint that can be read; ``most-active``: mean absolute value of the unit's feature map
        of the image. Ties by number; NaN last.
        """
        if rule not in RANKING_RULES:
            raise BadRequest(f'There is no rule "{rule}"; the rules are {", ".join(RANKING_RULES)}.')
        if rule == "most-active":
            if not image:
                raise BadRequest("The rule most-active needs an image.")
            maps = self.feature_map(run, step, layer, image, corpus).astype(np.float64)
            values = np.abs(maps).reshape(-1, maps.shape[-1]).mean(axis=0)
        else:
            wanted = self.parameter_of(run, layer, parameter)
            now = self._flat_units(run, step, layer, wanted)
            if rule == "most-changed":
                now = now - self._first_flat_units(run, layer, wanted)
            values = _norms(now)
        order = np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")[: max(0, count)]
        return UnitRanking(
            tuple(int(unit) for unit in order),
            tuple(float(values[unit]) for unit in order),
            rule,
            len(values),
        )

    def _flat_units(self, run: str, step: int, layer: str, parameter: Parameter) -> np.ndarray:
        array = self.parameters(run, step, layer).get(parameter.name)
        if array is None or array.shape != tuple(parameter.shape):
            raise NotPossible(
                f"The checkpoint of step {step} belongs to another network: "
                f"its {layer}/{parameter.name} is not {tuple(parameter.shape)}."
            )
        return _by_unit(array, parameter.axes)[0].astype(np.float64)

    def _first_flat_units(self, run: str, layer: str, parameter: Parameter) -> np.ndarray:
        for checkpoint in self.checkpoints(run):
            try:
                return self._flat_units(run, checkpoint.step, layer, parameter)
            except MloscopeError:
                continue
        raise NotPossible(f'No checkpoint of the run "{run}" holds {layer}/{parameter.name}.')

    # ------------------------------------------------------------------------- feature maps, predictions

    def feature_map(self, run: str, step: int, layer: str, image: str, corpus: str | None = None) -> np.ndarray:
        """A layer's output for one image at one step, float32 in the layer's output shape. Raises
        :class:`NotPossible` where this step has none."""
        found = self.feature_maps(run, (step,), layer, image, corpus)
        if step in found.missing:
            raise NotPossible(found.missing[step])
        return found.maps[step]

    def feature_maps(
        self,
        run: str,
        steps: Iterable[int],
        layer: str,
        image: str,
        corpus: str | None = None,
        priority: int = 0,
    ) -> FeatureMaps:
        """The layer's outputs for one image of a corpus (default: the run's) at these steps, in the order of
        time.

        What is in the cache is not evaluated again. Raises where nothing can be evaluated at all; a step that
        cannot is in ``missing``.
        """
        wanted = set(steps)
        known = self.layer(run, layer)
        checkpoints = [self.checkpoint(run, step) for step in sorted(wanted)]
        return self._maps(run, checkpoints, known, self._input(run, corpus, image), priority)

    def predictions(
        self, run: str, steps: Iterable[int], image: str, corpus: str | None = None, priority: int = 0
    ) -> Predictions:
        """Class probabilities of one image at these steps."""
        output, rule = self._classifier(run, corpus)
        wanted, checkpoints = set(steps), self.checkpoints(run)
        if len(checkpoints) > 1 and wanted == {checkpoint.step for checkpoint in checkpoints}:
            return _as_predictions(rule, self._outputs(run, output, self._input(run, corpus, image), priority))
        return _as_predictions(rule, self.feature_maps(run, wanted, output.name, image, corpus, priority))

    def _outputs(self, run: str, output: Layer, image: _Input, priority: int = 0) -> FeatureMaps:
        """The network's outputs at every checkpoint: one result of its own, as they are asked for together."""
        kept = self._kept_outputs(run, output, image)
        if kept.found is not None:
            return kept.found
        found = self._maps(run, self.checkpoints(run), output, image, priority)
        self._keep_outputs(run, kept, found.maps)
        return found

    def _kept_outputs(self, run: str, output: Layer, image: _Input) -> _KeptOutputs:
        self._must_evaluate(run, output)
        adaptor = self.workspace.opened_run(run).adaptor
        prints, missing = self._fingerprints(adaptor, self.checkpoints(run))
        key = "outputs:" + _digest(
            CODE_VERSION, self._described(run)[2], output.name, image.digest, *map(str, prints.items())
        )
        data = self._cache.kept([key]).get(key)
        maps = dict(zip(prints, _unpacked(data), strict=True)) if data is not None else None
        return _KeptOutputs(key, prints, None if maps is None else FeatureMaps(maps, missing))

    def _keep_outputs(self, run: str, kept: _KeptOutputs, maps: Mapping[int, np.ndarray]) -> None:
        """Where all are there, and the files are those that the key stands for."""
        if not maps or maps.keys() != kept.prints.keys():
            return
        adaptor = self.workspace.opened_run(run).adaptor
        if self._fingerprints(adaptor, self.checkpoints(run))[0] == kept.prints:
            together = _packed(np.stack([maps[step] for step in kept.prints]))
            self._cache.get_or_compute(kept.key, lambda: together)

    def prediction_course(self, run: str, corpus: str | None, image: str) -> PredictionCourse:
        """Class probabilities of one image at every checkpoint."""
        checkpoints = self.checkpoints(run)
        found = self.predictions(run, [checkpoint.step for checkpoint in checkpoints], image, corpus)
        classes = max((len(row) for row in found.probabilities.values()), default=0)
        course = np.full((len(checkpoints), classes), np.nan)
        for position, checkpoint in enumerate(checkpoints):
            if checkpoint.step in found.probabilities:
                course[position] = found.probabilities[checkpoint.step]
        corpus = self._corpus(run, corpus)
        images = self.workspace.opened_corpus(corpus)
        known = self.workspace.basis(run, corpus).classes
        label = known.output_of(images.record(images.position(image)).label)
        return PredictionCourse(course, known.names, label, found.missing, found.kind)

    def prediction_stream(
        self, run: str, image: str, corpus: str | None = None, near: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Predictions at every checkpoint as they come, nearest to ``near`` first, JSON-able lines:

        ``{"steps", "probabilities", "kind"}``, ``{"missing": {"step", "reason"}}``, at the end ``{"done":
        true}``, or ``{"error"}``. Raises at once where the question is wrong.
        """
        return _line_by_line(self.prediction_pieces(run, image, corpus, near))

    def prediction_pieces(
        self, run: str, image: str, corpus: str | None = None, near: int | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """:meth:`prediction_stream`, with the lines together that were worked out together."""
        output, rule = self._classifier(run, corpus)
        checkpoints = self.checkpoints(run)
        values = self._input(run, corpus, image)
        kept = self._kept_outputs(run, output, values)
        order = _blocks(len(checkpoints), CHUNK_STEPS, _index_of(checkpoints, near))

        def lines_of(maps: FeatureMaps) -> list[dict[str, Any]]:
            found = _as_predictions(rule, maps)
            lines: list[dict[str, Any]] = []
            if found.probabilities:
                rows = [_numbers(row) for row in found.probabilities.values()]
                lines.append({"steps": list(found.probabilities), "probabilities": rows, "kind": found.kind})
            lines += ({"missing": {"step": step, "reason": reason}} for step, reason in found.missing.items())
            return lines

        def pieces() -> Iterator[list[dict[str, Any]]]:
            if kept.found is not None:
                in_order = (checkpoints[i].step for block in order for i in block)
                maps = {step: kept.found.maps[step] for step in in_order if step in kept.found.maps}
                yield lines_of(FeatureMaps(maps, kept.found.missing))
                return
            every: dict[int, np.ndarray] = {}
            for group in self._paced(run, order):
                found = self._maps(run, [checkpoints[i] for block in group for i in block], output, values)
                every |= found.maps
                yield lines_of(found)
            self._keep_outputs(run, kept, every)

        return _ended(pieces())

    def _classifier(self, run: str, corpus: str | None) -> tuple[Layer, str]:
        """The layer that tells classes, and the rule by which its values become probabilities."""
        output = self.workspace.basis(run, corpus).output
        if output.layer is None or output.rule is None:
            raise NotPossible(f'The run "{run}" gives no class probabilities. {output.refusal}')
        return self.layer(run, output.layer), output.rule

    def _corpus(self, run: str, corpus: str | None) -> str:
        corpus = corpus or self.workspace.corpus_of(run)
        if corpus is None:
            raise NotPossible("No corpus of images is connected: mloscope serve RUN --images PATH connects one.")
        return corpus

    def _input(self, run: str, corpus: str | None, image: str | None) -> _Input:
        if not image:
            raise BadRequest("Feature maps and predictions are those of an image: add image=ID.")
        opened = self.workspace.opened_run(run)
        images = self.workspace.corpus_for(opened, corpus)
        values = self.workspace.inputs.one(opened, images, images.position(image))
        return _Input(values, _digest(repr(values.shape), values.tobytes()))

    def _must_evaluate(self, run: str, layer: Layer) -> ModelService:
        """The model service. Raises where the layer of the run can never be evaluated; a service that is only
        starting is asked all the same, so that what is in the cache is answered."""
        evaluation = self.evaluation(run)
        if layer.problem:
            raise NotPossible(layer.problem)
        if evaluation.state == "impossible":
            raise NotPossible(str(evaluation.message))
        if self._service is None:
            raise Unavailable(str(evaluation.message))
        return self._service

    def _fingerprints(
        self, adaptor: RunAdaptor, checkpoints: Iterable[Checkpoint]
    ) -> tuple[dict[int, str], dict[int, str]]:
        """Fingerprints, and reasons where there is none, by step."""
        prints, reasons = {}, {}
        for checkpoint in checkpoints:
            if checkpoint.problem:
                reasons[checkpoint.step] = checkpoint.problem
                continue
            try:
                prints[checkpoint.step] = adaptor.fingerprint(checkpoint)
            except AdaptorError as error:
                reasons[checkpoint.step] = str(error)
            except OSError as error:
                reasons[checkpoint.step] = f"The checkpoint {checkpoint.name} cannot be read: {error.strerror}."
        return prints, reasons

    def _maps(
        self,
        run: str,
        checkpoints: Sequence[Checkpoint],
        layer: Layer,
        image: _Input,
        priority: int = 0,
        prints: Mapping[int, str] | None = None,
    ) -> FeatureMaps:
        """Feature maps out of the cache, the others evaluated in one call, predictions with them in the same
        pass. ``prints``: fingerprints by step, where they are known and the maps are to be of those very files."""
        self._must_evaluate(run, layer)
        adaptor = self.workspace.opened_run(run).adaptor
        architecture = self._described(run)[2]
        prints, missing = self._fingerprints(adaptor, checkpoints) if prints is None else (prints, {})
        told = self.workspace.basis(run).output
        output = self.layer(run, told.layer) if told.layer is not None and told.rule is not None else layer
        names = list(dict.fromkeys((layer.name, output.name) if not output.problem else (layer.name,)))
        questions: dict[str, tuple[int, str]] = {
            "map:" + _digest(CODE_VERSION, architecture, prints[checkpoint.step], name, image.digest): (
                checkpoint.step,
                name,
            )
            for checkpoint in checkpoints
            if checkpoint.step in prints
            for name in names
        }

        reasons: dict[int, str] = {}

        def compute(keys: Sequence[str]) -> dict[str, bytes]:
            asked = {key: questions[key] for key in keys if questions[key][0] not in reasons}
            return self._evaluate(run, asked, prints, image, priority, reasons) if asked else {}

        found = self._cache.get_or_compute_many(list(questions), compute)
        maps = {
            step: _unpacked(found[key])
            for key, (step, name) in questions.items()
            if name == layer.name and key in found
        }
        return FeatureMaps(
            dict(sorted(maps.items())),
            {step: reason for step, reason in sorted((missing | reasons).items()) if step not in maps},
        )

    def _evaluate(
        self,
        run: str,
        questions: Mapping[str, tuple[int, str]],
        prints: Mapping[int, str],
        image: _Input,
        priority: int,
        reasons: dict[int, str],
    ) -> dict[str, bytes]:
        """Ask the model service for (step, layer name) by key; packed arrays by key.

        A step that cannot be evaluated, or whose file is no longer that of the fingerprint in ``prints``, gets its sentence
        in ``reasons`` and is left out.
        """
        opened = self.workspace.opened_run(run)
        connected, adaptor = opened.connected, opened.adaptor
        assert self._service is not None
        steps = sorted({step for step, _ in questions.values()})
        names = list(dict.fromkeys(name for _, name in questions.values()))
        spec = RunSpec(str(connected.path.absolute()), adaptor.format, connected.options)
        self._charge(len(steps))
        began = self._clock()
        answer = self._service.evaluate(spec, steps, names, image.values, priority)
        if len(steps) >= FIRST_KNOWN_STEPS:
            self._step_s[self._described(run)[2]] = (self._clock() - began) / len(steps)
        reasons |= answer.failed
        # Kept under a fingerprint that the file had before, another file's answer would come back when the first file does.
        checkpoints = [checkpoint for checkpoint in self.checkpoints(run) if checkpoint.step in set(steps)]
        now, gone = self._fingerprints(adaptor, checkpoints)
        for checkpoint in checkpoints:
            if now.get(checkpoint.step) != prints[checkpoint.step] and checkpoint.step not in reasons:
                reasons[checkpoint.step] = gone.get(checkpoint.step) or _changed(checkpoint)
        rows = {step: row for row, step in enumerate(steps)}
        return {
            key: _packed(np.asarray(answer[name][rows[step]], np.float32))
            for key, (step, name) in questions.items()
            if step not in reasons
        }

    def _paced(self, run: str, blocks: Sequence[range]) -> Iterator[list[range]]:
        """The blocks in groups that take about :data:`EVALUATION_S` each: judged by how long evaluations of such a network
        took lately, and before there was one, by how long the group before took."""
        architecture = self._described(run)[2]
        rest = list(blocks)
        allowed = 1.0
        while rest:
            group, count = [rest.pop(0)], 0
            count = len(group[0])
            while rest and count + len(rest[0]) <= allowed:
                group.append(rest.pop(0))
                count += len(group[-1])
            began = self._clock()
            yield group
            step_s = self._step_s.get(architecture) or (self._clock() - began) / count
            allowed = min(EVALUATION_STEPS, EVALUATION_S / max(step_s, 1e-6))

    # --------------------------------------------------------------------------------------------- films

    def film(self, question: FilmQuestion) -> Iterator[dict[str, Any]]:
        """A film's manifest, JSON-able lines as they come. Raises at once where the question is wrong.

        First ``{"film": {...}}``; then ``{"chunk": {"address", "steps", "bytes"}}``, nearest to ``near``
        first, the first one small, each followed by ``{"progress": {"done", "of", "doing"}}``; ``{"missing":
        {"step", "reason"}}`` for every checkpoint that has nothing; at the end ``{"done": true}``, or
        ``{"error": {...}}``. Closing the iterator stops the work. The same question again, with nothing
        changed, reads no file and evaluates nothing.
        """
        return _line_by_line(self.film_pieces(question))

    def film_pieces(self, question: FilmQuestion) -> Iterator[list[dict[str, Any]]]:
        """:meth:`film`, with the lines together that were worked out together."""
        return _ended(self._shoot(self._shooting(question)))

    def film_bytes(self, digest: str) -> bytes:
        """A film's chunk by the digest in its address. Raises :class:`NotFound` where the cache holds it no
        more."""

        def gone() -> bytes:
            raise NotFound(f'There is no film "{digest}" any more: ask for its manifest again, which makes it anew.')

        return self._cache.get_or_compute(f"film:{digest}", gone)

    def frames(self, question: FilmQuestion, steps: Sequence[int]) -> bytes:
        """What a chunk of the film would hold of these steps, no more than a chunk has, as their files are now; nothing of it
        is kept. So a film can be seen while the cache is away, and what the cache let go need not be sought in a new
        manifest. Raises what is the matter with the first step that has nothing."""
        shooting = self._shooting(question)
        most = max(map(len, shooting.blocks), default=1)
        if not 0 < len(steps) <= most:
            raise BadRequest(f"{len(steps)} steps are asked for; of this film it must be 1 to {most} at a time.")
        checkpoints = [self.checkpoint(question.run, step) for step in sorted(set(steps))]
        adaptor = self.workspace.opened_run(question.run).adaptor
        prints, missing = self._fingerprints(adaptor, checkpoints)
        if not missing:
            shot, missing = self._shot(replace(shooting, prints=prints), checkpoints)
        for step, reason in missing.items():
            raise NotPossible(f"Step {step} is missing: {reason}")
        return shot.to_bytes()

    def _shooting(self, question: FilmQuestion) -> _Shooting:
        """Check the question and find out all that can be known before anything is read or evaluated."""
        if question.show not in ("parameters", "features"):
            raise BadRequest(f'show = "{question.show}" does not exist; it is "parameters" or "features".')
        if question.layout not in ("tiles", "matrix"):
            raise BadRequest(f'layout = "{question.layout}" does not exist; it is "tiles" or "matrix".')
        layer = self.layer(question.run, question.layer)
        checkpoints = self.checkpoints(question.run)
        if question.near is not None:
            self.checkpoint(question.run, question.near)
        if question.show == "parameters":
            parameter = self.parameter_of(question.run, question.layer, question.parameter)
            picture = self._pictured(question.run, layer, parameter, question.layout)
            nothing = np.broadcast_to(np.float32(0), parameter.shape)
            shape = picture({parameter.name: nothing}).shape
            image = None
        else:
            parameter, picture = None, None
            image = self._input(question.run, question.corpus, question.image)
            self._must_evaluate(question.run, layer)
            shape = self._map_shape(question.run, layer, checkpoints, image, question.near)
        units, channels = _selection(question, shape)
        frame_bytes = len(units) * len(channels) * int(np.prod(shape[2:]))
        size = CHUNK_STEPS
        while size > 1 and size * frame_bytes > self._film_chunk_bytes:
            size //= 2
        return _Shooting(
            question, layer, checkpoints, parameter, picture, image, shape, units, channels,
            _blocks(len(checkpoints), size, _index_of(checkpoints, question.near)),
        )  # fmt: skip

    def _map_shape(
        self, run: str, layer: Layer, checkpoints: Sequence[Checkpoint], image: _Input, near: int | None
    ) -> tuple[int, ...]:
        """Shape of the layer's feature maps as pictures; evaluated where the architecture does not say it."""
        if layer.output_shape is not None and None not in layer.output_shape:
            nothing = np.broadcast_to(np.float32(0), tuple(size or 0 for size in layer.output_shape))
            return (*encoding.map_tiles(nothing).shape, 1)
        here = _index_of(checkpoints, near)
        for checkpoint in sorted(checkpoints, key=lambda c: abs(c.step - checkpoints[here].step)):
            found = self._maps(run, (checkpoint,), layer, image)
            for array in found.maps.values():
                return (*encoding.map_tiles(array).shape, 1)
        raise NotPossible(f'The layer "{layer.name}" can be evaluated at no checkpoint of the run "{run}".')

    def _shoot(self, film: _Shooting) -> Iterator[list[dict[str, Any]]]:
        units, channels, rows, columns, components = film.shape
        head = {
            "film": {
                "show": film.question.show,
                "layer": film.layer.name,
                "parameter": film.parameter.name if film.parameter else None,
                "units": list(film.units),
                "channels": list(film.channels),
                "unit_total": units,
                "channel_total": channels,
                "rows": rows,
                "columns": columns,
                "components": components,
                "steps": [checkpoint.step for checkpoint in film.checkpoints],
            }
        }
        reading = film.question.show == "parameters"
        kept = self._kept_chunks(film)
        if kept is not None:
            yield [head, *_chunk_lines(film, film.blocks, kept, 0, reading)]
            return
        yield [head]
        groups: Iterable[list[range]] = (
            ([block] for block in film.blocks) if reading else self._paced(film.question.run, film.blocks)
        )
        done = 0
        for group in groups:
            priority = 1 if done else 0  # the picture at the current step comes before all others
            yield _chunk_lines(film, group, self._chunks(film, group, priority), done, reading)
            done += sum(map(len, group))

    def _keyed(self, film: _Shooting, block: range) -> _Keyed:
        adaptor = self.workspace.opened_run(film.question.run).adaptor
        checkpoints = [film.checkpoints[i] for i in block]
        prints, missing = self._fingerprints(adaptor, checkpoints)
        if film.parameter is not None:
            for step, fingerprint in list(prints.items()):
                known = self._unreadable.get((fingerprint, film.layer.name))
                if known is not None:
                    missing[step] = known
                    del prints[step]
        architecture = self._described(film.question.run)[2]
        key = "chunk:" + _digest(CODE_VERSION, architecture, film.identity(), repr(list(prints.items())))
        chosen = [checkpoint for checkpoint in checkpoints if checkpoint.step in prints]
        return _Keyed(key if prints else None, chosen, prints, missing)

    def _kept_chunks(self, film: _Shooting) -> list[tuple[dict[str, Any] | None, dict[int, str]]] | None:
        """As :meth:`_chunks`, of the whole film, where the cache has it all; else None. Most films that are asked for do."""
        blocks = [self._keyed(film, block) for block in film.blocks]
        keys = [block.key for block in blocks if block.key is not None]
        kept = {key: json.loads(data) for key, data in self._cache.kept(keys).items()}
        if len(kept) < len(keys) or not self._cache.has_all([_film_key(chunk) for chunk in kept.values()]):
            return None
        return [(kept[block.key] if block.key is not None else None, block.missing) for block in blocks]

    def _chunks(
        self, film: _Shooting, blocks: Sequence[range], priority: int
    ) -> list[tuple[dict[str, Any] | None, dict[int, str]]]:
        """For each block its chunk (None where no step of it has anything) and the reasons of the steps that
        miss."""
        keyed = [self._keyed(film, block) for block in blocks]
        chosen = {block.key: block.checkpoints for block in keyed if block.key is not None}
        known_prints = {step: fingerprint for block in keyed for step, fingerprint in block.prints.items()}
        film = replace(film, prints=known_prints)
        failed: dict[str, dict[int, str]] = {}
        made: dict[str, dict[str, Any] | None] = {}

        def compute(open_keys: Sequence[str]) -> dict[str, bytes]:
            return self._build(film, {key: chosen[key] for key in open_keys}, priority, made, failed)

        kept = self._cache.get_or_compute_many(list(chosen), compute)
        answer: list[tuple[dict[str, Any] | None, dict[int, str]]] = []
        for key, _checkpoints, _prints, missing in keyed:
            if key is None:
                answer.append((None, missing))
            elif key in made:
                answer.append((made[key], missing | failed[key]))
            else:
                chunk = json.loads(kept[key])
                # Its bytes may have been let go since: then they are made anew.
                self._cache.get_or_compute(_film_key(chunk), lambda key=key: self._shot_again(film, chosen[key]))
                answer.append((chunk, missing))
        return answer

    def _build(
        self,
        film: _Shooting,
        chosen: Mapping[str, Sequence[Checkpoint]],
        priority: int,
        made: dict[str, dict[str, Any] | None],
        failed: dict[str, dict[int, str]],
    ) -> dict[str, bytes]:
        """Shoot the checkpoints of every key; one evaluation serves them all. Returns what the cache is to
        keep.

        ``made`` gets each key's chunk, ``failed`` the reasons of its steps that miss. A chunk that misses a
        step is not kept under its key, so that the step is tried again.
        """
        if film.image is not None:
            everything = [checkpoint for checkpoints in chosen.values() for checkpoint in checkpoints]
            found = self._maps(film.question.run, everything, film.layer, film.image, priority, film.prints)
            film = replace(film, evaluated=found)
        keep: dict[str, bytes] = {}
        for key, checkpoints in chosen.items():
            shot, failed[key] = self._shot(film, checkpoints)
            made[key] = None
            if shot.steps:
                data = shot.to_bytes()
                digest = hashlib.blake2b(data, digest_size=16).hexdigest()
                made[key] = chunk = {
                    "address": f"{FILM_ADDRESS}{digest}",
                    "steps": list(shot.steps),
                    "bytes": len(data),
                }
                keep[_film_key(chunk)] = data
                if not failed[key]:
                    keep[key] = json.dumps(chunk).encode()
        return keep

    def _shot(self, film: _Shooting, checkpoints: Sequence[Checkpoint]) -> tuple[encoding.Film, dict[int, str]]:
        """The film of the checkpoints, and the reasons of those that are not in it."""
        if film.image is not None and film.evaluated is None:
            found = self._maps(film.question.run, checkpoints, film.layer, film.image, prints=film.prints)
            film = replace(film, evaluated=found)
        adaptor = self.workspace.opened_run(film.question.run).adaptor
        select = np.ix_(film.units, film.channels)
        whole = film.selects_everything
        steps, frames, unit_ranges, layer_ranges, missing = [], [], [], [], {}
        for checkpoint in checkpoints:
            try:
                frame = self._frame(film, adaptor, checkpoint)
            except MloscopeError as error:
                missing[checkpoint.step] = str(error)
                continue
            everywhere = encoding.ranges(frame)
            steps.append(checkpoint.step)
            layer_ranges.append(encoding.joint_range(everywhere))
            unit_ranges.append(everywhere if whole else everywhere[list(film.units)])
            frames.append(frame if whole else frame[select])
        return encoding.quantise(steps, frames, np.array(unit_ranges), np.array(layer_ranges)), missing

    def _shot_again(self, film: _Shooting, checkpoints: Sequence[Checkpoint]) -> bytes:
        shot, missing = self._shot(film, checkpoints)
        for reason in missing.values():  # what misses a step is not what the address stands for
            raise Conflict(reason)
        return shot.to_bytes()

    def _frame(self, film: _Shooting, adaptor: RunAdaptor, checkpoint: Checkpoint) -> np.ndarray:
        """(unit, channel, row, column, component) of everything the layer has at the checkpoint."""
        if film.evaluated is not None:
            if checkpoint.step not in film.evaluated.maps:
                raise NotPossible(film.evaluated.missing.get(checkpoint.step, "It could not be evaluated."))
            return encoding.map_tiles(film.evaluated.maps[checkpoint.step])[..., np.newaxis]
        assert film.picture is not None
        fingerprint = film.prints[checkpoint.step]
        try:
            return film.picture(self._read(adaptor, checkpoint, film.layer, fingerprint))
        except (NotPossible, NotFound) as error:
            # What a file's content makes unreadable stays so while its fingerprint is the same.
            if self._fingerprints(adaptor, (checkpoint,))[0].get(checkpoint.step) == fingerprint:
                with self._lock:
                    self._unreadable[(fingerprint, film.layer.name)] = str(error)
                    while len(self._unreadable) > 10_000:
                        self._unreadable.popitem(last=False)
            raise


class _Keyed(NamedTuple):
    """A block of a film, as the cache knows it."""

    key: str | None
    """None where no checkpoint of it can be read."""
    checkpoints: list[Checkpoint]
    prints: dict[int, str]
    missing: dict[int, str]


def _chunk_lines(
    film: _Shooting,
    blocks: Sequence[range],
    chunks: Sequence[tuple[dict[str, Any] | None, dict[int, str]]],
    done: int,
    reading: bool,
) -> list[dict[str, Any]]:
    """The lines of the blocks; ``done`` checkpoints came before them."""
    lines: list[dict[str, Any]] = []
    for block, (chunk, missing) in zip(blocks, chunks, strict=True):
        if chunk is not None:
            lines.append({"chunk": chunk})
        lines += ({"missing": {"step": step, "reason": reason}} for step, reason in missing.items())
        done += len(block)
        doing = "reading parameters" if reading else "evaluating feature maps"
        lines.append({"progress": {"done": done, "of": len(film.checkpoints), "doing": doing}})
    return lines


@dataclass(frozen=True)
class _Shooting:
    """A film in the making: the question, checked, and what follows from it."""

    question: FilmQuestion
    layer: Layer
    checkpoints: tuple[Checkpoint, ...]
    parameter: Parameter | None
    picture: Callable[[Mapping[str, np.ndarray]], np.ndarray] | None
    image: _Input | None
    shape: tuple[int, ...]
    """(unit, channel, row, column, component) of everything the layer has."""
    units: tuple[int, ...]
    channels: tuple[int, ...]
    blocks: list[range]
    evaluated: FeatureMaps | None = field(default=None, compare=False)
    prints: Mapping[int, str] = field(default_factory=dict, compare=False)
    """Fingerprints, by step, under which the cache is to know what is shot."""

    @property
    def selects_everything(self) -> bool:
        return self.units == tuple(range(self.shape[0])) and self.channels == tuple(range(self.shape[1]))

    def identity(self) -> str:
        """All that decides a frame's bytes, but for the checkpoint and the architecture."""
        question = self.question
        return json.dumps(
            [
                question.show,
                self.layer.name,
                self.parameter.name if self.parameter else None,
                [list(self.parameter.shape), list(self.parameter.axes)] if self.parameter else None,
                self.units,
                self.channels,
                self.shape,
                question.layout,
                self.image.digest if self.image else None,
            ]
        )


# ---------------------------------------------------------------------------------------------- in JSON


def checkpoint_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """``step``, ``label`` (as people write it), ``name``, ``epoch``, ``problem``."""
    return {
        "step": checkpoint.step,
        "label": checkpoint.label or str(checkpoint.step),
        "name": checkpoint.name,
        "epoch": checkpoint.epoch,
        "problem": checkpoint.problem,
    }


def layer_json(layer: Layer) -> dict[str, Any]:
    """The layer as the REST API and the browser have it."""
    return {
        "name": layer.name,
        "kind": layer.kind,
        "inputs": list(layer.inputs),
        "output_shape": None if layer.output_shape is None else list(layer.output_shape),
        "parameters": [{"name": p.name, "shape": list(p.shape), "axes": list(p.axes)} for p in layer.parameters],
        "parameter_count": layer.parameter_count,
        "hyperparameters": plain(layer.hyperparameters),
        "source_class": layer.source_class,
        "problem": layer.problem,
    }


def preprocessing_json(run: ConnectedRun) -> dict[str, Any]:
    """``scale``, ``mean``, ``channel_order``, ``assumed``."""
    how = run.preprocessing
    mean = list(how.mean) if isinstance(how.mean, tuple) else how.mean
    return {"scale": how.scale, "mean": mean, "channel_order": how.channel_order, "assumed": how.assumed}


def _numbers(row: np.ndarray) -> list[float | None]:
    return plain(row)


def _ended(pieces: Iterator[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """The pieces and how they ended: an error becomes the last line, because the answer has begun."""
    try:
        yield from pieces
    except MloscopeError as error:
        yield [as_json(error)]
    except Exception:
        logger.exception("a stream broke off")
        yield [as_json(MloscopeError(UNEXPECTED))]
    else:
        yield [{"done": True}]


def _line_by_line(pieces: Iterator[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    for piece in pieces:
        yield from piece


# ---------------------------------------------------------------------------------------- plain functions


def _changed(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.name} was changed while it was read; ask again."


def _digest(*parts: str | bytes) -> str:
    """Hex digest of the parts, each told from its neighbours by its length."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(struct.pack("<Q", len(data)))
        state.update(data)
    return state.hexdigest()


def _as_predictions(rule: str, found: FeatureMaps) -> Predictions:
    if not found.maps:
        return Predictions({}, found.missing, AS_GIVEN)
    stacked = np.stack([row.astype(np.float64).ravel() for row in found.maps.values()])
    rows, kind = as_probabilities(rule, stacked)
    return Predictions(dict(zip(found.maps, rows, strict=True)), found.missing, kind)


def _film_key(chunk: Mapping[str, Any]) -> str:
    return "film:" + chunk["address"].removeprefix(FILM_ADDRESS)


def _packed(array: np.ndarray) -> bytes:
    """Shape, type and values; see :func:`_unpacked`."""
    head = f"{array.dtype.str} {' '.join(map(str, array.shape))}\n".encode()
    return struct.pack("<I", len(head)) + head + np.ascontiguousarray(array).tobytes()


def _unpacked(data: bytes) -> np.ndarray:
    (length,) = struct.unpack_from("<I", data)
    kind, *shape = data[4 : 4 + length].decode().split()
    return np.frombuffer(data, kind, offset=4 + length).reshape([int(size) for size in shape])


def _unit_of(pictures: np.ndarray, layer: str, unit: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Of (unit, channel, row, column, component) one unit, (channel, row, column), and the range of all finite values."""
    if not 0 <= unit < len(pictures):
        raise _no_unit(layer, unit, len(pictures))
    low, high = encoding.joint_range(encoding.ranges(pictures)).tolist()
    tiles = pictures[unit].transpose(0, 3, 1, 2)
    return tiles.reshape(-1, *tiles.shape[2:]), (low, high) if low == low else (0.0, 0.0)


def _index_of(checkpoints: Sequence[Checkpoint], step: int | None) -> int:
    return next((i for i, checkpoint in enumerate(checkpoints) if checkpoint.step == step), 0)


def _blocks(count: int, size: int, near: int) -> list[range]:
    """0..count-1 in ranges of at most ``size`` (a power of two), nearest to ``near`` first.

    The block around ``near`` is halved again and again, so that the first range is short
    (:data:`FIRST_CHUNK_STEPS`) and the next ones grow. Ranges begin at multiples of their length: wherever a
    viewer stands, mostly the same ranges come, and the cache has them.
    """
    if count == 0:
        return []
    first: list[range] = []
    start, length = near // size * size, size
    while length > FIRST_CHUNK_STEPS:
        length //= 2
        if near < start + length:
            first.append(range(start + length, start + 2 * length))
        else:
            first.append(range(start, start + length))
            start += length
    first.append(range(start, start + length))
    others = [range(begin, begin + size) for begin in range(0, count, size) if begin != near // size * size]
    others.sort(key=lambda block: max(block.start - near, near - block.stop + 1))
    clipped = (range(block.start, min(block.stop, count)) for block in [*reversed(first), *others])
    return [block for block in clipped if block]


def _selection(question: FilmQuestion, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The units and channels to show."""
    unit_total, channel_total = shape[:2]
    for numbers, total, what in (
        (question.units, unit_total, "units"),
        (question.channels, channel_total, "channels"),
    ):
        wrong = next((number for number in numbers or () if not 0 <= number < total), None)
        if wrong is not None:
            raise NotFound(f'The layer "{question.layer}" has the {what} 0 to {total - 1}; {wrong} is none of them.')
    units, channels = question.units, question.channels
    if units is None:
        shown = len(channels) if channels is not None else channel_total
        units = tuple(range(unit_total if unit_total * shown <= TILES_SHOWN else min(unit_total, FIRST_UNITS)))
        if channels is None and len(units) == unit_total and unit_total * channel_total <= TILES_SHOWN:
            channels = tuple(range(channel_total))
    if channels is None:
        many = len(units) * channel_total > TILES_SHOWN
        channels = tuple(range(min(channel_total, FIRST_CHANNELS) if many else channel_total))
    return units, channels


def _is_colour_kernel(
    layers: Sequence[Layer], by_name: Mapping[str, Layer], layer: Layer, parameter: Parameter
) -> bool:
    """Whether the parameter is a kernel on the three colours of an image."""
    axes = dict(zip(parameter.axes, parameter.shape, strict=True))
    if axes.get("channel") != 3 or set(parameter.axes) != {"row", "column", "channel", "unit"}:
        return False
    if "convolution" not in layer.kind:
        return False
    first = next((known for known in layers if "convolution" in known.kind), None)
    takes_input = any(by_name[name].kind == "input" for name in layer.inputs if name in by_name)
    return first is layer or takes_input or not layer.inputs


_SHAPE_ONLY = {"flatten", "reshape", "dropout", "activation", "normalisation"}


def _preceding_map(by_name: Mapping[str, Layer], layer: Layer) -> tuple[int | None, ...] | None:
    """(row, column, channel) of the map whose values a dense layer takes, None where there is none."""
    if layer.kind != "dense":
        return None
    for _ in range(len(by_name)):
        before = by_name.get(layer.inputs[0]) if len(layer.inputs) == 1 else None
        if before is None or before.output_shape is None:
            return None
        if len(before.output_shape) == 3:
            return before.output_shape
        if before.kind not in _SHAPE_ONLY:
            return None
        layer = before
    return None


def _by_unit(array: np.ndarray, axes: Sequence[str]) -> tuple[np.ndarray, tuple[int, ...], tuple[str, ...]]:
    """(unit, value) of an array, and shape and names of the axes that make up the value."""
    axes = tuple(axes)
    if "unit" not in axes:
        axes = tuple("unit" if axis == "channel" else axis for axis in axes)
    leading = [axes.index(axis) for axis in ("unit", "multiplier") if axis in axes]
    inner = [i for i in range(len(axes)) if i not in leading]
    units = int(np.prod([array.shape[i] for i in leading], dtype=np.int64))
    flat = array.transpose(leading + inner).reshape(units, -1)
    return flat, tuple(array.shape[i] for i in inner), tuple(axes[i] for i in inner)


def _unit_names(parameter: Parameter) -> tuple[int, tuple[str, ...]]:
    """How many units a parameter has, and what each value of one is."""
    flat, shape, axes = _by_unit(np.broadcast_to(np.int8(0), parameter.shape), parameter.axes)
    if not axes:
        return len(flat), (parameter.name,)
    numbers = itertools.product(*(range(size) for size in shape))
    names = tuple(", ".join(f"{a} {n}" for a, n in zip(axes, place, strict=True)) for place in numbers)
    return len(flat), names


def _no_unit(layer: str, unit: int, total: int) -> NotFound:
    return NotFound(f'The layer "{layer}" has no unit {unit}; its units are 0 to {total - 1}.')


def _norms(rows: np.ndarray) -> np.ndarray:
    """L2 norm of each row (row, value) in float64, without overflow; NaN where a value is NaN."""
    largest = np.abs(rows).max(axis=1, initial=0)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.sqrt(np.square(rows / scale[:, np.newaxis]).sum(axis=1)) * scale


def _statistics(array: np.ndarray) -> dict[str, Any]:
    """Of all values: ``count``, ``nan``, ``infinite``, ``share_of_zeros``; of the finite: the others;
    JSON-able."""
    values = np.asarray(array, np.float64).ravel()
    finite = np.isfinite(values)
    nan = int(np.isnan(values).sum())
    infinite = int(values.size - finite.sum()) - nan
    good = values if finite.all() else values[finite]
    found: dict[str, Any] = {
        "count": int(values.size),
        "nan": nan,
        "infinite": infinite,
        "share_of_zeros": float((values == 0).mean()) if values.size else None,
        **dict.fromkeys(("min", "max", "mean", "std", "norm")),
    }
    if good.size:
        # Divided by the largest first: float64 holds the squares then, whatever exploded.
        scale = float(np.abs(good).max()) or 1.0
        scaled = good / scale
        found |= {
            "min": float(good.min()),
            "max": float(good.max()),
            "mean": float(scaled.mean()) * scale,
            "std": float(scaled.std()) * scale,
            "norm": float(_norms(good[np.newaxis])[0]),
        }
    return plain(found)
