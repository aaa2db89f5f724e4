"""``mloscope user`` and ``mloscope token``: who may come in to a server that others can reach."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from typing import TYPE_CHECKING, Any

from mloscope.app.errors import BadRequest

if TYPE_CHECKING:
    from mloscope.app.web.doors.users import UserFile


def add_commands(commands: Any) -> None:
    """Add both to the subcommands of ``mloscope``."""
    user = commands.add_parser(
        "user",
        help="say who may sign in",
        description="Users of a server that others can reach. As soon as there is one, everybody has to sign in.",
    ).add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = user.add_parser(
        "add",
        help="add a user, or give one another password and role",
        description="Add a user, or give one another password and role; their sessions end then. Asks for the password.",
    )
    _add_name(add, "what they sign in as")
    _add_role(add)
    how = add.add_mutually_exclusive_group()
    how.add_argument("--password-stdin", action="store_true", help="read the password from the first line of the input")
    how.add_argument("--no-password", action="store_true", help="only a trusted proxy says who they are")
    add.set_defaults(command=_add_user)
    remove = user.add_parser("remove", help="take a user out; their sessions end", description="Take a user out.")
    _add_name(remove, "who")
    remove.set_defaults(command=_remove_user)
    user.add_parser("list", help="list users and roles", description="List users and roles.").set_defaults(
        command=_list_users
    )

    token = commands.add_parser(
        "token",
        help="say which programs may ask",
        description="Tokens for programs, sent as Authorization: Bearer TOKEN. Shown once and kept as a hash.",
    ).add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = token.add_parser("add", help="make a token and print it", description="Make a token and print it, once.")
    _add_name(add, "what it is for")
    _add_role(add)
    add.set_defaults(command=_add_token)
    remove = token.add_parser("remove", help="put a token out of force", description="Put a token out of force.")
    _add_name(remove, "which")
    remove.set_defaults(command=_remove_token)
    token.add_parser("list", help="list tokens and roles", description="List tokens and roles.").set_defaults(
        command=_list_tokens
    )


def _add_name(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("name", metavar="NAME", help=help)


def _add_role(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--role",
        choices=("viewer", "editor"),
        default="viewer",
        help="a viewer reads; an editor also starts jobs (default: viewer)",
    )


def _users() -> UserFile:
    """The one that the settings name."""
    from mloscope.app.settings import Settings
    from mloscope.app.web.doors.users import user_file

    return user_file(Settings.from_environment(os.environ), os.environ)


def _add_user(arguments: argparse.Namespace) -> int:
    users = _users()
    password = None if arguments.no_password else _asked_password(arguments.password_stdin)
    new = users.put_user(arguments.name, password, arguments.role)
    how = "comes in through a proxy" if password is None else "can sign in"
    print(f"{arguments.name} {how} as {arguments.role}{'' if new else ' now'}; this stands in {users.path}.")
    return 0


def _asked_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise BadRequest("There is no terminal to ask for the password; use --password-stdin.")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise BadRequest("The two passwords differ.")
    return password


def _remove_user(arguments: argparse.Namespace) -> int:
    _users().remove_user(arguments.name)
    print(f"{arguments.name} cannot sign in any more.")
    return 0


def _list_users(arguments: argparse.Namespace) -> int:
    for name, user in sorted(_users().users().items()):
        print(f"{name}  {user.role}  since {user.created}{'' if user.password else '  through a proxy'}")
    return 0


def _add_token(arguments: argparse.Namespace) -> int:
    text = _users().add_token(arguments.name, arguments.role)
    print(text)
    print("It is shown this once. Send it as: Authorization: Bearer TOKEN", file=sys.stderr)
    return 0


def _remove_token(arguments: argparse.Namespace) -> int:
    _users().remove_token(arguments.name)
    print(f"The token {arguments.name} is out of force.")
    return 0


def _list_tokens(arguments: argparse.Namespace) -> int:
    for name, token in sorted(_users().tokens().items()):
        print(f"{name}  {token.role}  since {token.created}")
    return 0
