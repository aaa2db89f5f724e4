"""The run and corpus that a command line names, opened: what ``statistics`` and ``check`` begin with."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

from mloscope.app.commands.arguments.options import run_options_of
from mloscope.app.errors import NotFound, NotPossible, Unrecognised
from mloscope.app.evaluation.named_outputs import NamedOutputsStore
from mloscope.app.process.settings import ABOUT_SERVING, Settings, cache_folder_of
from mloscope.app.statistics.computing.plan import default_split
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.workspace import Workspace


@dataclass(frozen=True)
class OpenedSubject:
    """A workspace of one run, called ``run``, and one corpus, called ``corpus``."""

    workspace: Workspace
    split: str
    settings: Settings
    cache_folder: str


def open_subject(arguments: argparse.Namespace) -> OpenedSubject:
    """Open what ``arguments`` name: ``run``, ``images``, ``images_format``, ``split``, ``format``, and the
    options of :func:`run_options_of`. Raises :class:`NotFound`, :class:`Unrecognised` or :class:`NotPossible`."""
    for path in (arguments.run, arguments.images):
        if not path.exists():
            raise NotFound(f"{path} does not exist.")
    workspace = Workspace.connect(
        [RunEntry(arguments.run, "run", arguments.format, options=run_options_of(arguments))],
        [CorpusEntry(arguments.images, "corpus", arguments.images_format)],
    )
    for connected in (*workspace.runs, *workspace.corpora):
        if connected.problem:
            raise (Unrecognised if connected.is_foreign else NotPossible)(connected.problem)
    splits = workspace.opened_corpus("corpus").adaptor.splits
    split = arguments.split or default_split(splits)
    if split not in splits:
        raise NotFound(f'{arguments.images} has no split "{split}"; its splits: {", ".join(splits)}.')
    settings = Settings.from_environment(os.environ, but=ABOUT_SERVING)
    cache_folder = str(cache_folder_of(settings, os.environ))
    workspace.named_outputs = NamedOutputsStore(cache_folder)
    return OpenedSubject(workspace, split, settings, cache_folder)
