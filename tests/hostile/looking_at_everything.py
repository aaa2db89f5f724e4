"""A process of its own that looks at runs and corpora with little memory and little time: cases come as JSON on standard
input, ``[[name, path], ...]``; a line of JSON goes out for each: name, what was said, what was wrong."""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

MEMORY_BYTES = 3 << 30
CASE_S = 10


class TooLong(BaseException):
    """No ``except Exception`` takes it."""


def main() -> None:
    from mloscope.app.commands.inspect import report  # everything heavy, before memory gets scarce
    from mloscope.app.workspace.entries import CorpusEntry, RunEntry  # noqa: F401
    from mloscope.app.workspace.workspace import Workspace  # noqa: F401

    del report
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    def ring(*_: object) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, ring)
    for name, path in json.load(sys.stdin):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        signal.alarm(CASE_S)
        said: list[str] = []
        fault = None
        try:
            look(Path(path), said)
        except TooLong:
            fault = f"more than {CASE_S} s"
        except BaseException as error:
            fault = f"{type(error).__name__}: {error}"
        signal.alarm(0)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        report = {"name": name, "said": said, "fault": fault, "seconds": time.monotonic() - began, "grown_mib": grown}
        print(json.dumps(report), flush=True)


def look(path: Path, said: list[str]) -> None:
    """All that can be seen of a run or corpus; sentences are collected, and anything else is let out."""
    from mloscope.adaptors.interface import AdaptorError
    from mloscope.app.commands.inspect.report import inspect
    from mloscope.app.errors import MloscopeError
    from mloscope.app.statistics.class_order import hierarchy
    from mloscope.app.statistics.importing import prediction_files
    from mloscope.app.workspace.entries import CorpusEntry, RunEntry
    from mloscope.app.workspace.mean_file import read_mean_file
    from mloscope.app.workspace.workspace import Workspace
    from mloscope.app.workspace.workspace_file import read_workspace_file

    def ask(question: Any, *arguments: Any) -> Any:
        try:
            return question(*arguments)
        except (AdaptorError, MloscopeError) as error:
            said.append(str(error))
            return None

    ask(inspect, path)
    for file in [path, *(path.iterdir() if path.is_dir() else ())]:
        if file.suffix in (".npy", ".npz", ".csv", ".parquet", ".jsonl"):
            ask(prediction_files.read_predictions, file)
        if file.name.startswith(("hierarchy", "wordnet")):
            ask(hierarchy.read, file, ["cat", "dog"])
        if file.suffix == ".toml":
            ask(read_workspace_file, file)
    workspace = Workspace.connect([RunEntry(path, "run")], [CorpusEntry(path, "corpus")])
    run, corpus = workspace.run("run"), workspace.corpus("corpus")
    said += [each.problem for each in (run, corpus) if each.problem]
    if run.adaptor is not None:
        said += run.adaptor.problems()
        for checkpoint in run.adaptor.checkpoints():
            said += [checkpoint.problem] if checkpoint.problem else []
            ask(run.adaptor.fingerprint, checkpoint)
            for layer in run.adaptor.layers():
                ask(run.adaptor.parameters, checkpoint, layer)
        mean = run.preprocessing.mean
        if isinstance(mean, str) and mean != "corpus" and run.adaptor.input_shape is not None:
            shape = tuple(size or 8 for size in run.adaptor.input_shape)
            ask(read_mean_file, mean, shape, "run", run.preprocessing.scale, path if path.is_dir() else path.parent)
    if corpus.adaptor is not None:
        said += corpus.adaptor.problems()
        for position in range(min(3, len(corpus.adaptor))):
            ask(workspace.opened_corpus("corpus").pixels, position)


if __name__ == "__main__":
    main()
