"""The user's home folder, for files that no variable puts elsewhere.

A process may have none: ``HOME`` is not set and the system does not know its user number, as in a container with ``--user 4002``.
"""

from __future__ import annotations

from pathlib import Path

from mloscope.app.errors import BadRequest


class NoHome(BadRequest):
    """There is no home folder; the message names the variables that help."""

    def __init__(self, variable: str) -> None:
        super().__init__(
            "There is no home folder: HOME is not set, and the user of this process has no entry in the system. "
            f"Set HOME or {variable}."
        )


def home_folder(variable: str) -> Path:
    """Return the home folder. ``variable`` can name another place, which the error says. Raises :class:`NoHome`."""
    try:
        return Path.home()
    except RuntimeError:
        raise NoHome(variable) from None


def is_missing_home(error: BaseException) -> bool:
    """Whether a path that begins with ``~`` could not be expanded."""
    return isinstance(error, RuntimeError) and "home directory" in str(error)
