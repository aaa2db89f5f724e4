"""``mloscope token``: which programs may ask a server that others can reach."""

from __future__ import annotations

import argparse
import sys

from mloscope.app.commands.arguments.options import add_role, users_of_settings

DESCRIPTION = "Tokens for programs, sent as Authorization: Bearer TOKEN. Shown once and stored as a hash."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = commands.add_parser(
        "add", help="create a token and print it", description="Create a token and print it, once."
    )
    add.add_argument("name", metavar="NAME", help="what it is for")
    add_role(add)
    add.set_defaults(command=_add_token)
    remove = commands.add_parser("remove", help="revoke a token", description="Revoke a token immediately.")
    remove.add_argument("name", metavar="NAME", help="which")
    remove.set_defaults(command=_revoke_token)
    listing = commands.add_parser("list", help="list tokens and roles", description="List tokens and roles.")
    listing.set_defaults(command=_list_tokens)


def _add_token(arguments: argparse.Namespace) -> int:
    text = users_of_settings().add_token(arguments.name, arguments.role or "viewer")
    print(text)
    print("It is shown only once. Send it as: Authorization: Bearer TOKEN", file=sys.stderr)
    return 0


def _revoke_token(arguments: argparse.Namespace) -> int:
    users_of_settings().remove_token(arguments.name)
    print(f"Token {arguments.name} revoked.")
    return 0


def _list_tokens(arguments: argparse.Namespace) -> int:
    users = users_of_settings()
    for name, token in sorted(users.tokens().items()):
        print(f"{name}  {token.role}  since {token.created}")
    if not users.tokens():
        print(f"There are no tokens in {users.path}.", file=sys.stderr)
    return 0
