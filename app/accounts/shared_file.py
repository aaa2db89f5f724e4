"""A small file that several programs read and change, wherever its path leads.

A link stays a link: what it leads to is changed, beside which the lock lies too, so that all who come by different paths wait for
each other. Mode, owner and access lists stay as they were.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mloscope.app.errors import Unavailable


def real(path: Path) -> Path:
    """Where the path leads, also where nothing is there yet."""
    return Path(os.path.realpath(path))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[Path]:
    """Only one process at a time changes the file; the value is :func:`real` of it. The folder need not be there. Where the
    system has no such locks, nobody is held up."""
    target = real(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield target
        return
    lock = os.open(
        target.with_name(target.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        with contextlib.suppress(OSError):  # made by root, it must not keep out whose file it is
            owner = target.stat()
            os.fchown(lock, owner.st_uid, owner.st_gid)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield target
    finally:
        os.close(lock)


def write(target: Path, text: str) -> None:
    """Put the text in the place of what the file says: whole or not at all where the file can be replaced, else in place.
    ``target``: as :func:`locked` gives it. A new file is for its owner alone. Raises :class:`Unavailable`."""
    before = target.stat() if target.exists() else None
    if before is not None and before.st_nlink > 1:  # under its other names it would stay as it was
        _write_in_place(target, text)
        return
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if before is not None:
                _take_over(target, before, file.fileno(), temporary)
            os.fsync(file.fileno())
        try:
            os.replace(temporary, target)
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EXDEV):
                raise
            _write_in_place(target, text)  # a single file mounted into a container
            os.unlink(temporary)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _write_in_place(target: Path, text: str) -> None:
    with target.open("r+", encoding="utf-8") as file:
        file.truncate()  # half of the old and half of the new would be worse than nothing
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _take_over(target: Path, before: os.stat_result, handle: int, temporary: str) -> None:
    """Owner, group, mode and access lists."""
    if not hasattr(os, "fchown"):
        return
    made = os.fstat(handle)
    if made.st_uid != before.st_uid:
        try:
            os.fchown(handle, before.st_uid, before.st_gid)
        except PermissionError:
            raise Unavailable(
                f"The users file {target} belongs to another user (number {before.st_uid}), who could not read it any more; "
                "let that user or root change it."
            ) from None
    elif made.st_gid != before.st_gid:
        try:
            os.fchown(handle, -1, before.st_gid)
        except PermissionError:
            if before.st_mode & stat.S_IRWXG:
                raise Unavailable(
                    f"The users file {target} belongs to a group (number {before.st_gid}) of which you are not a member, and "
                    "which could not read it any more; let a member of it or root change it."
                ) from None
    shutil.copystat(target, temporary)
    os.utime(temporary)
