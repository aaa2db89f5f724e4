"""The configuration of the Keras model in a SavedModel.

Keras 2 puts what it needs to rebuild an object, as JSON, beside the object: from TensorFlow 2.5 on in a file of its own
(``keras_metadata.pb``, ``SavedMetadata`` of its ``saved_metadata.proto``), before that within ``saved_model.pb``
(``SavedUserObject.metadata`` of ``saved_object_graph.proto``). The model is the first object, the root.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mloscope.adaptors.files.protobuf_wire import Message
from mloscope.adaptors.interface import AdaptorError, Unreadable
from mloscope.adaptors.readers.keras.files import plain_lists
from mloscope.adaptors.readers.tensorflow.groups import read_description
from mloscope.adaptors.readers.tensorflow.listing import SAVED_MODEL

METADATA = "keras_metadata.pb"


def saved_config(folder: Path, problems: list[str]) -> tuple[Mapping[str, Any] | None, str]:
    """The configuration and the file that it was read from; None where no Sequential or Functional model is in it. What
    is wrong becomes a problem."""
    for name, roots in ((METADATA, _roots_of_metadata), (SAVED_MODEL, _roots_of_saved_model)):
        path = folder / name
        if not path.is_file():
            continue
        try:
            for text in roots(Message(read_description(path), str(path))):
                config = _model_in(json.loads(text))
                if config is not None:
                    return config, str(path)
            if name == METADATA:
                raise Unreadable(f"{path} holds no configuration of a Sequential or Functional model.")
        except (AdaptorError, OSError, ValueError, RecursionError) as error:
            problems.append(f"{path} is ignored: {error}")
    return None, ""


def _roots_of_metadata(message: Message) -> Iterator[bytes]:
    for node in message.messages(1):
        if node.text(3) == "root":
            yield node.data(5)


def _roots_of_saved_model(message: Message) -> Iterator[bytes]:
    for graph in message.messages(2):
        for root in graph.message(7).messages(1):
            described = root.message(4)
            if described.text(1).startswith("_tf_keras") and described.data(3):
                yield described.data(3)
            break


def _model_in(metadata: Any) -> Mapping[str, Any] | None:
    """TensorFlow 2.0 had the model's configuration under another key for models that were not yet built."""
    if not isinstance(metadata, dict):
        return None
    for described in (metadata, metadata.get("model_config")):
        config = described.get("config") if isinstance(described, dict) else None
        if isinstance(config, list) or (isinstance(config, dict) and "layers" in config):
            found = {"class_name": described.get("class_name"), "config": config}
            version = metadata.get("keras_version")
            return plain_lists({**found, "keras_version": version if isinstance(version, str) else "2"})
    return None
