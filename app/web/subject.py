"""A run and a corpus as the browser knows them, JSON-able: ``mloscope.subject``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mloscope.adaptors.interface import Checkpoint, Layer, Preprocessing
from mloscope.app.errors import MloscopeError, NotFound
from mloscope.app.evaluation.evaluations import IMPOSSIBLE, Availability, Evaluations
from mloscope.app.process.plain_json import plain
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace


def subject(
    workspace: Workspace, evaluations: Evaluations, run: str | None = None, corpus: str | None = None
) -> dict[str, Any]:
    """What the browser needs to know of a run and a corpus.

    An unknown name is said in ``problems``, and the first that can be opened takes its place.
    """
    problems: list[str] = []
    run = _name_or_first(run, workspace.run, workspace.runs, problems)
    own = workspace.corpus_of(run) if run is not None else None
    corpus = _name_or_first(corpus or own, workspace.corpus, workspace.corpora, problems)
    found: dict[str, Any] = {
        "run": run,
        "corpus": corpus,
        "runs": [known.name for known in workspace.runs],
        "corpora": [known.name for known in workspace.corpora],
        "titles": {
            "runs": {known.name: known.shown_title for known in workspace.runs},
            "corpora": {known.name: known.shown_title for known in workspace.corpora},
        },
        "problems": problems,
        "splits": [],
        "version": "",
        "checkpoints": [],
        "classNames": [],
        "layers": [],
        "evaluation": None,
        "preprocessing": None,
        "basis": None,
    }
    if corpus is not None:
        adaptor = workspace.corpus(corpus).adaptor
        if adaptor is not None:
            problems += adaptor.problems()
            found["splits"] = list(adaptor.splits)
    connected = workspace.run(run) if run is not None else None
    if connected is None or connected.adaptor is None:
        found["evaluation"] = Availability(False, IMPOSSIBLE, connected.problem if connected else None).json()
    else:
        found |= _of_opened_run(workspace, evaluations, connected.name, corpus, problems)
    return plain(found)


def first_shown(workspace: Workspace) -> tuple[str | None, str | None]:
    """Return the names of the run and corpus that are shown where an address names none."""
    run = _name_or_first(None, workspace.run, workspace.runs, [])
    return run, _name_or_first(workspace.corpus_of(run) if run else None, workspace.corpus, workspace.corpora, [])


def _of_opened_run(
    workspace: Workspace, evaluations: Evaluations, name: str, corpus: str | None, problems: list[str]
) -> dict[str, Any]:
    run = workspace.opened_run(name)
    problems += run.adaptor.problems()
    found: dict[str, Any] = {
        "version": workspace.version(name),
        "evaluation": evaluations.availability(run).json(),
        "preprocessing": preprocessing_json(run.preprocessing),
    }
    try:
        found["checkpoints"] = [checkpoint_json(checkpoint) for checkpoint in run.checkpoints]
        found["layers"] = [layer_json(layer) for layer in run.layers]
    except MloscopeError as error:
        problems.append(str(error))
    try:
        basis = run.basis(corpus)
    except MloscopeError as error:
        problems.append(str(error))
    else:
        found |= {"classNames": list(basis.classes.names), "basis": basis.json()}
    return found


def _name_or_first(
    name: str | None,
    find: Callable[[str], ConnectedRun | ConnectedCorpus],
    known: Sequence[ConnectedRun] | Sequence[ConnectedCorpus],
    problems: list[str],
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
    usable = [each for each in known if each.adaptor is not None]
    if known and not usable:  # else those that are broken stand in the table of runs and on the status page
        problems.append(f"{known[0].name}: {known[0].problem}")
    return (usable or list(known))[0].name if known else None


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


def preprocessing_json(how: Preprocessing) -> dict[str, Any]:
    """``scale``, ``mean``, ``channel_order``, ``assumed``."""
    mean = list(how.mean) if isinstance(how.mean, tuple) else how.mean
    return {"scale": how.scale, "mean": mean, "channel_order": how.channel_order, "assumed": how.assumed}
