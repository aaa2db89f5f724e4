"""Settings of training that programs leave in a run's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mloscope.adaptors.files.setting_files import LARGEST_BYTES, read_setting_files


@pytest.mark.parametrize(
    ("name", "text", "settings"),
    [
        ("args.json", '{"lr": 0.1, "optimizer": {"name": "sgd", "nesterov": true}, "blocks": [1, 2]}',
         {"lr": 0.1, "optimizer.name": "sgd", "optimizer.nesterov": True}),
        ("config.toml", 'seed = 3\n[data]\nname = "mnist"\n', {"seed": 3, "data.name": "mnist"}),
        ("hparams.yaml", "lr: 1e-3  # small\nname: 'a b'\nbatch_size: 32\nbias: false\nnested:\n  deep: 1\n",
         {"lr": 0.001, "name": "a b", "batch_size": 32, "bias": False}),
        ("solver.prototxt", 'base_lr: 0.01\nlr_policy: "step"\nmax_iter: 4000\n',
         {"base_lr": 0.01, "lr_policy": "step", "max_iter": 4000}),
        ("config.json", '{"class_name": "Functional", "config": {"name": "net"}}', {}),
        ("other.json", '{"lr": 1}', {}),
    ],
)  # fmt: skip
def test_scalars_are_read_by_their_names(tmp_path: Path, name: str, text: str, settings: dict) -> None:
    (tmp_path / name).write_text(text)
    assert read_setting_files(tmp_path) == (settings, ())


def test_the_first_file_that_says_something_is_right(tmp_path: Path) -> None:
    (tmp_path / "hparams.json").write_text('{"lr": 1}')
    (tmp_path / "config.json").write_text('{"lr": 2, "seed": 5}')
    assert read_setting_files(tmp_path)[0] == {"lr": 1, "seed": 5}


@pytest.mark.parametrize("content", [b'{"lr": ', b"\xff\xfe", b" " * (LARGEST_BYTES + 1), b"[" * 100_000])
def test_a_damaged_file_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "args.json").write_bytes(content)
    settings, problems = read_setting_files(tmp_path)
    assert settings == {}
    assert len(problems) == 1
    assert problems[0].startswith("args.json")


def test_a_run_of_one_file_has_no_settings(tmp_path: Path) -> None:
    (tmp_path / "run.npz").write_bytes(b"")
    assert read_setting_files(tmp_path / "run.npz") == ({}, ())
