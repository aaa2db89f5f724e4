"""Makes ``team`` importable, however pytest was started, and starts one for each module of faults."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from team import Team, reason_to_skip


@pytest.fixture(scope="session")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, a corpus and the workspace file that names them."""
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    from team import make_subjects

    return make_subjects(tmp_path_factory.mktemp("subjects"))


@pytest.fixture(scope="module")
def team(subjects: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with Team(subjects, tmp_path_factory.mktemp("team")) as team:
        yield team


@pytest.fixture(autouse=True)
def _well_before(request: pytest.FixtureRequest) -> None:
    """What one fault leaves broken must not be blamed on the next."""
    if "team" in request.fixturenames:
        request.getfixturevalue("team").be_well()


@pytest.fixture(scope="session")
def _report() -> Iterator[dict[str, dict]]:
    report: dict[str, dict] = {}
    yield report
    if report:
        print("\n\n" + json.dumps(report, indent=1))


@pytest.fixture
def measured(_report: dict[str, dict]) -> Callable[..., None]:
    """``measured(name, well_s=..., ...)``: what is printed at the end, and written to the file in MLOSCOPE_FAULTS_JSON."""

    def note(name: str, **figures: object) -> None:
        _report[name] = {key: round(value, 2) if isinstance(value, float) else value for key, value in figures.items()}
        file = os.environ.get("MLOSCOPE_FAULTS_JSON")
        if file:
            Path(file).write_text(json.dumps(_report, indent=1) + "\n")

    return note
