"""How much the model service grows over 1,000 checkpoint swaps: every one reads a file, makes tensors,
evaluates, lets go.

    python benchmarks/model_service_memory.py [--json FILE] [--swaps 1000]

The service's own process is measured (resident memory, from /proc), through the client. Its budget for
weights holds four of the twenty checkpoints, so that nearly every question reads a file. A tenth as many
swaps come first, uncounted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from evaluation import LAYERS, save_run

RUN_CHECKPOINTS = 20
GOAL_MB = 50


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status names no VmRSS")


def measure(swaps: int) -> dict[str, Any]:
    from mloscope.app.model_service.client import ModelServiceClient, RunSpec
    from mloscope.app.model_service.supervisor import ModelServiceProcess

    generator = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        weights = save_run(Path(name), RUN_CHECKPOINTS)
        checkpoint_bytes = sum(array.nbytes for array in weights[0])
        process = ModelServiceProcess(weights_budget_bytes=4 * checkpoint_bytes + 1_000)
        process.start()
        try:
            client, spec = ModelServiceClient(process), RunSpec(name, "keras")

            def swap(number: int) -> None:
                image = generator.uniform(0, 1, (28, 28, 1)).astype(np.float32)
                # Coprime to 20, so that a checkpoint comes again only after all others.
                answer = client.evaluate(spec, [number * 7 % RUN_CHECKPOINTS], LAYERS, image)
                assert not answer.failed, answer.failed

            for number in range(max(RUN_CHECKPOINTS, swaps // 10)):
                swap(number)
            pid, generation = process.pid, process.generation
            assert pid is not None
            before, course, started = resident_mb(pid), [], time.perf_counter()
            for number in range(swaps):
                swap(number)
                if (number + 1) % max(1, swaps // 10) == 0:
                    course.append(round(resident_mb(pid) - before, 2))
            elapsed_s = time.perf_counter() - started
            assert process.generation == generation, "the service was restarted while it was measured"
        finally:
            process.stop()
    return {
        "what": f"growth of the model service over {swaps} checkpoint swaps, each read from its file",
        "resident_mb_before": round(before, 1),
        "growth_mb": course[-1],
        "growth_mb_course": course,
        "milliseconds_per_swap": round(elapsed_s / swaps * 1e3, 2),
        "goals": {f"growth under {GOAL_MB} MB": course[-1] < GOAL_MB},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the result here as well")
    parser.add_argument("--swaps", type=int, default=1000)
    options = parser.parse_args()
    text = json.dumps(measure(options.swaps), indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
