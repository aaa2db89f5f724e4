"""What cuda-convnet recorded while it trained, and what lies beside its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors.interface import AdaptorError
from mloscope.adaptors.readers.cuda_convnet.files import NAME, State, read_meta

Curves = dict[str, tuple[np.ndarray, np.ndarray]]
MOST_OUTPUTS = 10_000_000
DATA_SET_MEAN = "batches.meta"
"""What the data set of a run is called beside it."""


def step_factor(names: Iterable[str]) -> int:
    """What an epoch counts in steps, so that steps sort as (epoch, batch): 10,000, more where a batch has a
    larger number."""
    batches = [found[2] for name in names if (found := NAME.fullmatch(name))]
    return max(10_000, 10 ** max((len(str(int(batch))) for batch in batches), default=0))


def curves(state: State, factor: int) -> Curves:
    """Cost and error rates by step, of training and of testing: ``training logprob``, ``training logprob
    error``, ``test logprob`` ...; steps int64, values float64. Empty where the record does not say when what
    was measured.

    Training keeps one output a batch; testing one whenever ``testing_freq`` batches are done.
    """
    done = len(state.train_outputs)
    batches = _batches_of_an_epoch(state)
    if not batches or done > MOST_OUTPUTS:
        return {}
    counts = np.arange(done, dtype=np.int64)
    steps = (counts // len(batches) + 1) * factor + np.array(batches, np.int64)[counts % len(batches)]
    found = _series("training", steps, state.train_outputs)
    tests = len(state.test_outputs)
    given = state.options.get("testing_freq")
    every = given if isinstance(given, int) and given > 0 else done // max(tests, 1)
    if tests and every and done // every == tests:
        found.update(_series("test", steps[every - 1 :: every][:tests], state.test_outputs))
    return found


def _batches_of_an_epoch(state: State) -> list[int] | None:
    """The numbers of the batches that training went through in every epoch, as far as they explain why the
    file was saved after this many of them."""
    done = len(state.train_outputs)
    given = state.options.get("train_batch_range")
    if isinstance(given, list) and given and all(isinstance(each, int) for each in given):
        candidates = [given]
    elif state.epoch > 0 and done:
        count = -(-done // state.epoch)
        first = state.batch - (done - (state.epoch - 1) * count) + 1
        candidates = [list(range(first, first + count))]
    else:
        candidates = []
    for batches in candidates:
        whole = (state.epoch - 1) * len(batches)
        if state.batch in batches and whole + batches.index(state.batch) + 1 == done:
            return batches
    return None


def _series(split: str, steps: np.ndarray, outputs: Sequence[Any]) -> Curves:
    rows: dict[str, list[tuple[int, list[float], float]]] = {}
    for place, output in enumerate(outputs):
        costs, cases = output if isinstance(output, tuple) and len(output) == 2 else ({}, 1)
        for name, values in costs.items() if isinstance(costs, dict) else ():
            if isinstance(values, list) and all(isinstance(each, int | float) for each in values[:8]):
                numbers = [float(each) for each in values[:8]]
                rows.setdefault(str(name)[:100], []).append((place, numbers, float(cases or 1)))
    found: Curves = {}
    for name, entries in rows.items():
        # cuda-convnet 1 divides by the number of cases as it prints, and so before it saves; 2 does not.
        summed = any(numbers[1] > 1 for _, numbers, _ in entries if len(numbers) > 1)
        length = min(len(numbers) for _, numbers, _ in entries)
        places = [place for place, _, _ in entries]
        for index in range(length):
            values = [numbers[index] / (cases if summed else 1.0) for _, numbers, cases in entries]
            kind = ("", " error")[index] if index < 2 else f" error {index}"
            found[f"{split} {name}{kind}"] = (steps[places], np.array(values, np.float64))
    return found


def batches_meta_beside(folder: Path, classes: int) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """The path of a ``batches.meta`` in the folder or the one around it, if it holds a mean image; the class
    names in it, if they are as many as the network's classes; sentences about what is wrong with it."""
    for place in (folder, folder.parent):
        path = place / DATA_SET_MEAN
        if not path.is_file():
            continue
        try:
            mean, names = read_meta(path)
        except AdaptorError as error:
            return None, (), (f"{path.name} is ignored: {error}",)
        if names and len(names) != classes:
            return (
                None,
                (),
                (f"{path} names {len(names)} classes, the network has {classes}: it is ignored.",),
            )
        return str(path) if mean is not None else None, names, ()
    return None, (), ()
