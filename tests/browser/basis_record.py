"""What numbers rest on, as GET runs/{run}/basis answers it, for the scripts' tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from statistics_server import CLASSES


def basis(
    names: Sequence[str] = CLASSES,
    corpus_classes: Sequence[int | None] | None = None,
    refusal: str | None = None,
    notices: Sequence[tuple[str, str]] = (),
    **changes: Any,
) -> dict[str, Any]:
    """The record of a network of these outputs. ``corpus_classes`` None: each stands for the class of its own number."""
    labels = list(range(len(names))) if corpus_classes is None else list(corpus_classes)
    matched = any(label is not None for label in labels)
    record = {
        "run": "demo", "corpus": "digits",
        "input": {"shape": [28, 28, 1], "dtype": "float32", "range": [0.0, 1.0], "fitted": []},
        "preprocessing": {
            "scale": 1 / 255, "scale_from": "the run's files", "mean": None, "mean_from": "the run's files",
            "channel_order": "rgb", "channel_order_from": "the run's files", "assumed": False, "own_layers": [],
        },
        "output": {
            "layer": None if refusal else "classes", "rule": None if refusal else "softmax", "from": "declared",
            "others": [], "refusal": refusal,
        },
        "classes": {
            "count": 0 if refusal else len(names), "names": list(names), "named_by": "the run's files" if matched else None,
            "corpus_classes": labels, "matched_by": "name" if matched else "not matched",
        },
        "checkpoints_left_out": [],
        "notices": [{"kind": kind, "sentence": sentence} for kind, sentence in notices],
    }  # fmt: skip
    return {**record, **changes}


def unnamed(outputs: int) -> dict[str, Any]:
    """What changes of a subject whose network has this many outputs that nobody named."""
    names = [f"output {number}" for number in range(outputs)]
    return {"classNames": names, "basis": basis(names, [None] * outputs)}
