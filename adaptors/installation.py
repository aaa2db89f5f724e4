"""What to type to install what is missing, for the installation at hand. The package is on no index, so that
``pip install "mloscope[evaluate]"`` finds nothing; which line works depends on where this one came from:

    source tree, editable or not    python -m pip install --editable "/path/to/source[evaluate]"
    a wheel, a sdist, an address    python -m pip install "mloscope[evaluate] @ file:///path/to/the.whl"
    neither known any more          python -m pip install "tensorflow-cpu>=2.18": what the extra requires
    our own container image         no line: docker compose starts the image that has it

``python`` is the interpreter that runs, by its whole path; where it has no pip, uv, a pip of elsewhere or ensurepip
takes its place.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

PACKAGE = "mloscope"
IMAGE_FILE = "mloscope-image"
"""In ``sys.prefix`` of our container images; holds which of them it is."""


@dataclass(frozen=True)
class Installation:
    """Where this ``mloscope`` came from, and what can install more of it."""

    python: str
    """Path of the interpreter."""
    came_from: Mapping[str, Any] = field(default_factory=dict)
    """What the installer noted in ``direct_url.json``; empty where it noted nothing, as after installing by name."""
    requires: Sequence[str] = ()
    """Requirements of the package as its metadata has them, with their markers."""
    has_pip: bool = True
    others: Mapping[str, str | None] = field(default_factory=dict)
    """Paths of ``uv`` and ``pip`` on the PATH; None where there is none."""
    has_ensurepip: bool = False
    externally_managed: bool = False
    """Whether pip refuses to change this interpreter unless told to (PEP 668)."""
    image: str | None = None
    """``web`` or ``model-service`` inside our own container images."""

    @classmethod
    def at_hand(cls, find_spec: Callable[[str], Any] = importlib.util.find_spec) -> Self:
        """The one that runs."""
        try:
            distribution = metadata.distribution(PACKAGE)
            came_from, requires = distribution.read_text("direct_url.json"), distribution.requires
        except metadata.PackageNotFoundError:
            came_from, requires = None, None
        marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
        image = Path(sys.prefix) / IMAGE_FILE
        return cls(
            python=sys.executable or "python3",
            came_from=_parsed(came_from),
            requires=tuple(requires or ()),
            has_pip=find_spec("pip") is not None,
            others={"uv": shutil.which("uv"), "pip": shutil.which("pip3") or shutil.which("pip")},
            has_ensurepip=find_spec("ensurepip") is not None,
            externally_managed=sys.prefix == sys.base_prefix and marker.is_file(),
            image=image.read_text().strip() if image.is_file() else None,
        )

    def how_to_add(self, extra: str) -> str:
        """The line that installs the extra, to stand at the end of a sentence, behind a colon; in an image of ours what to do
        instead."""
        if self.image is not None:
            return (
                "nothing can be installed into this image; docker compose up, in the source folder of ML-o-scope, starts "
                "it together with the image that has it"
            )
        return self.how_to_install(*self._what_has(extra))

    def how_to_install(self, *what: str) -> str:
        """The line that installs these requirements (or ``--editable`` and a folder) beside this package."""
        words = [part if part.startswith("-") else _quoted(part) for part in what]
        python = _quoted(self.python)
        options = ["--break-system-packages"] if self.externally_managed else []
        if self.has_pip:
            installer = [python, "-m", "pip", "install", *options]
        elif self.others.get("uv"):
            installer = ["uv", "pip", "install", "--python", python, *options]
        elif self.others.get("pip"):
            installer = [_quoted(str(self.others["pip"])), "--python", python, "install", *options]
        elif self.has_ensurepip:
            installer = [python, "-m", "ensurepip", "&&", python, "-m", "pip", "install", *options]
        else:
            return f"there is no pip for {self.python}; with one, install {' '.join(words)}"
        return " ".join([*installer, *words])

    def _what_has(self, extra: str) -> list[str]:
        """What to hand to pip."""
        address = str(self.came_from.get("url", ""))
        scheme = urlsplit(address).scheme
        there = scheme in ("http", "https", "ssh", "git")
        if scheme == "file":
            path = Path(url2pathname(unquote(urlsplit(address).path)))
            there = path.exists()
            if "dir_info" in self.came_from and (path / "pyproject.toml").is_file():
                editable = self.came_from["dir_info"].get("editable")
                return [*(["--editable"] if editable else []), f"{path}[{extra}]"]
        if there and "vcs_info" in self.came_from:
            version_control = self.came_from["vcs_info"]
            at = f"@{version_control['commit_id']}" if "commit_id" in version_control else ""
            return [f"{PACKAGE}[{extra}] @ {version_control.get('vcs', 'git')}+{address}{at}"]
        if there and "archive_info" in self.came_from:
            return [f"{PACKAGE}[{extra}] @ {address}"]
        return required_by(extra, self.requires) or [f"{PACKAGE}[{extra}]"]


def how_to_add(extra: str) -> str:
    """:meth:`Installation.how_to_add` of the installation that runs."""
    return Installation.at_hand().how_to_add(extra)


def how_to_install(package: str) -> str:
    """:meth:`Installation.how_to_install` of the installation that runs."""
    return Installation.at_hand().how_to_install(package)


def required_by(extra: str, requires: Sequence[str]) -> list[str]:
    """What the extra adds to the package on this machine, the extras that it consists of unfolded."""
    from packaging.requirements import Requirement

    found: dict[str, None] = {}
    wanted, seen = [extra], set()
    while wanted:
        name = wanted.pop(0)
        if name in seen:
            continue
        seen.add(name)
        for requirement in map(Requirement, requires):
            marker = requirement.marker
            if marker is None or not marker.evaluate({"extra": name}) or marker.evaluate({"extra": ""}):
                continue
            if requirement.name == PACKAGE:
                wanted += sorted(requirement.extras)
                continue
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            found[f"{requirement.name}{extras}{requirement.specifier}"] = None
    return list(found)


def program() -> str:
    """The word that starts this ``mloscope`` in a terminal: its whole path where the PATH leads to none or to another."""
    ours = Path(sys.executable or "python3").with_name(PACKAGE)
    found = shutil.which(PACKAGE)
    return str(ours) if ours.is_file() and (found is None or not os.path.samefile(found, ours)) else PACKAGE


def _parsed(text: str | None) -> Mapping[str, Any]:
    try:
        noted = json.loads(text or "{}")
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}


def _quoted(word: str) -> str:
    """For a shell. In double quotes where those will do: they mean the same on Windows."""
    if re.fullmatch(r"[\w@%+=:,./\\~-]+", word) and (os.name == "nt" or "\\" not in word):
        return word
    return f'"{word}"' if os.name == "nt" or not re.search(r'["$`\\!]', word) else shlex.quote(word)
