"""docs/findings.md says what the runs say: every figure of its tables is computed again where the data are there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.comparison import pairing
from mloscope.app.comparison.compared_runs import Shown, Side
from mloscope.app.web.dash.page import view_schema
from mloscope.app.web.dash.pages import OURS
from mloscope.app.web.services import Services
from mloscope.app.workspace.entries import RunEntry
from mloscope.app.workspace.workspace import Workspace

SCHEMA = view_schema(OURS)

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = (ROOT / "docs" / "findings.md").read_text()
REAL = Path(os.environ.get("MLOSCOPE_REAL_DATA", ROOT.parent / "shared" / "real"))
RUNS = {
    "resnet20_cifar10": (REAL / "keras" / "resnet20_cifar10", 0.0006),
    # Trained again on each machine, so only about the same.
    "demo": (Path("~/.cache/mloscope/demo-runs/mnist").expanduser(), 0.2),
}


def rows(run: str) -> dict[str, list[float]]:
    """Numbers of the run's table by layer: units, rank correlation, Pearson, chance, relative change, cosine."""
    table = FINDINGS.split(f"<!-- {run}:")[1].split("|---|---|---|---|---|---|---|\n")[1].split("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {name.strip("`"): [float(number) for number in numbers] for name, *numbers in cells}


@pytest.mark.parametrize("run", RUNS)
def test_the_tables_are_what_the_checkpoints_say(run: str) -> None:
    path, tolerance = RUNS[run]
    if not path.exists():
        pytest.skip(f"the run of docs/findings.md is not here: {path.name}")
    services = Services.of(Workspace.connect([RunEntry(path)]), ResultCache(MemoryStore(1 << 24)))
    name = services.workspace.runs[0].name
    opened = services.workspace.opened_run(name)
    steps = [checkpoint.step for checkpoint in opened.checkpoints if not checkpoint.problem]
    kernels = [layer.name for layer in opened.layers if any(p.name == "kernel" for p in layer.parameters)]
    said = rows(run)
    assert list(said) == kernels
    compared = services.comparison
    for layer, numbers in said.items():
        sides = (Side(name, steps[-1], layer, "kernel"), Side(name, steps[0], layer, "kernel"), Shown())
        changes, whole = compared.changes(*sides), compared.whole(*sides)
        found = pairing.correlate(*changes.measure("variance"))
        assert numbers[0] == changes.count
        assert numbers[1:3] == pytest.approx([found.rank, found.pearson], abs=tolerance), layer
        if run == "resnet20_cifar10":
            assert numbers[3:] == pytest.approx([found.chance, whole.change[0], whole.cosine[0]], abs=tolerance), layer


def test_the_addresses_are_views() -> None:
    addresses = re.findall(r"`(/compare\?[^`]+)`", FINDINGS)
    assert len(addresses) == 2
    for address in addresses:
        parts = urlsplit(address)
        view, problems = SCHEMA.parse(parts.fragment)
        assert problems == []
        run = parse_qs(parts.query)["run"][0]
        assert view["layer"] in rows(run if run in RUNS else "demo")
        assert view["compare-measure"] == "variance"
