"""docs/deployment.md's entry for jupyter-server-proxy for real: a Jupyter server, which starts ours and shows it below a path."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 100.0
HEADERS = {"Authorization": "token of-the-test"}

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("jupyter_server_proxy") is None,
        reason="no jupyter-server-proxy here (pip install jupyter_server jupyter-server-proxy)",
    ),
    pytest.mark.timeout(240),
]


def documented_entry() -> str:
    """The block of Python of the page."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    found = re.search(r"## In Jupyter\n.*?```python\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def jupyter(tmp_path: Path) -> Iterator[str]:
    """A Jupyter server with the entry as documented, but for what is shown; gives its address."""
    program = f'"{sys.executable}", "-m", "mloscope.app.commands.cli"'
    shown = r'"mloscope",\s*"serve",\s*"/data/runs/mine",\s*"--images",\s*"/data/images"'
    entry, count = re.subn(shown, f'{program}, "serve"', documented_entry())
    assert count == 1
    (tmp_path / "runs").mkdir()
    (tmp_path / "jupyter_server_config.py").write_text(
        f"c = get_config()\nc.ServerApp.jpserver_extensions = {{'jupyter_server_proxy': True}}\n{entry}"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    home = str(tmp_path / "home")
    places = {"JUPYTER_CONFIG_DIR": str(tmp_path), "HOME": home, "MLOSCOPE_HOME": home}
    words = ["--no-browser", "--allow-root", "--IdentityProvider.token=of-the-test", "--ServerApp.base_url=/user/anna/"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_server", f"--port={port}", f"--ServerApp.root_dir={tmp_path}", *words],
        env={**os.environ, **places, "MLOSCOPE_WATCH_RUNS": str(tmp_path / "runs")},
        cwd=tmp_path,
    )
    try:
        ends = time.monotonic() + PATIENCE_S
        while True:
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/user/anna"
    finally:
        process.terminate()
        process.wait(20)


def test_the_entry_of_the_documentation_shows_every_address_below_its_path(jupyter: str) -> None:
    page = urllib3.request("GET", f"{jupyter}/mloscope/", headers=HEADERS, timeout=PATIENCE_S)
    assert page.status == 200
    text = page.data.decode()
    config = re.search(r'id="_dash-config" type="application/json">(.*?)</script>', text)
    assert config is not None, text[:500]
    assert json.loads(config[1])["requests_pathname_prefix"] == "/user/anna/mloscope/"
    addresses = [
        address
        for address in re.findall(r'(?:src|href)="(/[^"]*)', text)
        if address.endswith(".js") or "assets" in address
    ]
    assert len(addresses) > 20
    for address in (addresses[0], addresses[-1]):
        assert address.startswith("/user/anna/mloscope/")
        host = jupyter.removesuffix("/user/anna")
        assert urllib3.request("GET", host + address, headers=HEADERS, timeout=PATIENCE_S).status == 200
    answer = urllib3.request("GET", f"{jupyter}/mloscope/api/v1/runs", headers=HEADERS, timeout=PATIENCE_S)
    assert answer.json() == {"runs": []}
