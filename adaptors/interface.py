"""What an adaptor promises: the contract between somebody's files and everything else. One file, to be read as one.

A *run* is one training history, a *checkpoint* one saved moment of it, a *corpus* a set of images. Whoever
implements :class:`RunAdaptor` (and, where the network can be evaluated, :class:`EvaluableRun`) or
:class:`CorpusAdaptor`, registers the class under the entry points ``mloscope.run_adaptors`` or
``mloscope.corpus_adaptors`` and passes ``mloscope.adaptors.conformance`` is a full citizen.

Importing an adaptor must be cheap: NumPy, h5py, Pillow, the standard library and what imports as quickly, never a
deep-learning framework. Only what a network backend calls, such as ``keras_model``, may import one, inside the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np

# --------------------------------------------------------------------------------------------------- errors
#
#   AdaptorError            something about the user's files; the message is a sentence for the user
#   ├── NothingThere        the path does not exist
#   ├── NothingFits         no installed adaptor reads this; the message says what was found and who looked
#   ├── DependencyMissing   an adaptor would read it if a package were installed; the message has the command
#   ├── Unreadable          it is this adaptor's format, but broken; the message names the file
#   ├── Refused             reading it would execute code or exhaust memory; the message names what asked for it
#   └── Unknown             no such checkpoint, layer, parameter or image


class AdaptorError(Exception):
    """Base of all errors an adaptor may raise. ``str(error)`` is a full sentence for the user."""


class NothingThere(AdaptorError):
    """The path does not exist."""


class NothingFits(AdaptorError):
    """No installed adaptor reads the path."""


class DependencyMissing(AdaptorError):
    """A known adaptor reads this, but a package it needs is not installed."""


class Unreadable(AdaptorError):
    """The file has this adaptor's format but cannot be read."""


class Refused(AdaptorError):
    """Reading the file would run code from it, or unpack without bound."""


class Unknown(AdaptorError):
    """A checkpoint, layer, parameter or image that does not exist was asked for."""


# ------------------------------------------------------------------------------------------------- a run's data


@dataclass(frozen=True)
class Checkpoint:
    """One saved moment of a run."""

    step: int
    """Position on the run's time axis, unique within the run; checkpoints sort by it as a number."""
    name: str
    """File name relative to the run's folder, with forward slashes."""
    label: str = ""
    """How the step is written for people where that differs from ``str(step)``, e.g. ``"150.5"``."""
    epoch: float | None = None
    """Epochs of training completed, where the files tell."""
    problem: str | None = None
    """A sentence saying why this checkpoint cannot be read; None where nothing is known to be wrong."""


@dataclass(frozen=True)
class Parameter:
    """One array of a layer."""

    name: str
    """The variable's own name within its layer: ``kernel``, ``bias``, ``gamma`` ..."""
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    """The meaning of each axis, out of ``row``, ``column``, ``channel`` (what comes in), ``unit`` (what goes out:
    filters, rows of a dense layer) and ``multiplier`` (depthwise: several units a channel). A convolution's kernel is
    ``("row", "column", "channel", "unit")``, a dense kernel ``("channel", "unit")``, a bias ``("unit",)``."""
    flattened: tuple[str, ...] = ("row", "column", "channel")
    """Of a dense kernel that takes a feature map: in which order the map's axes are flattened into ``channel``."""
    slot: str = ""
    """What the optimizer remembers in it (``momentum`` ...) where it is no parameter of the network but an optimizer's
    companion of one, called e.g. ``kernel momentum``. It is shown beside the layer's parameters, not counted among them,
    and is not among :meth:`EvaluableRun.weights`."""

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Sight:
    """Which places of an input's map each place of a layer's map is made of. Every pair is (rows, columns).

    Place p of the layer sees ``size`` places, ``dilation`` apart, from ``start + p * stride`` on; of these, what lies beyond
    the edges of the map is padding. A layer that enlarges its input first puts ``spread`` places where there was one: that
    place followed by zeros or, with ``repeats``, by copies of it."""

    size: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    start: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    spread: tuple[int, int] = (1, 1)
    repeats: bool = False


SAME_PLACE = Sight()
"""What a layer sees that looks at each place by itself."""


