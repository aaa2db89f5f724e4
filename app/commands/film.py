"""``mloscope film RUN --layer LAYER --to FILE``: a layer over all checkpoints as MP4, GIF or PNG frames."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mloscope.app.commands.arguments import options, values
from mloscope.app.errors import NotFound, NotPossible, Unrecognised
from mloscope.app.process.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from mloscope.app.export.film_export import FilmOrder
    from mloscope.app.films.kinds import FilmQuestion
    from mloscope.app.model_service.client import Asked, RunSpec
    from mloscope.app.workspace.workspace import Workspace

DESCRIPTION = "Save a film of a layer over all checkpoints, as the page Network shows it: .mp4, .gif, or .zip with a PNG per step."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="a folder of checkpoints, or one file")
    parser.add_argument("--layer", metavar="NAME", required=True, help="which layer (mloscope inspect lists them)")
    parser.add_argument("--to", metavar="FILE", type=Path, required=True, help="the file: .mp4, .gif or .zip")
    shown = parser.add_argument_group("what is shown")
    shown.add_argument(
        "--show",
        metavar="KIND",
        default="parameters",
        help="parameters (the default), features, deconvolution ...",
    )
    shown.add_argument(
        "--option",
        metavar="NAME=VALUE",
        type=_option,
        action="append",
        default=[],
        help="an option of the kind, such as method=guided",
    )
    shown.add_argument("--parameter", metavar="NAME", help="which array of the layer (default: its first)")
    shown.add_argument(
        "--units", metavar="UNITS", type=values.units, help='such as "0-15,40" (default: all, or the first of many)'
    )
    shown.add_argument(
        "--channels", metavar="CHANNELS", type=values.units, help="incoming channels, in the same notation"
    )
    options.add_images(shown, "images, for feature maps", required=False)
    shown.add_argument("--image", metavar="ID", help="the image whose feature maps are shown, such as test-0")
    look = parser.add_argument_group("how it looks")
    look.add_argument("--colour", metavar="TABLE", default="auto", help="colour table (default: as on the page)")
    look.add_argument("--range", default="fixed", help="what the scale follows: fixed (the default), step or unit")
    look.add_argument(
        "--symmetric", default="auto", help="whether zero is in the middle: auto (the default), yes or no"
    )
    look.add_argument("--theme", default="light", help="light (the default) or dark")
    look.add_argument(
        "--width", type=values.whole(1), default=960, metavar="PIXELS", help="room for tiles (default: 960)"
    )
    look.add_argument("--height", type=values.whole(1), default=540, metavar="PIXELS", help="the same (default: 540)")
    look.add_argument("--bare", action="store_true", help="without title, step and colour scale")
    look.add_argument("--first", type=values.whole(0), metavar="STEP", help="the first step (default: that of the run)")
    look.add_argument("--last", type=values.whole(0), metavar="STEP", help="the last step (default: that of the run)")
    look.add_argument("--speed", type=float, default=10.0, metavar="NUMBER", help="steps per second (default: 10)")
    options.add_network_options(parser)
    parser.set_defaults(command=_save)


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f'"{text}" is not NAME=VALUE')
    return name, value


def _save(arguments: argparse.Namespace) -> int:
    from mloscope.app.cache.memory_store import MemoryStore
    from mloscope.app.cache.result_cache import ResultCache
    from mloscope.app.evaluation.evaluations import Evaluations
    from mloscope.app.evaluation.feature_maps import FeatureMaps
    from mloscope.app.evaluation.pictures import Pictures
    from mloscope.app.export.film_export import FilmExport
    from mloscope.app.films.kinds import Sources
    from mloscope.app.films.manifest import Films
    from mloscope.app.process.whole_files import write_file

    order = _order(arguments)
    _require_place(arguments.to)
    workspace = _workspace(arguments)
    question = _question(arguments, workspace)
    cache = ResultCache(MemoryStore(256 << 20))
    if arguments.image:
        for line in question.run.basis(question.corpus).lines():
            print(printable(line), file=sys.stderr)
    evaluations = Evaluations(_InThisProcess(question) if arguments.image else None)
    sources = Sources(workspace, FeatureMaps(cache, evaluations), Pictures(cache, evaluations))
    films = Films(sources, cache, evaluations.pace)
    saved = FilmExport(films, cache).file(question, order)
    write_file(arguments.to, saved.content)
    steps = len(order.steps(question))
    print(f"{arguments.to}: {steps} steps, {len(saved.content) / 1e6:.1f} MB", file=sys.stderr)
    return 0


def _require_place(file: Path) -> None:
    """Raise where the file cannot be written: that is better known before the film is made."""
    folder = file.parent
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder} to write {file.name} to.")
    if file.is_dir():
        raise NotPossible(f"{file} is a folder; --to is the name of a file.")
    if not os.access(folder, os.W_OK):
        raise NotPossible(f"{folder} cannot be written to, so {file.name} cannot be saved there.")


def _order(arguments: argparse.Namespace) -> FilmOrder:
    from mloscope.app.export.colour_scale import ColourChoice
    from mloscope.app.export.film_export import FilmOrder
    from mloscope.app.export.film_pictures import FilmLook

    is_titled = not arguments.bare
    colours = ColourChoice(arguments.colour, arguments.range, arguments.symmetric)
    look = FilmLook(colours, arguments.width, arguments.height, None, arguments.theme, is_titled, is_titled)
    ending = arguments.to.suffix.lower().removeprefix(".")
    return FilmOrder(ending, look, arguments.first, arguments.last, arguments.speed)


def _workspace(arguments: argparse.Namespace) -> Workspace:
    """A workspace of the run, called by its folder's name, and of the corpus, where there is one."""
    from mloscope.app.workspace.entries import CorpusEntry, RunEntry
    from mloscope.app.workspace.workspace import Workspace

    if arguments.show != "parameters" and (arguments.images is None or arguments.image is None):
        raise NotPossible(f"A film of {arguments.show} needs an image: --images CORPUS --image ID.")
    for path in filter(None, (arguments.run, arguments.images)):
        if not path.exists():
            raise NotFound(f"{path} does not exist.")
    corpora = [CorpusEntry(arguments.images, "corpus", arguments.images_format)] if arguments.images else []
    run = RunEntry(arguments.run, None, arguments.format, options=options.run_options_of(arguments))
    workspace = Workspace.connect([run], corpora)
    for connected in (*workspace.runs, *workspace.corpora):
        if connected.problem:
            raise (Unrecognised if connected.is_foreign else NotPossible)(connected.problem)
    return workspace


