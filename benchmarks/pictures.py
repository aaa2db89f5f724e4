"""Pictures of what units see, over 41 checkpoints of a LeNet-5: the model service against bare TensorFlow.

    python benchmarks/pictures.py [--json FILE] [--rounds 7]

Medians in milliseconds over rounds in which the ways take turns. ``deconvolution``: of all 16 units of conv2 for one new image at every
checkpoint, through client, HTTP and child process. ``bare_backward``: as many backward passes of the same batches, by one compiled
function, weights resident, in this process. ``first_frame``: the first two checkpoints of a new image, as a film's first chunk asks for
them. ``stimulus``: 16 units at every checkpoint, each begun with the one before; ``bare_ascent``: as many compiled gradient steps.
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

sys.path.insert(0, str(Path(__file__).parent))
from evaluation import CHECKPOINTS, lenet, save_run

LAYER, UNITS, ITERATIONS = "conv2", 16, 16


def timed(way: Callable[[np.ndarray], Any], image: np.ndarray) -> float:
    started = time.perf_counter()
    way(image)
    return (time.perf_counter() - started) * 1e3


def bare_ways(weights: list[list[np.ndarray]]) -> dict[str, Callable[[np.ndarray], Any]]:
    """TensorFlow alone: gradients of a batch of a unit each, compiled once."""
    import keras
    import tensorflow as tf

    model = lenet(keras)
    maps = keras.Model(model.inputs, model.get_layer(LAYER).output)
    shape = (UNITS, *maps.output_shape[1:])

    def run(images: Any, seeds: Any, *arrays: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = maps.stateless_call(list(arrays), [], images, training=False)[0]
            score = tf.reduce_sum(output * seeds)
        return tape.gradient(score, images)

    weights = [arrays[: len(maps.weights)] for arrays in weights]
    specs = [tf.TensorSpec(array.shape, tf.float32) for array in weights[0]]
    given = [tf.TensorSpec((UNITS, 28, 28, 1), tf.float32), tf.TensorSpec(shape, tf.float32)]
    compiled = tf.function(run, input_signature=[*given, *specs]).get_concrete_function()
    resident = [[tf.identity(tf.constant(array)) for array in arrays] for arrays in weights]
    seeds = np.zeros(shape, np.float32)
    for unit in range(UNITS):
        seeds[unit, 4, 4, unit] = 1

    def backward(image: np.ndarray) -> list[np.ndarray]:
        images = tf.constant(np.repeat(image[None], UNITS, axis=0))
        return [np.asarray(compiled(images, tf.constant(seeds), *arrays)) for arrays in resident]

    def ascent(image: np.ndarray) -> np.ndarray:
        images, norm = np.repeat(image[None], UNITS, axis=0), np.linalg.norm(image)
        for arrays in resident:
            for _iteration in range(ITERATIONS):
                gradient = np.asarray(compiled(tf.constant(images), tf.constant(seeds), *arrays))
                images = images + 0.05 * gradient
                images *= norm / np.linalg.norm(images.reshape(UNITS, -1), axis=1)[:, None, None, None]
        return images

    return {"bare_backward": backward, "bare_ascent": ascent}


def service_ways(client: Any, spec: Any) -> dict[str, Callable[[np.ndarray], Any]]:
    from mloscope.app.model_service.client import Asked

    def ask(steps: int, how: str, **options: Any) -> Callable[[np.ndarray], Any]:
        def way(image: np.ndarray) -> None:
            asked = Asked(LAYER, {"units": list(range(UNITS)), **options}, image)
            answer = client.pictures(spec, range(steps), how, asked)
            assert not answer.failed, answer.failed
            assert np.isfinite(answer.values).all()

        return way

    projected = {"method": "deconvolution", "of": "strongest"}
    return {
        "deconvolution": ask(CHECKPOINTS, "deconvolution", **projected),
        "first_frame": ask(2, "deconvolution", **projected),
        "stimulus": ask(CHECKPOINTS, "stimulus", method="norm", of="mean", iterations=ITERATIONS, seed=0),
    }


def measure(rounds: int) -> dict[str, Any]:
    from mloscope.app.model_service.client import ModelServiceClient, RunSpec
    from mloscope.app.model_service.supervisor import ModelServiceProcess

    generator = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder, process = Path(name), ModelServiceProcess()
        process.start()
        try:
            ways = bare_ways(save_run(folder))
            client = ModelServiceClient(process)
            while process.state != "ready":
                time.sleep(0.05)
            ways |= service_ways(client, RunSpec(str(folder), "keras"))
            times: dict[str, list[float]] = {way: [] for way in ways}
            for number in range(rounds + 1):
                image = generator.uniform(0, 1, (28, 28, 1)).astype(np.float32)
                for way, run in ways.items():
                    elapsed_ms = timed(run, image + np.float32(len(times[way]) * 1e-3))
                    if number:  # the first opens, reads and traces
                        times[way].append(elapsed_ms)
            device = client.status()["device"]
        finally:
            process.stop()
    medians = {way: statistics.median(each) for way, each in times.items()}
    return {
        "what": f"{UNITS} units of {LAYER} over {CHECKPOINTS} checkpoints of a LeNet-5, {ITERATIONS} iterations of ascent",
        "milliseconds": {way: round(value, 1) for way, value in medians.items()},
        "rounds": rounds,
        "ratios": {
            "deconvolution_to_bare": round(medians["deconvolution"] / medians["bare_backward"], 3),
            "stimulus_speed_of_bare": round(medians["bare_ascent"] / medians["stimulus"], 3),
        },
        "goals": {
            "deconvolution at most 1.5 of bare": medians["deconvolution"] <= 1.5 * medians["bare_backward"],
            "first_frame at most 300 ms": medians["first_frame"] <= 300,
            "stimulus at least 0.8 of bare": medians["bare_ascent"] >= 0.8 * medians["stimulus"],
        },
        "device": device,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the result here as well")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    result = measure(options.rounds)
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    sys.exit(0 if all(result["goals"].values()) else 1)


if __name__ == "__main__":
    main()
