"""Run one reader on many damaged files and tally the results."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from fuzz.mutations import Mutation, mutated, mutations
from fuzz.readers import Reader, Seed
from fuzz.worker import Outcome, Worker, allowed_bytes


@dataclass
class Tally:
    """The results of a reader's examples."""

    reader: str
    tried: int = 0
    refused: int = 0
    read: int = 0
    """Without a word of complaint."""
    slowest_s: float = 0.0
    largest_bytes: int = 0
    largest_share: float = 0.0
    """Of the memory that the example was allowed."""
    faults: dict[str, int] = field(default_factory=dict)
    """How often each was met, by signature."""

    def count(self, outcome: Outcome, allowed: int) -> None:
        self.tried += 1
        self.refused += outcome.kind == "refused"
        self.read += outcome.kind == "read"
        self.slowest_s = max(self.slowest_s, outcome.seconds)
        self.largest_bytes = max(self.largest_bytes, outcome.peak_bytes)
        self.largest_share = max(self.largest_share, outcome.peak_bytes / allowed)
        if outcome.is_fault:
            self.faults[outcome.signature] = self.faults.get(outcome.signature, 0) + 1

    def __str__(self) -> str:
        faults = sum(self.faults.values())
        return (
            f"{self.reader:13} {self.tried:7,} files  {self.refused:7,} refused  {self.read:7,} read  {faults:5,} faults  "
            f"slowest {self.slowest_s:5.2f} s  largest {self.largest_bytes / 2**20:4.0f} MB "
            f"({100 * self.largest_share:.0f} % of what is allowed)"
        )


class _NewFault(Exception):
    """A new kind of fault; Hypothesis then searches for the smallest damage that causes it."""


class Campaign:
    """``temporary`` holds one example at a time; ``found`` keeps the smallest example of every fault, by reader."""

    def __init__(self, reader: Reader, real: Path, worker: Worker, temporary: Path, found: Path) -> None:
        self._reader, self._worker = reader, worker
        self._seeds = reader.seeds(real)
        self._found = found / reader.name
        self._prepared = [self._prepare(seed, temporary / reader.name / str(at)) for at, seed in enumerate(self._seeds)]
        self._payloads = [seed.container.payload(seed.files[seed.target]) for seed in self._seeds]
        self._temporary = temporary / reader.name / "example"
        self._shrinking: str | None = None
        self._usual: dict[int, str] = {}
        """What readers remark on the files as they are; where they say no more than that, a file was read."""
        self.tally = Tally(reader.name)

    def undamaged(self) -> list[Outcome]:
        """Return the result for the intact files, each resealed; call this first."""
        outcomes = [self._read(at, [])[0] for at in range(len(self._seeds))]
        self._usual = {at: outcome.details for at, outcome in enumerate(outcomes)}
        return outcomes

    def run(self, examples: int, number: int, told: Callable[[str], None] = print) -> Tally:
        """Run the examples; the same ``number`` gives the same examples."""
        rounds = 0
        while self.tally.tried < examples and rounds < examples:
            before = self.tally.tried
            self._shrinking = None
            try:
                self._round(examples - before, number + rounds)()
            except (_NewFault, Flaky):
                told(f"{self._reader.name}: {self._shrinking}; kept in {self._found}")
            rounds += 1
        return self.tally

    def _round(self, examples: int, number: int) -> Callable[[], None]:
        changes = [mutations(payload) for payload in self._payloads]
        order = list(range(len(self._seeds)))
        random.Random(number).shuffle(order)  # Hypothesis favours what comes first a little
        damage = st.sampled_from(order).flatmap(lambda at: st.tuples(st.just(at), changes[at]))

        @seed(number)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
        )
        @given(damage)
        def example(drawn: tuple[int, list[Mutation]]) -> None:
            self._try(*drawn)

        return example

    def _try(self, at: int, changes: Sequence[Mutation]) -> None:
        outcome, size = self._read(at, changes)
        if self._shrinking is not None:
            if outcome.signature == self._shrinking:
                self._keep(at, changes, outcome)
                raise _NewFault
            return
        if outcome.kind == "refused" and outcome.details == self._usual.get(at):
            outcome = dataclasses.replace(outcome, kind="read")
        known = outcome.signature in self.tally.faults
        self.tally.count(outcome, allowed_bytes(size))
        if outcome.is_fault and not known:
            self._keep(at, changes, outcome)
            if outcome.kind == "escaped":  # the others cost seconds each, so what was met first is kept as it is
                self._shrinking = outcome.signature
                raise _NewFault

    def _read(self, at: int, changes: Sequence[Mutation]) -> tuple[Outcome, int]:
        seed, container = self._seeds[at], self._seeds[at].container
        payload = mutated(self._payloads[at], changes, self._payloads)
        content = container.sealed(payload, seed.files[seed.target])
        shutil.rmtree(self._temporary, ignore_errors=True)
        size = len(content)
        for name, other in seed.files.items():
            path = self._temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name == seed.target:
                path.write_bytes(content)
            else:
                os.link(self._prepared[at] / name, path)
                size += len(other)
        return self._worker.read(self._temporary / seed.opened, self._reader.kind, self._reader.format, size), size

    def _prepare(self, seed: Seed, folder: Path) -> Path:
        for name, content in seed.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def _keep(self, at: int, changes: Sequence[Mutation], outcome: Outcome) -> None:
        name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in outcome.signature)
        folder = self._found / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._temporary, folder)
        text = f"{outcome.kind} of {self._seeds[at]!r}, opened as {self._seeds[at].opened or 'a folder'}\n{outcome.details}\n"
        folder.with_name(f"{name}.txt").write_text(text + "\n".join(map(repr, changes)) + "\n", encoding="utf-8")
