"""What every command does with its terminal."""

from __future__ import annotations

import os
import sys


class Terminated(SystemExit):
    """Somebody sent SIGTERM: unwinds like Ctrl-C, so that whatever was started is stopped."""


def write(text: str) -> None:
    """Print at once, with what the terminal's encoding lacks replaced. Raises BrokenPipeError where nobody reads any more."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def say(text: str) -> None:
    """:func:`write` for what goes on whether or not somebody reads it, as a server does behind ``| head``."""
    try:
        write(text)
    except BrokenPipeError:
        discard_output()


def discard_output() -> None:
    """Whatever is printed from now on goes nowhere; else the interpreter would complain when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_standard_streams() -> None:
    """Give a process that was started without input, output or error output (``>&-``) empty ones: printing would fail, and the next
    file or socket would get their numbers, and what children print."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def printable(text: str) -> str:
    """The text with what a terminal would obey or cannot show (a file name may hold anything) escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "replace").decode("ascii")
        for character in text
    )
