"""A documentation page's package, as pip would install it, made of the page's own blocks of code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def fenced(text: str) -> dict[str, str]:
    """The page's blocks by the name in their first line, ``# file: NAME``."""
    blocks = re.findall(r"^```\w+\n# file: (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return dict(blocks)


def installed(page: Path, folder: Path) -> Path:
    """Write the page's files into the folder, and a dist-info with the entry points of its pyproject.toml: a folder for
    PYTHONPATH."""
    for name, text in fenced(page.read_text()).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    about = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{about['name']}-{about['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    lines = []
    for group, points in about["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