@dataclass(frozen=True)
class Layer:
    """One node of the network's graph."""

    name: str
    """Unique within the run. A layer inside a nested model is ``outer/inner``."""
    kind: str
    """One of :data:`LAYER_KINDS`, or the source's own class name in lower-case words where none fits."""
    inputs: tuple[str, ...]
    """Names of the layers whose output this one takes, in order."""
    output_shape: tuple[int | None, ...] | None
    """Without the batch axis, channels last: ``(row, column, unit)`` or ``(unit,)``; None where not known."""
    parameters: tuple[Parameter, ...] = ()
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    """What the layer was configured with, JSON-able, in the source's order and words. Of an operation on tensors and constants
    (Keras' functional arithmetic) ``operands`` lists its arguments in order: None for a tensor, else the constant."""
    source_class: str = ""
    """The class as the file calls it, e.g. ``Conv2D``."""
    problem: str | None = None
    """A sentence saying why this layer cannot be evaluated, None where it can."""
    sights: tuple[Sight, ...] = ()
    """For each of its inputs, which places of it a place of the output is made of; empty where that is all of them, as of a
    dense layer, or where it is not known. From these follow receptive fields (``mloscope.app.runs.receptive_fields``)."""

    @property
    def parameter_count(self) -> int:
        return sum(parameter.size for parameter in self.parameters if not parameter.slot)


