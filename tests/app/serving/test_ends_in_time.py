"""A process that was told to end ends, in order where that is quick."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals as Unix has them")

SERVER = """
import logging, os, socket, sys, threading, time
import uvicorn
from mloscope.app.serving.ends_in_time import EndsInTime
mode, noted, within_s = sys.argv[1:]

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        for what in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{what}.complete"})
        return

def at_end():
    if mode == "end hangs":
        time.sleep(60)
    open(noted, "w").write("in order")

if mode == "thread hangs":
    threading.Thread(target=time.sleep, args=(60,)).start()
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("up", flush=True)
Server(uvicorn.Config(EndsInTime(application, at_end, float(within_s)), port=0, log_level="critical")).run()
"""


@pytest.mark.parametrize(
    ("mode", "number", "within_s"),
    [
        ("all is well", signal.SIGTERM, 60.0),
        ("all is well", signal.SIGINT, 60.0),
        ("thread hangs", signal.SIGTERM, 1.0),
        ("end hangs", signal.SIGINT, 0.3),
    ],
)
def test_a_server_ends_whatever_its_threads_do(tmp_path: Path, mode: str, number: int, within_s: float) -> None:
    noted = tmp_path / "noted"
    words = [sys.executable, "-c", SERVER, mode, str(noted), str(within_s)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        process.wait(15)
    finally:
        process.kill()
        process.communicate()
    assert noted.exists() == (mode != "end hangs")


PARENT = """
import multiprocessing, os, signal, sys, threading, time
from mloscope.app.serving.ends_in_time import end_with_parent

def work(mode):
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent(0.3)
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work, args=(sys.argv[1],))
    child.start()
    child.join()
"""


@pytest.mark.parametrize("mode", ["listens", "deaf"])
def test_a_worker_ends_with_its_parent_however_that_ended(tmp_path: Path, mode: str) -> None:
    from mloscope.app.process.this_machine import process_name

    (tmp_path / "parent.py").write_text(textwrap.dedent(PARENT))
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py"), mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    deadline = time.monotonic() + 15
    while process_name(pid) is not None:
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.05)
    process.stdout.close()
    assert os.getpid() != pid
