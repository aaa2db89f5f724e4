"""What the three orders of ``mloscope statistics`` have in common: the run and corpus, opened, and the store."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mloscope.app.commands.arguments import values
from mloscope.app.errors import NotFound
from mloscope.app.statistics.clusters.map_kinds import MAP_KINDS
from mloscope.app.statistics.patches.asked import PER_UNIT

if TYPE_CHECKING:
    from mloscope.app.evaluation.basis import Basis
    from mloscope.app.statistics.stored.step_statistics import StepStatistics
    from mloscope.app.statistics.stored.store import StatisticsStore
    from mloscope.app.workspace.workspace import Workspace


def add_keep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep", choices=("full", "top-20"), help="how many probabilities of an image (default: by size)"
    )


def add_clusters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clusters", type=values.whole(0), metavar="K",
        help="how many clusters of images (default: two per class, at most 30; 0: none)",
    )  # fmt: skip
    parser.add_argument("--seed", type=values.whole(0), default=0, metavar="N", help="for the clusters (default: 0)")
    more = [kind for kind in MAP_KINDS.values() if kind.is_asked_for]
    parser.add_argument(
        "--map", dest="maps", action="append", default=[], choices=[kind.name for kind in more],
        help=f"also compute this map of all images, which takes longer: {', '.join(kind.label for kind in more)}",
    )  # fmt: skip


def add_patches(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--top-patches", nargs="?", const=[], type=lambda text: [name for name in text.split(",") if name], metavar="LAYERS",
        help="also find, in the same pass, the images and places that excite each unit of these layers most (names with "
        "commas between; default: convolutions and dense layers as far as memory allows); takes about a quarter longer",
    )  # fmt: skip
    parser.add_argument(
        "--patches-per-unit",
        type=values.whole(1),
        default=PER_UNIT,
        metavar="K",
        help=f"how many images per unit (default: {PER_UNIT})",
    )


class Subject:
    """The run and corpus of a command line, opened, and the store."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from mloscope.app.commands.arguments.opened_subject import open_subject
        from mloscope.app.statistics.queries import Statistics
        from mloscope.app.statistics.stored.store import StatisticsStore

        opened = open_subject(arguments)
        self.workspace: Workspace = opened.workspace
        self.split: str = opened.split
        self.settings = opened.settings
        self.cache_folder = opened.cache_folder
        self.store: StatisticsStore = StatisticsStore(self.cache_folder)
        self.statistics = Statistics(self.workspace, self.store)
        self.identity = self.statistics.identity

    @property
    def basis(self) -> Basis:
        """What the numbers rest on."""
        return self.workspace.basis("run", "corpus")

    @property
    def series(self) -> str:
        return self.identity.series("run", "corpus", self.split)

    def steps(self, ranges: Sequence[tuple[int, int]] | None) -> list[int] | None:
        """The checkpoints' steps in these ranges. Raises :class:`NotFound` for a range without any."""
        if ranges is None:
            return None
        known = [checkpoint.step for checkpoint in self.workspace.opened_run("run").checkpoints]
        for first, last in ranges:
            if not any(first <= step <= last for step in known):
                span = f"{first}" if first == last else f"{first} to {last}"
                ends = f"its steps go from {min(known)} to {max(known)}" if known else "it has no checkpoints"
                raise NotFound(f"The run has no checkpoint of step {span}; {ends}.")
        return [step for step in known if any(first <= step <= last for first, last in ranges)]

    def planes(self) -> dict[int, StepStatistics]:
        """All there are, by step, imported ones where nothing was evaluated."""
        return self.statistics.of("run", "corpus", self.split).ready