LAYER_KINDS = (
    "input",
    "convolution",
    "depthwise convolution",
    "transposed convolution",
    "separable convolution",
    "dense",
    "normalisation",
    "activation",
    "max pooling",
    "average pooling",
    "global pooling",
    "padding",
    "cropping",
    "upsampling",
    "add",
    "multiply",
    "concatenate",
    "flatten",
    "reshape",
    "dropout",
    "preprocessing",
)


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an image's pixels, uint8 0..255, before the network sees them: ``pixels * scale - mean``.

    ``mean`` is subtracted after scaling, so it is in the network's input units.
    """

    scale: float = 1.0
    mean: tuple[float, ...] | str | None = None
    """A number per channel; the path of a ``.npy``, or of a mean image as :mod:`mloscope.adaptors.readers.mean_image` reads it
    (in the units of pixels there); ``"corpus"`` (the mean image of the corpus's training split); None."""
    channel_order: str = "rgb"
    """``rgb`` or ``bgr``."""
    scale_from: str = field(default="", compare=False)
    """Where the scale comes from, for people: ``"deploy.prototxt"``, ``"--scale"``, or :data:`ASSUMED`, which every view
    and command then says. "" stands for whoever made this object: the run's files, or the user."""
    mean_from: str = field(default="", compare=False)
    channel_order_from: str = field(default="", compare=False)

    @property
    def assumed(self) -> bool:
        """Whether any part of it is a guess."""
        return ASSUMED in (self.scale_from, self.mean_from, self.channel_order_from)


ASSUMED = "assumed"
"""The source of what nobody said."""


@dataclass(frozen=True)
class RunOptions:
    """What the user may say about a run beyond its path (``mloscope.toml`` or flags)."""

    step_pattern: str | None = None
    """A regular expression whose first group is the step; default: what the names of the run tell together (the number
    after epoch, step, ckpt and the like, else the one that differs in every file)."""
    architecture: str | None = None
    """A file (``model.json``, ``.keras``, ...) or ``module:function`` that gives the architecture."""
    preprocessing: Preprocessing | None = None
    class_names: tuple[str, ...] = ()
    """Names of the network's classes, in the order of its outputs; empty where the user gave none."""
    output: str | None = None
    """The layer that tells classes, where the user named one."""
    custom_objects: str | None = None
    """A module of the user's own with the classes and functions that a Keras network is made of beside Keras' own. It is
    imported where the model is built, because the user named it; no file's word for a module is ever followed."""
    trust: bool = False
    """Load parts of a file that may run code (Keras Lambda layers). Never set by default."""


@runtime_checkable
class RunAdaptor(Protocol):
    """Reads one format of training runs. Every method may be called from several threads at once."""

    format: ClassVar[str]
    """Name under which the adaptor registers and which ``--format`` takes, e.g. ``keras``."""
    description: ClassVar[str]
    """What it reads, in a few words, for lists and refusals: ``"folders of .keras, .h5 or .weights.h5 files"``."""

    @classmethod
    def can_open(cls, path: Path) -> bool:
        """Whether the path looks like this format. Cheap: names and first bytes, never a whole file. "Not mine" is False,
        never an exception."""
        ...

    @classmethod
    def open(cls, path: Path, options: RunOptions) -> Self:
        """Open the run. Lists the folder, reads no weights. Raises :class:`AdaptorError` where no checkpoint is usable."""
        ...

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What the run's files say about preprocessing; None where they do not. What the user says comes before it, part by
        part, and is no business of an adaptor."""
        ...

    @property
    def input_shape(self) -> tuple[int | None, int | None, int] | None:
        """``(row, column, channel)`` of the images the network takes; None where not known."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes where the run's files tell, else empty."""
        ...

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All checkpoints, sorted by step, broken ones (with their ``problem``) included. Cheap; opens no file that need not be."""
        ...

    def layers(self) -> tuple[Layer, ...]:
        """The network's layers in topological order. Where checkpoints differ in architecture, those of the largest group;
        the others carry a ``problem``."""
        ...

    def parameters(self, checkpoint: Checkpoint, layer: Layer) -> dict[str, np.ndarray]:
        """The layer's arrays at the checkpoint by :attr:`Parameter.name`, as stored (shape, dtype), this layer's only. What
        an optimizer remembers is absent where the checkpoint was saved without it, as one from before training is.

        Raises :class:`Unreadable` where the file is broken, :class:`Unknown` where the layer is not in it."""
        ...

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        """A hex string that changes whenever the checkpoint's file changes; cheap enough to ask for on every request."""
        ...

    def problems(self) -> tuple[str, ...]:
        """Sentences about files that were found and not used, and anything else the user should know."""
        ...


@runtime_checkable
class EvaluableRun(Protocol):
    """What a :class:`RunAdaptor` adds where its network can be evaluated. Its backend may want more of it, and says what:
    ``keras`` a method ``keras_model`` that builds the network
    (``mloscope.app.model_service.backends.keras.BuildsKerasModel``)."""

    backend: ClassVar[str]
    """Name of the network backend that evaluates it, out of the entry points ``mloscope.network_backends``."""

    def weights(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
        """All arrays of the checkpoint by ``<Layer.name>/<Parameter.name>``, without optimizer slots."""
        ...


@runtime_checkable
class DeclaresOutputs(Protocol):
    """What a :class:`RunAdaptor` adds where its files say which layers are the network's outputs."""

    def outputs(self) -> tuple[str, ...]:
        """Names of the layers whose values the configuration declares as the network's outputs, in its order; empty where
        it does not say. Layers that merely nobody takes are not outputs."""
        ...


@runtime_checkable
class DeclaresLosses(Protocol):
    """What a :class:`RunAdaptor` adds where its files say what the network was trained for."""

    def losses(self) -> Mapping[str, str]:
        """By name of an output layer: the loss it was trained with, in the source's words, such as
        ``sparse_categorical_crossentropy`` or ``MeanSquaredError``. Empty where the files do not say."""
        ...


@runtime_checkable
class HasMetrics(Protocol):
    """What a :class:`RunAdaptor` adds where the run's files tell how training went."""

    def metrics(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Curves by name, such as ``training loss`` or ``test error``: steps, int64 (point,), ascending, on the time
        axis of the checkpoints but not only at checkpoints; and values, float64 (point,), as recorded, so possibly NaN."""
        ...


@dataclass(frozen=True)
class Curve:
    """One metric of one run over training."""

    name: str
    """Such as ``training loss``, ``validation epoch_accuracy``, ``test logprob error``."""
    axis: str
    """What ``x`` counts: ``step`` (the checkpoints' time axis) or ``epoch`` (epochs done)."""
    x: np.ndarray
    """int64 or float64 (point,), ascending."""
    y: np.ndarray
    """float64 (point,), as recorded, so possibly NaN or infinite."""
    source: str
    """The file it comes from, relative to the run's folder."""
    converted: np.ndarray | None = None
    """float64 (point,): the same points on the other axis, where the checkpoints tell how steps and epochs go together."""
    times: np.ndarray | None = None
    """float64 (point,): when each was recorded, in Unix time; None where the file does not say."""

    def along(self, axis: str) -> np.ndarray | None:
        """The points' places on the axis ``step`` or ``epoch``; None where they are not known there."""
        return self.x if axis == self.axis else self.converted

    @property
    def split(self) -> str:
        """What it was measured on: ``training``, ``validation`` or ``test``; "" where the name does not begin with one."""
        first = self.name.partition(" ")[0]
        return first if first in ("training", "validation", "test") and " " in self.name else ""

    @property
    def metric(self) -> str:
        """What was measured: the name without its split."""
        return self.name.removeprefix(self.split).lstrip()


# ---------------------------------------------------------------------------------------------- a corpus's data


@dataclass(frozen=True)
class ImageRecord:
    """What is known of one image."""

    id: str
    """Unique within the corpus, stable over restarts, safe in a URL path segment (letters, digits, ``-_.~`` only)."""
    name: str
    """What people call it: a file name where there is one, else ``test 42``."""
    label: int | None
    """Index into :attr:`CorpusAdaptor.class_names`."""
    split: str
    """``training``, ``test`` or the corpus's own word."""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class CorpusAdaptor(Protocol):
    """Reads one format of image sets. Images are addressed by position 0..len-1; every method is thread-safe.

    Positions are stable while the corpus is open: all images of one split, then of the next, in file order.
    """

    format: ClassVar[str]
    description: ClassVar[str]

    @classmethod
    def can_open(cls, path: Path) -> bool: ...

    @classmethod
    def open(cls, path: Path) -> Self: ...

    def __len__(self) -> int: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def labels(self) -> np.ndarray:
        """int32 (image,): index into ``class_names``, -1 where not known. Read-only."""
        ...

    @property
    def splits(self) -> Mapping[str, range]:
        """Positions of each split, in order: ``{"training": range(0, 60000), "test": range(60000, 70000)}``."""
        ...

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """``(row, column, channel)`` where all images share it, None where they differ."""
        ...

    def names(self) -> Sequence[str]:
        """The name of every image, by position."""
        ...

    def record(self, position: int) -> ImageRecord: ...

    def position(self, image_id: str) -> int:
        """Where the image of this id stands. Raises :class:`Unknown`."""
        ...

    def pixels(self, position: int) -> np.ndarray:
        """uint8 (row, column, channel), channel 1 (grey) or 3 (RGB), at the image's own size. Raises :class:`Unreadable`."""
        ...

    def problems(self) -> tuple[str, ...]:
        """Sentences about pictures that could not be read and anything else the user should know."""
        ...


@runtime_checkable
class HasPixelBlocks(Protocol):
    """What a :class:`CorpusAdaptor` adds where many images can be had quicker than one after the other."""

    def pixel_block(self, positions: range) -> np.ndarray | None:
        """What :meth:`CorpusAdaptor.pixels` gives for these positions (consecutive, at least one), stacked: uint8 (image,
        row, column, channel), read-only perhaps; None where these images have not all one shape."""
        ...


@runtime_checkable
class HasPixelValues(Protocol):
    """What a :class:`CorpusAdaptor` adds where its files hold more than the 256 levels of :meth:`CorpusAdaptor.pixels`, which
    people see: the network gets what the files hold."""

    def pixel_values(self, positions: range) -> np.ndarray | None:
        """The images at these positions (consecutive, at least one), stacked: float32 (image, row, column, channel) on the
        scale of pixels, 0..255, neither rounded nor cut off; None where ``pixels`` is all that there is of any of them, or where they
        have not all one shape."""
        ...


@dataclass(frozen=True, eq=False)
class Facet:
    """A property that people choose images by, such as the weather or the camera: each image has one of its values, or none."""

    name: str
    """Small letters, digits and hyphens: it stands in addresses. Unique within the corpus; not ``label`` or ``split``, which
    every corpus has, nor a word of :data:`NOT_FACETS`."""
    title: str
    """What the list in front of the images calls it, e.g. ``Weather``."""
    values: tuple[str, ...]
    """In the order of the list, each once, none empty."""
    of_images: np.ndarray
    """int32 (image,): index into ``values``, -1 where an image has none."""


NOT_FACETS = ("search", "random", "offset", "limit", "at", "order", "judged")
"""What an address says besides facets when images are searched for."""


@runtime_checkable
class HasFacets(Protocol):
    """What a :class:`CorpusAdaptor` adds where its images can be chosen by more than class and split."""

    def facets(self) -> Sequence[Facet]:
        """The facets in the order in which they are offered. Asked once per opened corpus; it may take its time."""
        ...
