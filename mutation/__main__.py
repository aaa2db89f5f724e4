"""``make mutation``: changes pure modules in one place at a time and counts how many changes their own tests notice.

    python -m mutation                        every mutant of every module in modules.toml
    python -m mutation --sample 20            20 of each module, drawn at random (--seed)
    python -m mutation app/films/encoding.py  of these modules

Exits with 1 where less than 95 % are noticed. What nothing can notice is listed in modules.toml with the reason.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import sys
import time
import tomllib
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mutation import forked_tests
from mutation.mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parents[1]
WANTED = 0.95


@dataclass
class Module:
    """A module whose tests are to notice every change."""

    path: str
    tests: list[str]
    conftest: bool = False
    """Whether the tests need fixtures of conftest.py, whose imports cost seconds per mutant."""
    equivalent: list[dict[str, str]] = field(default_factory=list)
    """Mutants that no test can notice: the line ``before`` and ``after`` ("*": however it is changed), and the ``reason``."""

    @property
    def name(self) -> str:
        return "mloscope." + self.path.removesuffix(".py").replace("/", ".")

    @property
    def arguments(self) -> list[str]:
        """For pytest."""
        return self.tests if self.conftest else ["--noconftest", *self.tests]

    def is_equivalent(self, mutant: Mutant) -> bool:
        return any(
            known["before"] == mutant.before and known["after"] in (mutant.after, "*") for known in self.equivalent
        )


def main() -> int:
    options = _options()
    modules = [Module(**entry) for entry in tomllib.loads((ROOT / "mutation" / "modules.toml").read_text())["module"]]
    if options.modules:
        modules = [module for module in modules if module.path in options.modules]
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # pure modules need none, and loading them takes seconds
    results = [examine(module, options) for module in modules]
    made, noticed = sum(r["mutants"] for r in results), sum(r["noticed"] for r in results)
    print(f"{noticed} of {made} changes noticed ({noticed / max(1, made):.1%}).")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 0 if noticed >= WANTED * made else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="paths as in modules.toml; default: all")
    parser.add_argument("--sample", type=int, help="mutants per module; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def examine(module: Module, options: argparse.Namespace) -> dict[str, object]:
    """Run the module's tests on its mutants; print those that no test noticed."""
    path = ROOT / module.path
    source = path.read_text()
    for name in forked_tests.third_party_modules(module.arguments):
        importlib.import_module(name)
    gc.freeze()
    began = time.monotonic()
    running = forked_tests.start(module.name, path, source, module.arguments, 600)
    while (outcome := running.outcome()) is None:
        time.sleep(0.02)
    if outcome != forked_tests.PASSED:
        raise SystemExit(f"{module.path}: its tests {outcome} without any change: {' '.join(module.tests)}")
    timeout_s = 10 + 5 * (time.monotonic() - began)
    mutants = mutants_of(source, options.seed, drawn=options.sample is not None)
    mutants = list(islice((mutant for mutant in mutants if not module.is_equivalent(mutant)), options.sample))
    survivors = _survivors(module, path, mutants, timeout_s, options.processes)
    noticed = len(mutants) - len(survivors)
    print(f"{module.path}: {noticed} of {len(mutants)} noticed, {time.monotonic() - began:.0f} s", flush=True)
    for mutant in sorted(survivors, key=lambda mutant: mutant.line):
        print(
            f"  line {mutant.line} ({mutant.operator.partition('/')[2]})\n    - {mutant.before}\n    + {mutant.after}"
        )
    return {
        "module": module.path,
        "mutants": len(mutants),
        "noticed": noticed,
        "survivors": [[mutant.line, mutant.before, mutant.after] for mutant in survivors],
    }


def _survivors(module: Module, path: Path, mutants: list[Mutant], timeout_s: float, processes: int) -> list[Mutant]:
    waiting, running, survivors = list(reversed(mutants)), [], []
    while waiting or running:
        while waiting and len(running) < processes:
            mutant = waiting.pop()
            running.append((mutant, forked_tests.start(module.name, path, mutant.source, module.arguments, timeout_s)))
        time.sleep(0.01)
        still = []
        for mutant, process in running:
            outcome = process.outcome()
            if outcome is None:
                still.append((mutant, process))
            elif outcome == forked_tests.PASSED:
                survivors.append(mutant)
        running = still
    return survivors


if __name__ == "__main__":
    sys.exit(main())
