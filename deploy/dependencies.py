"""Prints what pyproject.toml asks for, a line each, for pip: dependencies.py EXTRA [--without NAME ...]"""

import re
import sys
import tomllib
from pathlib import Path

extra, _, *without = sys.argv[1:]
project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
for requirement in project["dependencies"] + project["optional-dependencies"][extra]:
    if re.match(r"[\w.-]+", requirement)[0] not in without:
        print(requirement)
