"""Change a small file that several programs share, wherever its path leads.

A link stays a link: its target is changed, and the lock lies beside the target, so that programs that use different paths wait for
each other. Mode, owner and access lists are kept.
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
    """Follow links, also where nothing exists yet."""
    return Path(os.path.realpath(path))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[Path]:
    """Hold the file's lock; the value is :func:`real` of the path. Makes the folder if necessary. Does not lock on systems
    without such locks."""
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
        with contextlib.suppress(OSError):  # a lock made by root must not keep out the file's owner
            owner = target.stat()
            os.fchown(lock, owner.st_uid, owner.st_gid)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield target
    finally:
        os.close(lock)


def write(target: Path, text: str) -> None:
    """Replace the file's content: atomically where the file can be replaced, else in place. ``target``: as :func:`locked`
    gives it. Only its owner may read a new file. Raises :class:`Unavailable`."""
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
    """Copy owner, group, mode and access lists."""
    if not hasattr(os, "fchown"):
        return
    made = os.fstat(handle)
    if made.st_uid != before.st_uid:
        try:
            os.fchown(handle, before.st_uid, before.st_gid)
        except PermissionError:
            raise Unavailable(
                f"The users file {target} belongs to another user (number {before.st_uid}), who could then no longer read it; "
                "let that user or root change it."
            ) from None
    elif made.st_gid != before.st_gid:
        try:
            os.fchown(handle, -1, before.st_gid)
        except PermissionError:
            if before.st_mode & stat.S_IRWXG:
                raise Unavailable(
                    f"The users file {target} belongs to a group (number {before.st_gid}) that you are not a member of, and "
                    "that could then no longer read it; let one of its members or root change it."
                ) from None
    shutil.copystat(target, temporary)
    os.utime(temporary)
