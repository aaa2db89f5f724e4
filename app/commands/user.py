"""``mloscope user``: who may sign in to a server that others can reach."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from mloscope.app.commands.arguments.options import ROLES, ROLES_HELP, add_role, users_of_settings
from mloscope.app.errors import BadRequest

DESCRIPTION = "Users of a server that others can connect to. Once there is a user, everyone must sign in."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = commands.add_parser(
        "add",
        help="add a user",
        description="Add a user, who can sign in immediately. Asks for the password. An existing user gets the new "
        "password and keeps the role unless one is given; their sessions end.",
    )
    add.add_argument("name", metavar="NAME", help="the name to sign in with: letters, digits and . _ @ -")
    add_role(add)
    _add_ways(add).add_argument("--no-password", action="store_true", help="they sign in only through a trusted proxy")
    add.set_defaults(command=_add_user)
    password = commands.add_parser(
        "password",
        help="change a user's password; their sessions end",
        description="Change a user's password, and ask for it. The role is kept; all their sessions end immediately.",
    )
    password.add_argument("name", metavar="NAME", help="who")
    _add_ways(password)
    password.set_defaults(command=_change_password)
    role = commands.add_parser(
        "role",
        help="make a user a viewer or an editor",
        description="Make a user a viewer or an editor, immediately, even while they are signed in. The password is kept.",
    )
    role.add_argument("name", metavar="NAME", help="who")
    role.add_argument("role", choices=ROLES, help=ROLES_HELP)
    role.set_defaults(command=_change_role)
    remove = commands.add_parser(
        "remove",
        help="remove a user; their sessions end",
        description="Remove a user. All their sessions end immediately.",
    )
    remove.add_argument("name", metavar="NAME", help="who")
    remove.set_defaults(command=_remove_user)
    listing = commands.add_parser("list", help="list users and roles", description="List users and roles.")
    listing.set_defaults(command=_list_users)


def _add_ways(parser: argparse.ArgumentParser) -> Any:
    """Add ways to say a password without a terminal; there may be more."""
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--password-stdin", action="store_true", help="read the password from the first line of the input"
    )
    return ways


def _add_user(arguments: argparse.Namespace) -> int:
    users = users_of_settings()
    password = None if arguments.no_password else _asked_password(arguments.password_stdin)
    new = users.put_user(arguments.name, password, arguments.role)
    how = "signs in through a proxy" if password is None else "can sign in"
    role = users.users()[arguments.name].role
    print(f"{arguments.name} {how} as {role}{'' if new else ' now'}; saved in {users.path}.")
    return 0


def _change_password(arguments: argparse.Namespace) -> int:
    users = users_of_settings()
    users.user(arguments.name)  # before anybody is asked for a password
    users.change_password(arguments.name, _asked_password(arguments.password_stdin))
    print(f"{arguments.name} has a new password; all their sessions have ended.")
    return 0


def _change_role(arguments: argparse.Namespace) -> int:
    users_of_settings().change_role(arguments.name, arguments.role)
    print(f"{arguments.name} is {'an' if arguments.role == 'editor' else 'a'} {arguments.role} from now on.")
    return 0


def _asked_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise BadRequest("Cannot ask for the password without a terminal; use --password-stdin.")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise BadRequest("The two passwords differ.")
    return password


def _remove_user(arguments: argparse.Namespace) -> int:
    users_of_settings().remove_user(arguments.name)
    print(f"{arguments.name} can no longer sign in.")
    return 0


def _list_users(arguments: argparse.Namespace) -> int:
    users = users_of_settings()
    for name, user in sorted(users.users().items()):
        print(f"{name}  {user.role}  since {user.created}{'' if user.password else '  through a proxy'}")
    if not users.users():
        print(f"There are no users in {users.path}.", file=sys.stderr)
    return 0