def _question(arguments: argparse.Namespace, workspace: Workspace) -> FilmQuestion:
    from mloscope.app.films.kinds import FilmQuestion

    run = workspace.opened_run(workspace.runs[0].name)
    corpus = "corpus" if arguments.images else None
    chosen = {"parameter": arguments.parameter, **dict(arguments.option)}
    return FilmQuestion(
        run,
        run.layer(arguments.layer),
        arguments.show,
        chosen,
        arguments.image,
        corpus,
        arguments.units,
        arguments.channels,
    )


class _InThisProcess:
    """Evaluates without a model service."""

    def __init__(self, question: FilmQuestion) -> None:
        from mloscope.app.model_service.evaluator import evaluator_in_this_process

        self._evaluator = evaluator_in_this_process(question.run.adaptor)

    def evaluate(
        self, spec: RunSpec, steps: Sequence[int], layers: Sequence[str], image: np.ndarray, priority: int = 0
    ) -> Any:
        return self._evaluator.evaluate(spec, steps, layers, image)

    def pictures(
        self,
        spec: RunSpec,
        steps: Sequence[int],
        method: str,
        asked: Asked,
        before: np.ndarray | None = None,
        priority: int = 0,
    ) -> Any:
        from mloscope.app.model_service.pictures.picture import Picture

        return self._evaluator.pictures(spec, steps, method, asked, None if before is None else Picture(before, {}))
