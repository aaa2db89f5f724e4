"""Which machine and which process this is, so that what one process wrote down about itself is not taken for another's.

A PID alone names nobody: after a restart it is somebody else's, in a container within seconds. A process is its PID with the
moment it started, within one boot and one namespace of PIDs.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows, where nobody else's process is known
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None


def host() -> str:
    return socket.gethostname()


def boot() -> str:
    """Of the system's kernel since it last started, the same in all its containers; empty where it does not tell."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def namespace(kind: str) -> str:
    """Which ``pid`` or ``net`` namespace we are in; empty where there are none."""
    with suppress(OSError):
        return os.readlink(f"/proc/self/ns/{kind}")
    return ""


def this_machine() -> dict[str, str]:
    """What is one machine to somebody who opens http://127.0.0.1, as JSON: a container with a network of its own is another
    one, and so is each that shares our home folder."""
    return {"host": host(), "boot": boot(), "network": namespace("net")}


def process_name(pid: int) -> dict[str, Any] | None:
    """What names the process for as long as the world lasts, as JSON; None where there is none, or nobody can tell."""
    started = _started(pid)
    if started is None:
        return None
    # Names of machines change and are given twice; where the boot tells, nothing else has to.
    return {"pid": pid, "started": started, "boot": boot() or host(), "namespace": namespace("pid")}


def is_alive(name: Any) -> bool:
    """Whether the process of that name lives, here."""
    return isinstance(name, dict) and isinstance(name.get("pid"), int) and process_name(name["pid"]) == name


def signal_process(name: Any, number: int) -> bool:
    """Send the signal to the process of that name; False where it is not there to be sent one."""
    if not is_alive(name):
        return False
    pid = name["pid"]
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # an older kernel, or no Linux
        os.kill(pid, number)
        return True
    try:
        if not is_alive(name):  # what the descriptor stands for is what was looked at, and stays so
            return False
        signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)
    return True


def _started(pid: int) -> str | None:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
        state, *fields = status.rpartition(")")[2].split()
        return None if state in "ZX" else fields[18]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    except (OSError, IndexError):
        return None
    with suppress(OSError, subprocess.SubprocessError):
        asked = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=5)
        return asked.stdout.strip() or None
    return None


# --------------------------------------------------------------------------------------------------------- locks


def take(file: IO[bytes], shared: bool = False) -> bool:
    """Lock the open file; whether nobody's lock was in the way. Held until the file is closed here and in every process that
    it was handed to, however these end. ``shared``: others may share it too. Raises OSError where the disk has no locks."""
    if fcntl is None:
        raise OSError("no locks on this system")
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(path: Path) -> bool:
    """Whether anybody has the file locked for themselves alone. False where nobody can tell."""
    try:
        with path.open("rb") as file:
            return not take(file, shared=True)
    except OSError:
        return False
