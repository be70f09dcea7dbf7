"""Options that commands share, and how their values are read."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import InputError
from harness.results.names import name_fault
from harness.runs import outside
from harness.runs.plan import MOST_COUNTED, MOST_SECONDS, MOST_SEED
from harness.worker import catalogue


def whole(least: int, most: int = MOST_COUNTED) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` to `most`, whose errors say what came in."""

    def read(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise typer.BadParameter(f"a whole number is wanted, got {_cut(str(value))}.") from None
        if number > most:
            raise typer.BadParameter(f"a whole number up to {most} is wanted, got {_cut(str(value))}.")
        if number < least:
            raise typer.BadParameter(f"a whole number from {least} up is wanted, got {number}.")
        return number

    return read


def positive(what: str, *, below: float = float("inf")) -> Callable[[str], float]:
    """Return a reader of positive numbers under a limit, whose errors say what was wanted and what came in."""

    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not 0 < number < below:
            limit = f" under {below:,.0f}" if below < float("inf") else ""
            raise typer.BadParameter(f"a positive {what}{limit} is wanted, got {_cut(str(value))}.")
        return number

    return read


def _cut(value: str) -> str:
    """What came in, for a message."""
    return repr(value if len(value) <= 60 else f"{value[:60]}...")


seconds = positive("number of seconds", below=MOST_SECONDS)


class Sizes(tuple[int, ...]):
    """Batch sizes. A class of its own, because typer takes a plain tuple for an option of several values."""


def sizes(value: str) -> Sizes:
    """Read `1,8,64`, or `none`."""
    return Sizes() if value == "none" else several(value)


def several(value: str) -> Sizes:
    """Read `64` or `32,64,256`."""
    read = whole(1)
    return Sizes(sorted({read(part.strip()) for part in str(value).split(",")}))


def parse_pythons(values: list[str], *, here: Iterable[str] = ()) -> dict[str, str]:
    """Read `--python torch=/path/to/python`; also a path from here, from `~`, or a program's name alone.

    Args:
        here: backends that run in the environment of lenet-bench itself (`--here`), unless another is given.

    Raises:
        InputError: no such form, no such backend, or no such program.
    """
    found = dict.fromkeys(here, sys.executable)
    for value in values:
        name, equals, path = value.partition("=")
        if not equals:
            raise InputError(f"--python takes BACKEND=INTERPRETER, got {value!r}.")
        catalogue.facts(name)
        found[name] = python_at(f"--python {name}", path, between="=")
    return found


def python_at(option: str, path: str, *, between: str = " ") -> str:
    """The absolute path of an interpreter: workers run in a folder of their own. Links stay: a venv's is one.

    Raises:
        InputError: there is none.
    """
    value = f"{option}{between}{path}"
    try:
        found = shutil.which(path) if path and os.sep not in path else str(Path(path).expanduser().absolute())
    except RuntimeError as error:
        raise InputError(f"{value}: {error}") from None
    if not path or not found or not os.path.isfile(found):
        raise InputError(f"{value}: there is no such interpreter. Give the path of a Python.")
    return found


def _announced(values: list[str] | None) -> list[str] | None:
    """Before --backend is read: a name that is new may be one that a package there brings."""
    for value in values or []:
        name, _, path = value.partition("=")
        with contextlib.suppress(InputError):
            outside.announce_given(name, python_at("--python", path))
    return values


def run_name(value: str) -> str:
    """Read `--name`: a folder's name that leads nowhere else, and that everything that shows it can show.

    Raises:
        InputError: it is none; with what is wrong with it.
    """
    if reason := name_fault(value):
        raise InputError(f"--name {_cut(value)} {reason}. Give letters, digits, and . _ - or spaces between them.")
    return value


Backends = Annotated[
    list[str], typer.Option("--backend", "-b", help="Backends: names with commas, or all (the five frameworks).")
]
NetworkName = Annotated[
    str, typer.Option("--network", help="A network of `lenet-bench list`. [default: the recipe's, or lenet5]")
]
RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe", help="How the network is trained: a recipe of `lenet-bench list`. [default: the network's]"
    ),
]
DataSet = Annotated[
    str,
    typer.Option("--data-set", help="mnist, fashion-mnist, cifar-10 or drawn-digits. [default: mnist, if it is there]"),
]
DataDir = Annotated[
    str | None,
    typer.Option(
        "--data-dir", envvar="LENET_BENCH_DATA", help="Folder that holds mnist/, fashion-mnist/ or cifar-10/."
    ),
]
Mode = Annotated[
    str | None,
    typer.Option("--mode", help="How backends execute: torch:eager,jax:jit, or all. [default: each one's first]"),
]
Feed = Annotated[
    str,
    typer.Option(
        "--feed", help="host hands each batch over, device keeps the data set on the device; host,device is both."
    ),
]
Device = Annotated[str, typer.Option("--device", help="Where to compute: cpu or gpu.")]
Dtype = Annotated[str, typer.Option("--dtype", help="Precision: float32, float64 or bfloat16 (mixed).")]
Tf32 = Annotated[bool, typer.Option("--tf32", help="Let a GPU multiply float32 numbers in TF32. The rows say tf32.")]
Threads = Annotated[
    int, typer.Option("--threads", parser=whole(1), metavar="N", help="Number of threads, and of CPUs to run on.")
]
ThreadsSweep = Annotated[
    Sizes, typer.Option("--threads", parser=several, metavar="N,N", help="Number of threads, and of CPUs to run on.")
]
Replicas = Annotated[
    int,
    typer.Option("--replicas", parser=whole(1), metavar="N", help="Copies of the model that share out each batch."),
]
ReplicasSweep = Annotated[
    Sizes,
    typer.Option(
        "--replicas", parser=several, metavar="N,N",
        help="Copies of the model that share out each batch, on --threads CPUs each.",
    ),
]  # fmt: skip
BatchSizeSweep = Annotated[
    Sizes | None,
    typer.Option(
        "--batch-size", parser=several, metavar="N,N", help="Images in a training step. [default: the recipe's]"
    ),
]
Environment = Annotated[
    str, typer.Option("--environment", help="controlled, or native, which leaves your variables and CPUs as they are.")
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", parser=whole(0, MOST_SEED), metavar="N", help="Decides initial weights and the order of images."
    ),
]
Results = Annotated[Path, typer.Option("--results-dir", help="Folder that runs are written into.")]
Timeout = Annotated[
    float, typer.Option("--launch-timeout", parser=seconds, metavar="S", help="Kill a launch after so many seconds.")
]
Versions = Annotated[
    list[str] | None,
    typer.Option(
        "--versions", metavar="V,V",
        help="Compare versions of a framework: torch=2.12.1,2.13.0. [default: what is installed]",
    ),
]  # fmt: skip
# What runs of before call it, in their reports and records.
OldVersions = Annotated[
    list[str] | None,
    typer.Option("--framework-version", metavar="V,V", hidden=True, help="The older name of --versions."),
]
Strict = Annotated[bool, typer.Option("--strict", help="End with exit code 3 where something disturbed the timing.")]
Base = Annotated[
    str,
    typer.Option("--base", help="What all others are compared with: torch, or 'torch eager'. [default: the fastest]"),
]
Pythons = Annotated[
    list[str] | None,
    typer.Option(
        "--python", help="Use this Python for a backend: torch=/path/to/python; repeat it.", callback=_announced,
        is_eager=True,
    ),
]  # fmt: skip
Here = Annotated[bool, typer.Option("--here", help="Run in the environment that lenet-bench itself is installed in.")]
