"""``mloscope user`` and ``mloscope token``: who may come in to a server that others can reach."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from typing import TYPE_CHECKING, Any

from mloscope.app.errors import BadRequest

if TYPE_CHECKING:
    from mloscope.app.accounts.users import UserFile


_ROLES = "a viewer reads; an editor also starts jobs"


def add_commands(commands: Any) -> None:
    """Add both to the subcommands of ``mloscope``."""
    user = commands.add_parser(
        "user",
        help="say who may sign in",
        description="Users of a server that others can reach. As soon as there is one, everybody has to sign in.",
    ).add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = user.add_parser(
        "add",
        help="add a user",
        description="Add a user, who can sign in at once. Asks for the password. A user who is there already is given the new "
        "password, and keeps the role unless another is said; their sessions end.",
    )
    _add_name(add, "what they sign in as: letters, digits and . _ @ -")
    _add_role(add)
    _add_ways(add).add_argument("--no-password", action="store_true", help="only a trusted proxy says who they are")
    add.set_defaults(command=_add_user)
    password = user.add_parser(
        "password",
        help="give a user another password; their sessions end",
        description="Give a user another password, and ask for it. The role stays; all their sessions end at once.",
    )
    _add_name(password, "who")
    _add_ways(password)
    password.set_defaults(command=_change_password)
    role = user.add_parser(
        "role",
        help="make a user a viewer or an editor",
        description="Make a user a viewer or an editor, at once, also where they are signed in. The password stays.",
    )
    _add_name(role, "who")
    role.add_argument("role", choices=("viewer", "editor"), help=_ROLES)
    role.set_defaults(command=_change_role)
    remove = user.add_parser(
        "remove",
        help="take a user out; their sessions end",
        description="Take a user out. All their sessions end at once.",
    )
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
    parser.add_argument("--role", choices=("viewer", "editor"), help=f"{_ROLES} (default: viewer)")


def _add_ways(parser: argparse.ArgumentParser) -> Any:
    """Ways to say a password without a terminal; there may be more."""
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--password-stdin", action="store_true", help="read the password from the first line of the input"
    )
    return ways


def _users() -> UserFile:
    """The one that the settings name."""
    from mloscope.app.accounts.users import user_file
    from mloscope.app.process.settings import ABOUT_SERVING, Settings

    return user_file(Settings.from_environment(os.environ, but=ABOUT_SERVING), os.environ)


def _add_user(arguments: argparse.Namespace) -> int:
    users = _users()
    password = None if arguments.no_password else _asked_password(arguments.password_stdin)
    new = users.put_user(arguments.name, password, arguments.role)
    how = "comes in through a proxy" if password is None else "can sign in"
    role = users.users()[arguments.name].role
    print(f"{arguments.name} {how} as {role}{'' if new else ' now'}; this stands in {users.path}.")
    return 0


def _change_password(arguments: argparse.Namespace) -> int:
    users = _users()
    users.user(arguments.name)  # before anybody is asked for a password
    users.change_password(arguments.name, _asked_password(arguments.password_stdin))
    print(f"{arguments.name} has another password; all their sessions have ended.")
    return 0


def _change_role(arguments: argparse.Namespace) -> int:
    _users().change_role(arguments.name, arguments.role)
    print(f"{arguments.name} is {'an' if arguments.role == 'editor' else 'a'} {arguments.role} from now on.")
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
    users = _users()
    for name, user in sorted(users.users().items()):
        print(f"{name}  {user.role}  since {user.created}{'' if user.password else '  through a proxy'}")
    if not users.users():
        print(f"There are no users in {users.path}.", file=sys.stderr)
    return 0


def _add_token(arguments: argparse.Namespace) -> int:
    text = _users().add_token(arguments.name, arguments.role or "viewer")
    print(text)
    print("It is shown this once. Send it as: Authorization: Bearer TOKEN", file=sys.stderr)
    return 0


def _remove_token(arguments: argparse.Namespace) -> int:
    _users().remove_token(arguments.name)
    print(f"The token {arguments.name} is out of force.")
    return 0


def _list_tokens(arguments: argparse.Namespace) -> int:
    users = _users()
    for name, token in sorted(users.tokens().items()):
        print(f"{name}  {token.role}  since {token.created}")
    if not users.tokens():
        print(f"There are no tokens in {users.path}.", file=sys.stderr)
    return 0
