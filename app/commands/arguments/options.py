"""Groups of flags that several commands take, and what they mean."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mloscope.app.commands.arguments import values

if TYPE_CHECKING:
    from mloscope.adaptors.interface import RunOptions
    from mloscope.app.accounts.users import UserFile
    from mloscope.app.process.settings import Settings


def add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", metavar="NAME", help="the adaptor that reads it (mloscope adaptors lists them)")
    parser.add_argument(
        "--step-pattern", metavar="REGEX", help='finds the step in file names, such as "epoch-([0-9]+)"'
    )
    parser.add_argument("--architecture", metavar="WHERE", help="a model.json or .keras file, or module:function")
    parser.add_argument(
        "--custom-objects", metavar="MODULE", help="a module with the classes and functions of a Keras network of yours"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run code that the files contain (Lambda layers); only if you trust their author",
    )


def add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=values.port, metavar="NUMBER", help="port to listen on; 0 takes any (default: 8050)"
    )
    parser.add_argument(
        "--url-prefix",
        type=values.url_prefix,
        metavar="PATH",
        help="path under which a proxy serves this server, such as /tools/mloscope",
    )
    parser.add_argument("--unprotected", action="store_true", help="accept anyone who can connect, without sign-in")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")


def add_network_options(parser: argparse.ArgumentParser) -> None:
    add_run_options(parser)
    add_preprocessing(parser)


def add_preprocessing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", type=values.scale, metavar="NUMBER", help="factor for pixels 0..255, such as 1/255")
    parser.add_argument(
        "--mean", type=values.mean, metavar="MEAN",
        help='subtracted after scaling: a number, one per channel ("0.5,0.5,0.5"), a .npy file, a mean image '
        '(.binaryproto of Caffe, batches.meta of cuda-convnet), or "corpus" '
        "for the mean image of the training split",
    )  # fmt: skip
    parser.add_argument("--channel-order", choices=("rgb", "bgr"), help="channel order of the network's input")
    parser.add_argument(
        "--output", metavar="LAYER", help="the layer that gives the classes (default: the network's declared output)"
    )
    parser.add_argument(
        "--classes", type=values.classes, metavar="FILE",
        help="names of the network's classes, in the order of its outputs: a file with a name per line or JSON",
    )  # fmt: skip


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The environment's settings, with the flags before them."""
    from mloscope.app.process.settings import ABOUT_SERVING, Settings

    flags = {
        "host": arguments.host,
        "port": arguments.port,
        "url_prefix": arguments.url_prefix,
        "unprotected": arguments.unprotected or None,
    }
    said = {name: value for name, value in flags.items() if value is not None}
    unread = ABOUT_SERVING if getattr(arguments, "train_only", False) else said
    return replace(Settings.from_environment(os.environ, but=unread), **said)


def run_options_of(arguments: argparse.Namespace) -> RunOptions:
    from mloscope.adaptors.interface import RunOptions
    from mloscope.app.workspace.entries import check_step_pattern, make_preprocessing

    if arguments.step_pattern is not None:
        check_step_pattern(arguments.step_pattern)
    architecture = arguments.architecture
    if architecture is not None and not re.fullmatch(r"[\w.]+:[\w.]+", architecture):
        architecture = str(Path(architecture).expanduser().absolute())
    said = {name: getattr(arguments, name, None) for name in ("scale", "mean", "channel_order")}
    return RunOptions(
        step_pattern=arguments.step_pattern,
        architecture=architecture,
        preprocessing=make_preprocessing(**said) if any(value is not None for value in said.values()) else None,
        class_names=getattr(arguments, "classes", None) or (),
        output=getattr(arguments, "output", None),
        custom_objects=arguments.custom_objects,
        trust=arguments.trust,
    )


def add_images(parser: argparse.ArgumentParser, help: str, required: bool = True) -> None:
    """Add the corpus."""
    parser.add_argument("--images", metavar="CORPUS", type=Path, required=required, help=help)
    parser.add_argument("--images-format", metavar="NAME", help="the adaptor that reads CORPUS")


def add_run_and_images(parser: argparse.ArgumentParser, images: str) -> None:
    """Add what :func:`mloscope.app.commands.arguments.opened_subject.open_subject` opens."""
    parser.add_argument("run", metavar="RUN", type=Path, help="a folder of checkpoints, or one file")
    add_images(parser, images)
    parser.add_argument("--split", metavar="NAME", help="which images of it (default: test, else the last split)")
    add_network_options(parser)


def add_watched_folder(parser: argparse.ArgumentParser, as_corpus: str) -> None:
    """Add which server of this machine is meant, or which folder it watches."""
    parser.add_argument("--as-corpus", action="store_true", help=as_corpus)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--port", metavar="NUMBER", type=int, help="port of your server, if you run several")
    where.add_argument(
        "--watched", metavar="FOLDER", type=Path,
        help="the folder that the server watches (default: that of your server, or MLOSCOPE_WATCH_RUNS, _CORPORA)",
    )  # fmt: skip


ROLES = ("viewer", "editor")
ROLES_HELP = "a viewer reads; an editor also starts jobs"


def add_role(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--role", choices=ROLES, help=f"{ROLES_HELP} (default: viewer)")


def users_of_settings() -> UserFile:
    """Return the file of users and tokens that the settings name."""
    from mloscope.app.accounts.users import user_file
    from mloscope.app.process.settings import ABOUT_SERVING, Settings

    return user_file(Settings.from_environment(os.environ, but=ABOUT_SERVING), os.environ)
