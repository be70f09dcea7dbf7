"""`lenet-bench install`: makes backends' environments where there is no nox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from harness.commands.options import python_at
from harness.errors import InputError, unknown
from harness.runs import installing, sources
from harness.runs.entrants import parse_backends, parse_versions
from harness.runs.installing import Made, Wanted
from harness.runs.pip_progress import Progress, megabytes
from harness.runs.sources import Asked
from harness.tables import layout

DEVICES = ("cpu", "gpu")


def install(
    backends: Annotated[
        list[str],
        typer.Argument(
            help="Frameworks: NAME, NAME==VERSION, NAME@git+URL, NAME@path.whl, NAME@path/to/checkout; or all.",
            metavar="BACKEND...",
        ),
    ],
    device: Annotated[str, typer.Option("--device", help="Install wheels for cpu or gpu.")] = "cpu",
    framework_version: Annotated[
        list[str] | None,
        typer.Option(
            "--framework-version",
            metavar="V,V",
            help="Other versions, each in its own environment. [default: the pinned]",
        ),
    ] = None,
    with_python: Annotated[
        str,
        typer.Option(
            "--with-python", metavar="PATH", help="Python that makes the environments. [default: lenet-bench's own]"
        ),
    ] = "",
) -> None:
    """Make a framework's environment: a venv with the pinned packages, which `run` finds by itself.

    The environment is in your data folder (~/.local/share/lenet-bench/environments). It is made anew where the pinned
    versions have changed. To remove the environment, delete its folder. In a checkout, nox does the same:
    `nox -s bench-torch`. The wheels for a GPU take several gigabytes, and have an environment of their own. `all`
    leaves out what cannot be installed on this machine, and names it.

    A build of your own (a wheel, a checkout or a git repository) has an environment of its own, made anew each time.
    The name of its version ends with the commit, `2.14.0+g3fa9c1d2e4b5`. Give this name to `run --versions`. A
    framework whose backend comes from a package or a folder of yours is installed in the same way.

    Examples:

    - `lenet-bench install torch`
    - `lenet-bench install all`
    - `lenet-bench install torch jax --device gpu`
    - `lenet-bench install jax==0.10.1 jax==0.10.2`
    - `lenet-bench install torch@~/src/pytorch torch@nightly.whl`
    - `lenet-bench install mine@git+https://example.org/mine.git`
    - `lenet-bench install mxnet --with-python /usr/bin/python3.11`
    """
    if device not in DEVICES:
        raise unknown("device", device, DEVICES)
    given = [each for argument in backends for each in sources.parse(argument)]
    names = parse_backends([each.name for each in given])
    versions = parse_versions(framework_version or [], names)
    python = python_at("--with-python", with_python) if with_python else ""
    console = layout.stderr()
    wanted = []
    for name in names:
        try:
            those = _wanted(name, given, versions.get(name, ()), python, gpu=device == "gpu")
            for each in those:
                installing.check(each)
            wanted += those
        except InputError as error:
            if "all" not in ",".join(backends).split(","):
                raise
            console.print(f"LEFT OUT: {error}", style="bold red", soft_wrap=True)
    made = []
    for each in wanted:
        made.append(installing.install(each, Progress(console)))
        print(_sentence(made[-1]))
    if made:
        names = list(dict.fromkeys(each.backend for each in wanted))
        print(f"next: lenet-bench run -b {','.join(names)}{_builds(made)}{_on(device)}")


def _wanted(name: str, given: list[Asked], versions: Sequence[str], python: str, *, gpu: bool) -> list[Wanted]:
    """The environments of one backend that are asked for: of its versions and builds, and of the pinned version."""
    asked = [each for each in given if each.name in (name, "all")]
    builds = [each for each in asked if each.version or each.source]
    plain = [Asked(name)] if len(builds) < len(asked) and not versions else []
    maker = python or installing.choose_python(name)
    return [
        Wanted(name, maker, each.version, gpu=gpu, source=each.source, commit=each.commit)
        for each in [*plain, *builds, *(Asked(name, version) for version in versions)]
    ]


def _builds(made: list[Made]) -> str:
    """The versions and builds that were asked for, by which `run` takes them."""
    found: dict[str, list[str]] = {}
    for each in made:
        if each.wanted.source or each.wanted.version:
            found.setdefault(each.wanted.backend, []).append(each.wanted.version or each.version)
    return "".join(f" --versions {name}={','.join(versions)}" for name, versions in found.items())


def _on(device: str) -> str:
    return " --device gpu" if device == "gpu" else ""


def _sentence(made: Made) -> str:
    how = f"is installed, in {made.seconds:.0f} s" if made.seconds else "is there already"
    kind = " for a GPU" if made.wanted.requirements != made.wanted.backend else ""
    return f"{made.wanted.backend} {made.version}{kind} {how}: {megabytes(made.size)} in {made.wanted.folder}"
