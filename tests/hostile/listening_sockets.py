"""Which sockets a process and all that it started listen on, as the system's own tables have it (Linux)."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import struct
from contextlib import suppress
from pathlib import Path

_LISTENS = "0A"


def process_tree(pid: int) -> list[int]:
    """The process and everything below it that lives now."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def listening(pid: int) -> dict[tuple[str, int], int]:
    """(address, port) -> PID, of the process and all below it."""
    owners: dict[str, int] = {}
    for each in process_tree(pid):
        with suppress(OSError):
            for descriptor in (Path("/proc") / str(each) / "fd").iterdir():
                with suppress(OSError):
                    found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor))
                    if found:
                        owners.setdefault(found[1], each)
    return {(address, port): owners[inode] for address, port, inode in _all_that_listen() if inode in owners}


def beyond_loopback(pid: int) -> list[str]:
    """Where somebody from another machine could come in."""
    return [
        f"{address}:{port} of process {owner}"
        for (address, port), owner in listening(pid).items()
        if not ipaddress.ip_address(address).is_loopback
    ]


def _all_that_listen() -> list[tuple[str, int, str]]:
    """Address, port and inode."""
    found = []
    for table in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):
            for line in Path("/proc/self/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS:
                    address, _, port = fields[1].partition(":")
                    found.append((_address(address), int(port, 16), fields[9]))
    return found


def _address(digits: str) -> str:
    """As people write it: the kernel prints 32 bits at a time, in the order of the processor."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
