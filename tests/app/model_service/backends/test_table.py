"""The table of network backends: what is installed, what is missing, what cannot be loaded."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mloscope.adaptors.entry_points import NETWORK_BACKENDS, Registered
from mloscope.app.model_service.backends import (
    BackendMissing,
    LoadedBackends,
    loading,
    missing,
    network_backends,
)

ROOT = Path(__file__).parents[4]


def made_up(name: str, *, lacks: str | None = None, fails: Exception | None = None) -> Registered:
    class Backend:
        title: ClassVar[str] = name.title()
        loading_s: ClassVar[float] = 3.0
        loads: ClassVar[list[int | None]] = []

        @classmethod
        def missing(cls) -> str | None:
            return lacks

        @classmethod
        def load(cls, gpu_memory_bytes: int | None = None) -> Any:
            cls.loads.append(gpu_memory_bytes)
            if fails is not None:
                raise fails
            return cls()

    Backend.name = name
    return Registered(name, "strangers", Backend)


BROKEN = Registered("broken", "strangers", None, "The network backend broken of strangers cannot be imported.")


def test_ours_are_registered() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ours = {each.name: each for each in network_backends() if each.package == "mloscope"}
    assert sorted(ours) == sorted(project["entry-points"][NETWORK_BACKENDS.name]), "pip install -e . --no-deps again"
    for name, each in ours.items():
        assert each.problem is None
        assert each.implementation.name == name


def test_reading_the_table_imports_no_framework() -> None:
    code = (
        "import sys; from mloscope.app.model_service import backends; backends.network_backends(), backends.missing()\n"
        "assert not {'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_backend_that_is_there_is_enough() -> None:
    lacking = made_up("lacking", lacks="Lacking is not installed: pip install lacking")
    assert missing([lacking, BROKEN, made_up("there")]) is None
    said = missing([lacking, BROKEN])
    assert "pip install lacking" in said
    assert "broken" in said
    assert "no network backend" in missing([]).lower()
    assert loading([lacking, BROKEN, made_up("there")]) == "There is loading (about 3 s)."


def test_each_is_loaded_once_and_with_the_settings() -> None:
    known = made_up("there")
    backends = LoadedBackends([known], gpu_memory_bytes=5)
    backends.load_installed()
    assert backends.backend("there") is backends.backend("there")
    assert [each.name for each in backends.loaded] == ["there"]
    assert known.implementation.loads == [5]


def test_one_that_cannot_be_loaded_costs_only_its_own_runs() -> None:
    failing = made_up("failing", fails=ImportError("libcudart.so.12: cannot open shared object file"))
    backends = LoadedBackends([failing, BROKEN, made_up("there")])
    backends.load_installed()
    assert [each.name for each in backends.loaded] == ["there"]
    for name, said in (
        ("failing", "Failing cannot be loaded: libcudart"),
        ("broken", "cannot be imported"),
        ("no", '"no"'),
    ):
        with pytest.raises(BackendMissing, match=said):
            backends.backend(name)
    with pytest.raises(BackendMissing, match="libcudart"):
        LoadedBackends([failing]).load_installed()
    with pytest.raises(BackendMissing, match="pip install"):
        LoadedBackends([made_up("lacking", lacks="It is not here: pip install it")]).load_installed()
