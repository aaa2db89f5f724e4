"""How a question about a network and its answer look between the processes.

A message is a container (:mod:`mloscope.app.process.binary_container`) of the kind "MLW1" with float32 arrays; the head's
``arrays`` gives their shapes in order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.errors import BadRequest
from mloscope.app.process import binary_container

KIND = b"MLW1"
CONTENT_TYPE = "application/x-mloscope"
TOKEN_HEADER = "x-mloscope-token"
TOKEN_VARIABLE = "MLOSCOPE_MODEL_SERVICE_TOKEN"
STARTING_HEADER = "x-mloscope-starting"
"""With a question, ``refuse``: who asks has others to ask, and would not wait for backends to load. With the refusal, ``yes``."""


@dataclass(frozen=True)
class RunSpec:
    """What another process needs in order to open a run by itself, through the registry."""

    path: str
    format: str
    options: RunOptions = field(default_factory=RunOptions)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Raises BadRequest, naming the field."""
        try:
            options = dict(value["options"])
            preprocessing = options.pop("preprocessing")
            if preprocessing is not None:
                mean = preprocessing["mean"]
                preprocessing = Preprocessing(
                    **{**preprocessing, "mean": tuple(mean) if isinstance(mean, list) else mean}
                )
            class_names = tuple(options.pop("class_names", ()))
            return cls(
                str(value["path"]),
                str(value["format"]),
                RunOptions(preprocessing=preprocessing, class_names=class_names, **options),
            )
        except (KeyError, TypeError) as error:
            raise BadRequest(
                "The run of a question is described by path, format and options (as RunOptions); "
                f"wrong or missing: {error}."
            ) from error

    @cached_property
    def key(self) -> str:
        """The same text for the same run, opened the same way."""
        return json.dumps(self.to_json(), sort_keys=True)


class Evaluation(dict[str, np.ndarray]):
    """What the layers make of one image: layer name -> float32 array (step, ...output shape), channels last.

    The first axis follows :attr:`steps`. The rows of a step in :attr:`failed` are NaN.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], steps: Sequence[int], failed: Mapping[int, str]) -> None:
        super().__init__(arrays)
        self.steps = tuple(steps)
        self.failed = dict(failed)
        """Why a step could not be evaluated, a sentence by step; the others are as they should be."""


@dataclass(frozen=True)
class Pictures:
    """What a method of :mod:`mloscope.app.model_service.pictures` made of one image at several steps."""

    steps: tuple[int, ...]
    values: np.ndarray
    """float32 (step, row, column, channel, unit); the rows of a step in :attr:`failed` are NaN."""
    figures: Mapping[int, Mapping[str, list[float | str | None]]]
    """By step and name, one of each unit."""
    failed: Mapping[int, str]
    """Why a step has none, a sentence by step."""


def pack(head: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> bytes:
    """The message; ``arrays`` of any numeric dtype are sent as float32."""
    floats = [np.asarray(array, dtype="<f4") for array in arrays]
    return binary_container.pack(KIND, {**head, "arrays": [array.shape for array in floats]}, floats)


def unpack(message: bytes | memoryview) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The head and read-only float32 views into the message. Raises :class:`BadRequest` where it is not such a message."""
    view = memoryview(message)
    head, end = binary_container.unpack(KIND, view)
    try:
        shapes = [tuple(int(length) for length in shape) for shape in head.pop("arrays")]
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest("The head of a message must give the shapes of its arrays.") from error
    sizes = [math.prod(shape) for shape in shapes]
    if any(length < 0 for shape in shapes for length in shape) or len(view) != end + 4 * sum(sizes):
        raise BadRequest(
            f"The message has {len(view)} bytes; with arrays of the shapes {shapes} it would have "
            f"{end + 4 * sum(sizes)}."
        )
    arrays = []
    for shape, size in zip(shapes, sizes, strict=True):
        arrays.append(np.frombuffer(view, dtype="<f4", count=size, offset=end).reshape(shape))
        end += 4 * size
    for array in arrays:
        array.flags.writeable = False
    return head, arrays


def pack_evaluation(evaluation: Evaluation) -> bytes:
    return pack(
        {"layers": list(evaluation), "steps": evaluation.steps, "failed": list(evaluation.failed.items())},
        list(evaluation.values()),
    )


def unpack_evaluation(message: bytes | memoryview) -> Evaluation:
    head, arrays = unpack(message)
    return Evaluation(
        dict(zip(head["layers"], arrays, strict=True)),
        head["steps"],
        dict(head["failed"]),
    )


def pack_pictures(pictures: Pictures) -> bytes:
    named = {"figures": list(pictures.figures.items()), "failed": list(pictures.failed.items())}
    return pack({"steps": pictures.steps, **named}, [pictures.values])


def unpack_pictures(message: bytes | memoryview) -> Pictures:
    head, (values,) = unpack(message)
    return Pictures(tuple(head["steps"]), values, dict(head["figures"]), dict(head["failed"]))
