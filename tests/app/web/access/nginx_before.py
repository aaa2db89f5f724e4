"""nginx as an ordinary process before a server of a test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
# Started as root, nginx works as nobody, who cannot keep a large answer in a folder of pytest's: it would be cut short.
_USER = "user root;" if os.getuid() == 0 else ""
_MAIN = """{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
{server}
    }}
}}
"""


@contextmanager
def nginx_before(folder: Path, server: str) -> Iterator[str]:
    """``server``: what stands in its server block, with ``$PORT`` for its port; gives its address."""
    assert NGINX is not None
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _MAIN.format(user=_USER, folder=folder, port=port, server=server.replace("$PORT", str(port)))
    )
    process = subprocess.Popen([NGINX, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(configuration)])
    try:
        ends = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < ends
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
