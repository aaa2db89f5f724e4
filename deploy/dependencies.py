"""Prints what pyproject.toml asks for, a line each, for pip: dependencies.py EXTRA[,EXTRA ...] [--without NAME ...]"""

import re
import sys
import tomllib
from pathlib import Path

extras, _, *without = sys.argv[1:]
project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
optional = [requirement for extra in extras.split(",") for requirement in project["optional-dependencies"][extra]]
for requirement in project["dependencies"] + optional:
    if re.match(r"[\w.-]+", requirement)[0] not in without:
        print(requirement)
