"""`lenet-bench backend`: records where a backend's framework is, once."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.commands.options import python_at
from harness.errors import InputError
from harness.runs import interpreters, outside
from harness.runs.wheels import VERSION
from harness.worker import catalogue, places
from harness.worker.job import installation

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def backend() -> None:
    """Record the environment of a backend from outside, or of your own build of a framework.

    Examples:

    - `lenet-bench backend add mine --python /envs/mine/bin/python`
    - `lenet-bench backend add --help`
    """


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The backend, or a version of it: NAME==2.0.", metavar="NAME[==VERSION]")],
    python: Annotated[str, typer.Option("--python", metavar="PATH", help="The Python of the environment.")],
) -> None:
    """Record which Python runs a backend, so that `--python` need not be typed again.

    The backend's code may be in a package that is installed there, or in a folder of LENET_BENCH_BACKENDS, or it may be
    lenet-bench's own. A name with a version records one more environment: `run --versions NAME=1.0,2.0` times both.

    Examples:

    - `lenet-bench backend add mine --python /envs/mine/bin/python`
    - `lenet-bench backend add mine==2.0 --python /envs/mine-2.0/bin/python`
    - `lenet-bench backend add torch --python ~/nightly/bin/python`
    """
    name, equals, version = name.partition("==")
    if equals and not VERSION.fullmatch(version):
        raise InputError(f"A version such as 2.0 is wanted behind {name}==, got {version!r}.")
    path = python_at("--python", python)
    if name not in places.names():
        _take_from(name, path)
    catalogue.facts(name)
    found = interpreters.find(name, given={name: path})
    if version and not interpreters.same_version(found.version, version):
        raise InputError(f"{path} has version {found.version} of {name}, not {version}.")
    interpreters.record(installation(name, version), path)
    options = f" --versions {name}={version}" if version else ""
    print(f"Recorded {installation(name, version)}: version {found.version} in {path}")
    print(f"next: lenet-bench verify -b {name}, then lenet-bench run -b {name}{options}")


def _take_from(name: str, path: str) -> None:
    """Announce the package in an environment that brings a backend, or say what there is."""
    there = outside.in_environment(path)
    if name not in there:
        names = ", ".join(there) or "none"
        raise InputError(
            f"No package where {path} is brings a backend {name!r}. It has: {names}. Install it there ({path} -m pip "
            "install ...), or name the folder that holds its code: LENET_BENCH_BACKENDS."
        )
    places.announce(places.announced() | {name: there[name]})
