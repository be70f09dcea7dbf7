"""`lenet-bench install`: makes backends' environments where there is no nox."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.commands.options import python_at
from harness.errors import InputError, unknown
from harness.runs import installing
from harness.runs.entrants import parse_backends, parse_versions
from harness.runs.installing import Made, Wanted
from harness.runs.pip_progress import Progress, megabytes
from harness.tables import layout

DEVICES = ("cpu", "gpu")


def install(
    backends: Annotated[
        list[str], typer.Argument(help="Frameworks: names with spaces or commas, or all.", metavar="BACKEND...")
    ],
    device: Annotated[str, typer.Option("--device", help="cpu or gpu: whose wheels.")] = "cpu",
    framework_version: Annotated[
        list[str] | None,
        typer.Option(
            "--framework-version", metavar="V,V", help="Other versions, each its own environment. [default: the pinned]"
        ),
    ] = None,
    with_python: Annotated[
        str,
        typer.Option("--with-python", metavar="PATH", help="Interpreter that makes them. [default: lenet-bench's own]"),
    ] = "",
) -> None:
    """Make a framework's environment: a venv with the pinned packages, which `run` then finds by itself.

    It stands in your data folder (~/.local/share/lenet-bench/environments) and is made anew where the pins have
    changed. Deleting its folder removes it. In a checkout nox does the same: `nox -s bench-torch`. A GPU has other
    wheels, of several gigabytes, in an environment of their own. What cannot be had on this machine is left out of
    `all`, and named.

    Examples:

    - `lenet-bench install torch`
    - `lenet-bench install all`
    - `lenet-bench install torch jax --device gpu`
    - `lenet-bench install jax --framework-version 0.10.1,0.10.2`
    - `lenet-bench install mxnet --with-python /usr/bin/python3.11`
    """
    if device not in DEVICES:
        raise unknown("device", device, DEVICES)
    names = parse_backends(backends)
    versions = parse_versions(framework_version or [], names)
    python = python_at("--with-python", with_python) if with_python else ""
    console = layout.stderr()
    wanted = []
    for name in names:
        try:
            given = python or installing.choose_python(name)
            those = [Wanted(name, given, version, gpu=device == "gpu") for version in versions.get(name, ("",))]
            for each in those:
                installing.check(each)
            wanted += those
        except InputError as error:
            if "all" not in ",".join(backends).split(","):
                raise
            console.print(f"LEFT OUT: {error}", style="bold red", soft_wrap=True)
    for each in wanted:
        print(_sentence(installing.install(each, Progress(console))))
    if wanted:
        print(f"next: lenet-bench run -b {','.join(dict.fromkeys(each.backend for each in wanted))}{_on(device)}")


def _on(device: str) -> str:
    return " --device gpu" if device == "gpu" else ""


def _sentence(made: Made) -> str:
    how = f"is installed, in {made.seconds:.0f} s" if made.seconds else "is there already"
    kind = " for a GPU" if made.wanted.requirements != made.wanted.backend else ""
    return f"{made.wanted.backend} {made.version}{kind} {how}: {megabytes(made.size)} in {made.wanted.folder}"
