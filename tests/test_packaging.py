"""What is shipped, what may import what, and what the Makefile and the pinned versions promise."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def tracked_files() -> list[Path]:
    """What git has, as it lies in the working tree."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


# ------------------------------------------------------------------------------------------------- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy, so that nothing is left in the working tree."""
    pytest.importorskip("build", reason="the package build is not installed: make test does it")
    folder = tmp_path_factory.mktemp("wheel")
    left_out = shutil.ignore_patterns(
        ".*", "node_modules", "*.egg-info", "build", "dist", "demo-runs", "__pycache__", "tests"
    )
    shutil.copytree(ROOT, folder / "source", ignore=left_out)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run([*command, str(folder / "source")], capture_output=True, text=True, cwd=folder)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    (found,) = folder.glob("*.whl")
    return zipfile.ZipFile(found)


def test_the_wheel_holds_one_package_and_nothing_at_the_top(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}

    assert {re.sub(r"-.*\.dist-info", ".dist-info", top) for top in tops} == {"mloscope", "mloscope.dist-info"}


def test_the_wheel_holds_every_module_and_every_asset(wheel: zipfile.ZipFile) -> None:
    shipped = set(wheel.namelist())
    sources = [
        path.relative_to(ROOT)
        for folder in ("adaptors", "app", "components", "assets")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".mjs", ".css", ".svg", ".ico", ".woff2", ".html", ".json", ".txt")
        and "__pycache__" not in path.parts
    ]

    assert len(sources) > 50
    assert "mloscope/notebook/__init__.py" in shipped
    assert not [str(path) for path in sources if f"mloscope/{path.as_posix()}" not in shipped]


def test_the_wheel_holds_the_licence_and_the_command(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()

    assert any(name.endswith("LICENSE") for name in names)
    entry_points = wheel.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "mloscope = mloscope.app.commands.cli:main" in entry_points
    assert "[mloscope.run_adaptors]" in entry_points


# ----------------------------------------------------------------------------------- what may import what


@pytest.mark.slow  # make lint asks the same
def test_the_layers_import_one_way_only() -> None:
    pytest.importorskip("importlinter", reason="import-linter is not installed: make test does it")
    program = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run(['--no-cache']))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    contracts = len(PYPROJECT["tool"]["importlinter"]["contracts"])
    assert f"Contracts: {contracts} kept, 0 broken." in done.stdout


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("mloscope.app.web.server", {"tensorflow", "keras", "mloscope.app.model_service.backends.keras", "mlxtend"}),
        ("mloscope.app.model_service.supervisor", {"tensorflow", "keras", "dash"}),
        ("mloscope.adaptors.registry", {"tensorflow", "keras", "dash", "plotly", "mloscope.app"}),
    ],
)
def test_heavy_packages_stay_unimported(module: str, absent: set[str]) -> None:
    code = (
        f"import sys, {module}\nfrom mloscope.adaptors import registry\n"
        "registry.run_adaptors(), registry.corpus_adaptors()\nprint(*sys.modules)"
    )
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).split())

    assert "mloscope.adaptors.models.keras" in loaded
    assert not absent & loaded


# ------------------------------------------------------------------------------------- make, constraints, CI


def make_targets() -> dict[str, str]:
    """What the Makefile calls phony, but for what only other targets need, with what ``make help`` says of
    it."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY:(.*)$", text, re.MULTILINE)[1].split()
    said = dict(re.findall(r"^([a-z-]+):.*?## (.+)$", text, re.MULTILINE))
    return {target: said.get(target, "") for target in phony if target != "system-packages"}


def test_every_make_target_says_what_it_does() -> None:
    targets = make_targets()

    assert {"help", "demo", "test", "test-all", "bench", "lint", "screenshot", "clean"} <= set(targets)
    assert not [target for target, said in targets.items() if len(said.split()) < 3]


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_alone_lists_the_targets() -> None:
    listed = subprocess.check_output(["make", "--no-print-directory"], cwd=ROOT, text=True)

    for target, said in make_targets().items():
        assert re.search(rf"^  make {target} +{re.escape(said)}$", listed, re.MULTILINE)


def test_the_readme_names_only_commands_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", readme, re.MULTILINE))

    commands = {first or second for first, second in named}
    assert {"demo", "test"} <= commands
    assert commands <= set(make_targets())


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    versions = {}
    for line in filter(None, (line.partition("#")[0].strip() for line in lines)):
        found = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)", line)
        assert found, f'"{line}" pins no version'
        versions[normal(found[1])] = found[2]
    return versions


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned_and_no_address_is_named() -> None:
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    wanted = list(project["dependencies"])
    for extra in ("evaluate", "demo", "dev"):
        wanted += extras[extra]
    names = {normal(re.match(r"[A-Za-z0-9._-]+", requirement)[0]) for requirement in wanted} - {"mloscope"}

    assert names <= set(pinned())


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_ci_script_can_be_run_and_runs_what_the_readme_names() -> None:
    script = ROOT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    assert "make test" in script.read_text(encoding="utf-8")


def test_no_file_names_a_package_host_or_a_path_of_one_machine() -> None:
    # Put together here, so that this file does not name them either.
    hosts = ["pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "ana" + "conda.org"]
    paths = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/"]
    wrong = []
    for path in tracked_files():
        content = path.read_bytes()
        wrong += [f"{path.relative_to(ROOT)}: {word}" for word in hosts + paths if word.encode() in content]

    assert not wrong
