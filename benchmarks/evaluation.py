"""One new image through 41 checkpoints of a LeNet-5, all maps of one layer: the model service against bare
TensorFlow.

    python benchmarks/evaluation.py [--json FILE] [--rounds 15]

Every figure is a median in milliseconds over rounds in which the ways take turns, so that what else the
machine does falls on all alike. ``service``: client, HTTP, child process, weights resident. ``bare_loop``: a
traced function called once a checkpoint, in this process, its weights resident as tensors.
``bare_vectorised``: ``tf.vectorized_map`` over them stacked. ``naive``: ``load_model`` and ``predict`` of the
layers' model, checkpoint by checkpoint. ``service_warm_up``: what ``mloscope serve`` asks as soon as the service is ready: opening
the run and tracing. ``service_first``: the first question after it, with reading 41 files.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

CHECKPOINTS = 41
LAYERS = ["conv2", "output"]
NAIVE_CHECKPOINTS = 5


def lenet(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(6, 5, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(16, 5, activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="relu", name="dense1"),
            layers.Dense(84, activation="relu", name="dense2"),
            layers.Dense(10, activation="softmax", name="output"),
        ],
        name="lenet",
    )


def save_run(folder: Path, checkpoints: int = CHECKPOINTS) -> list[list[np.ndarray]]:
    """A run of random weights; returns each checkpoint's, in the order of the model's variables."""
    import keras

    model, generator = lenet(keras), np.random.default_rng(0)
    saved = []
    for step in range(checkpoints):
        weights = [generator.normal(0, 0.1, array.shape).astype(np.float32) for array in model.get_weights()]
        model.set_weights(weights)
        model.save(folder / f"lenet-{step:04}.keras")
        saved.append(weights)
    return saved


def bare_ways(weights: list[list[np.ndarray]]) -> dict[str, Callable[[np.ndarray], list[np.ndarray]]]:
    """TensorFlow alone, as quick as we know to make it."""
    import keras
    import tensorflow as tf

    model = lenet(keras)
    maps = keras.Model(model.inputs, [model.get_layer(name).output for name in LAYERS])

    def run(image: Any, *arrays: Any) -> Any:
        return maps.stateless_call(list(arrays), [], image, training=False)[0]

    image_spec = tf.TensorSpec((None, 28, 28, 1), tf.float32)
    specs = [tf.TensorSpec(array.shape, tf.float32) for array in weights[0]]
    stacked_specs = [tf.TensorSpec((None, *array.shape), tf.float32) for array in weights[0]]
    one = tf.function(run, input_signature=[image_spec, *specs]).get_concrete_function()
    several = tf.function(
        lambda image, *stacks: tf.vectorized_map(lambda arrays: run(image, *arrays), list(stacks)),
        input_signature=[image_spec, *stacked_specs],
    ).get_concrete_function()
    resident = [[tf.identity(tf.constant(array)) for array in arrays] for arrays in weights]
    stacks = [tf.stack(tensors) for tensors in zip(*resident, strict=True)]

    def loop(image: np.ndarray) -> list[np.ndarray]:
        batch = tf.constant(image[None])
        answers = [[np.asarray(output) for output in one(batch, *arrays)] for arrays in resident]
        return [np.concatenate(rows) for rows in zip(*answers, strict=True)]

    def vectorised(image: np.ndarray) -> list[np.ndarray]:
        return [np.asarray(output)[:, 0] for output in several(tf.constant(image[None]), *stacks)]

    return {"bare_loop": loop, "bare_vectorised": vectorised}


def naive(folder: Path, image: np.ndarray) -> list[np.ndarray]:
    import keras

    rows = []
    for path in sorted(folder.glob("*.keras"))[:NAIVE_CHECKPOINTS]:
        model = keras.saving.load_model(path)
        maps = keras.Model(model.inputs, [model.get_layer(name).output for name in LAYERS])
        rows.append(maps.predict(image[None], verbose=0))
    return [np.concatenate(each) for each in zip(*rows, strict=True)]


def timed(way: Callable[[np.ndarray], Any], image: np.ndarray) -> tuple[float, Any]:
    started = time.perf_counter()
    answer = way(image)
    return (time.perf_counter() - started) * 1e3, answer


def measure(rounds: int) -> dict[str, Any]:
    from mloscope.app.evaluation.evaluations import spec_of
    from mloscope.app.model_service.client import ModelServiceClient
    from mloscope.app.model_service.supervisor import ModelServiceProcess
    from mloscope.app.serving.warm_up import warm_up
    from mloscope.app.workspace.entries import RunEntry
    from mloscope.app.workspace.workspace import Workspace

    generator = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = ModelServiceProcess()
        process.start()
        try:
            weights = save_run(folder)
            ways = bare_ways(weights)
            workspace = Workspace.connect([RunEntry(folder)], [])
            run = workspace.opened_run(workspace.runs[0].name)
            client, spec = ModelServiceClient(process), spec_of(run)
            steps = list(range(CHECKPOINTS))
            while process.state != "ready":
                time.sleep(0.05)

            def service(image: np.ndarray) -> list[np.ndarray]:
                answer = client.evaluate(spec, steps, LAYERS, image)
                assert not answer.failed, answer.failed
                return list(answer.values())

            ways = {"service": service, **ways}
            warm_up_ms, _nothing = timed(lambda _image: warm_up(client, run), np.zeros(()))
            first_ms, _answer = timed(service, np.zeros((28, 28, 1), np.float32))
            times: dict[str, list[float]] = {way: [] for way in ways}
            difference = 0.0
            for number in range(rounds + 2):
                image = generator.uniform(0, 1, (28, 28, 1)).astype(np.float32)
                answers = {}
                for way, run in ways.items():
                    elapsed_ms, answers[way] = timed(run, image)
                    if number >= 2:  # the first two warm all up
                        times[way].append(elapsed_ms)
                for way in ways:
                    for got, expected in zip(answers[way], answers["bare_loop"], strict=True):
                        # max() lets a NaN pass, and maps that are all alike would agree whatever was
                        # computed.
                        assert np.isfinite(got).all(), f"{way} gave numbers that are none"
                        assert np.ptp(got, axis=0).max() > 0, f"{way} gave the same at every checkpoint"
                        difference = max(difference, float(np.abs(got - expected).max()))
            naive_ms, naive_answer = timed(lambda image: naive(folder, image), image)
            for got, expected in zip(naive_answer, answers["bare_loop"], strict=True):
                difference = max(difference, float(np.abs(got - expected[:NAIVE_CHECKPOINTS]).max()))
            status = client.status()
        finally:
            process.stop()
    medians = {way: statistics.median(each) for way, each in times.items()}
    medians["naive"] = naive_ms / NAIVE_CHECKPOINTS * CHECKPOINTS
    return {
        "what": f"one new image through {CHECKPOINTS} checkpoints of a LeNet-5, maps of {' and '.join(LAYERS)}",
        "milliseconds": {way: round(value, 2) for way, value in medians.items()},
        "milliseconds_service_warm_up": round(warm_up_ms, 1),
        "milliseconds_service_first": round(first_ms, 1),
        "rounds": rounds,
        "naive_measured_on_checkpoints": NAIVE_CHECKPOINTS,
        "largest_difference": difference,
        "ratios": {
            "service_to_bare_loop": round(medians["service"] / medians["bare_loop"], 3),
            "service_to_bare_vectorised": round(medians["service"] / medians["bare_vectorised"], 3),
            "naive_to_service": round(medians["naive"] / medians["service"], 1),
            "service_first_to_warm_up": round(first_ms / warm_up_ms, 2),
        },
        "goals": {
            "service_first at most 500 ms": first_ms <= 500,
            "service_to_bare_loop at most 2": medians["service"] <= 2 * medians["bare_loop"],
            "naive_to_service at least 20": medians["naive"] >= 20 * medians["service"],
        },
        "device": status["device"],
        "tensorflow": status["tensorflow"],
        "keras": status["keras"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the result here as well")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    text = json.dumps(measure(options.rounds), indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
