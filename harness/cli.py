"""The command line: options, help, exit codes. Standard output has results, standard error has progress."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

import harness
from harness import catalogue, commands, interpreters, tables
from harness.data import describe_datasets, load_dataset
from harness.errors import InputError, LenetBenchError, Regression
from harness.network import NETWORKS, get_network
from harness.recipe import LENET5

app = typer.Typer(
    name="lenet-bench",
    help="The identical LeNet-5 in five frameworks: proven identical, timed alike.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def whole(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` up, whose errors say what came in."""

    def read(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise typer.BadParameter(f"a whole number is wanted, got {str(value)!r}.") from None
        if number < least:
            raise typer.BadParameter(f"a whole number from {least} up is wanted, got {number}.")
        return number

    return read


def seconds(value: str) -> float:
    """Read a positive number of seconds."""
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not number > 0:
        raise typer.BadParameter(f"a positive number of seconds is wanted, got {str(value)!r}.")
    return number


Backends = Annotated[
    list[str], typer.Option("--backend", "-b", help="A backend; repeat it, separate by commas, or say all.")
]
NetworkName = Annotated[str, typer.Option("--network", help="Layer table; see `lenet-bench list`.")]
DataSet = Annotated[
    str,
    typer.Option("--data-set", help="mnist, fashion-mnist or drawn-digits. [default: mnist if it can be had]"),
]
DataDir = Annotated[
    str | None,
    typer.Option("--data-dir", envvar="LENET_BENCH_DATA", help="Folder that holds mnist/ and so on."),
]
Mode = Annotated[str | None, typer.Option("--mode", help="How the backend executes. [default: the backend's first]")]
Feed = Annotated[str, typer.Option("--feed", help="host: hand over each batch; device: keep the data set there.")]
Device = Annotated[str, typer.Option("--device", help="cpu or gpu.")]
Dtype = Annotated[str, typer.Option("--dtype", help="float32 or float64.")]
Threads = Annotated[
    int, typer.Option("--threads", parser=whole(1), metavar="N", help="Threads, and CPUs to be pinned to.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", parser=whole(1), metavar="N", help="Images a training step.")]
Environment = Annotated[
    str, typer.Option("--environment", help="controlled, or native: your variables and CPUs as they are.")
]
Seed = Annotated[int, typer.Option("--seed", parser=whole(0), metavar="N", help="Of weights and order of images.")]
Results = Annotated[Path, typer.Option("--results-dir", help="Where runs go.")]
Timeout = Annotated[
    float, typer.Option("--launch-timeout", parser=seconds, metavar="S", help="Seconds after which a launch is killed.")
]
Pythons = Annotated[
    list[str] | None, typer.Option("--python", help="BACKEND=INTERPRETER, in place of the one that nox made.")
]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """The identical LeNet-5 in five frameworks: proven identical, timed alike."""
    if version:
        print(f"lenet-bench {harness.__version__}")
        raise typer.Exit


@app.command()
def run(
    backend: Backends = None,  # type: ignore[assignment]
    network: NetworkName = "lenet5",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    mode: Mode = None,
    feed: Feed = "host",
    device: Device = "cpu",
    dtype: Dtype = "float32",
    threads: Threads = 1,
    batch_size: BatchSize = LENET5.batch_size,
    epochs: Annotated[
        int, typer.Option(parser=whole(0), metavar="N", help="Epochs to train for the accuracy, 0 for none.")
    ] = LENET5.epochs,
    rounds: Annotated[
        int, typer.Option(parser=whole(1), metavar="N", help="Launches of each backend; four or more for a verdict.")
    ] = 5,
    seeds: Annotated[
        int, typer.Option(parser=whole(1), metavar="N", help="How many of the rounds train epochs, each its own seed.")
    ] = 1,
    seed: Seed = 0,
    steady_s: Annotated[
        float, typer.Option(parser=seconds, metavar="S", help="Seconds of steady training to time, at least.")
    ] = 2.0,
    environment: Environment = "controlled",
    results_dir: Results = Path("results"),
    name: Annotated[str | None, typer.Option(help="Name of the run's folder. [default: the time]")] = None,
    resume: Annotated[Path | None, typer.Option(help="A run's folder to go on with, by its own plan.")] = None,
    launch_timeout: Timeout = 900,
    python: Pythons = None,
) -> None:
    """Time and train backends; write a run under results/; print its tables.

    Examples:

    - `lenet-bench run -b torch`
    - `lenet-bench run -b all --rounds 8 --epochs 0`
    - `lenet-bench run -b torch,jax --threads 2 --batch-size 256`
    - `lenet-bench run --resume results/2026-11-20T10-00-00-torch`
    """
    pythons = commands.parse_pythons(python or [])
    if resume:
        raise typer.Exit(commands.resume_run(resume, pythons=pythons))
    if not backend:
        raise InputError("Which backend? Give --backend torch, say, or --backend all.")
    fields: dict[str, Any] = {
        "network": get_network(network).name, "feed": feed, "device": device, "dtype": dtype,
        "batch_size": batch_size, "environment": environment, "threads": threads,
    }  # fmt: skip
    entrants = [commands.make_entrant(each, mode=mode, **fields) for each in commands.parse_backends(backend)]
    plan = commands.default_plan(
        entrants, data_set=data_set, data_dir=data_dir, rounds=rounds, seeds=seeds, seed=seed, epochs=epochs,
        steady_s=steady_s, launch_timeout_s=launch_timeout,
    )  # fmt: skip
    raise typer.Exit(commands.new_run(plan, results=results_dir, name=name, pythons=pythons))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders under results/.", metavar="RUN...")],
) -> None:
    """Join runs into one table; refuse what cannot be compared, with the reason.

    Entrants of one run are paired by round. Between runs nothing is paired, so the intervals are wider.

    Examples:

    - `lenet-bench compare results/A`
    - `lenet-bench compare results/A results/B`
    """
    commands.compare_runs(runs)


@app.command()
def verify(
    backend: Backends,
    network: NetworkName = "lenet5",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    mode: Mode = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    threads: Threads = 1,
    seed: Seed = 0,
    launch_timeout: Timeout = 900,
    python: Pythons = None,
) -> None:
    """Prove that a backend computes what the float64 reference computes: exit code 1 if it does not.

    Compares logits, loss, every gradient, the losses of 20 steps and the weights after 1 and 20 steps of SGD with
    momentum. Each tolerance is measured: 8 times the largest error of the reference itself in the backend's
    precision over 8 orders of summation.

    Examples:

    - `lenet-bench verify -b torch`
    - `lenet-bench verify -b all --dtype float64`
    """
    entrants = [
        commands.make_entrant(
            each, mode=mode, environment="controlled", threads=threads, network=get_network(network).name,
            feed="host", device=device, dtype=dtype, batch_size=LENET5.batch_size,
        )
        for each in commands.parse_backends(backend)
    ]  # fmt: skip
    pythons = commands.parse_pythons(python or [])
    failed = []
    for entrant, checks in commands.verify(
        entrants, data_set=data_set, data_dir=data_dir, seed=seed, timeout_s=launch_timeout, pythons=pythons
    ):
        tables.show_checks(tables.stdout(), f"{entrant.label} {dtype}", checks)
        failed += [] if all(check.passed for check in checks) else [entrant.backend]
    if failed:
        raise Regression(f"Verification failed for {', '.join(failed)}: not the computation of the reference.")


@app.command()
def gate(
    backend: Backends,
    network: NetworkName = "lenet5",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    epochs: Annotated[int, typer.Option(parser=whole(1), metavar="N", help="Epochs of the brief training.")] = 2,
    seeds: Annotated[
        int, typer.Option(parser=whole(1), metavar="N", help="Trainings of each backend, each its own seed.")
    ] = 2,
    seed: Seed = 1000,
    threads: Threads = 1,
    baseline: Annotated[Path, typer.Option(help="What the accuracies are held against.")] = Path(
        "results/baselines/accuracy.csv"
    ),
    write_baseline: Annotated[bool, typer.Option(help="Make these trainings the baseline instead.")] = False,
    results_dir: Results = Path("results"),
    launch_timeout: Timeout = 900,
    python: Pythons = None,
) -> None:
    """Train briefly and fail (exit code 1) where a backend is less accurate than its baseline allows.

    The bound is a one-sided prediction bound from the baseline's seeds: an honest backend falls below it in one
    gate of a thousand. Exit code 2: the baseline has no row for what was asked.

    Examples:

    - `lenet-bench gate -b all`
    - `lenet-bench gate -b torch --epochs 2 --seeds 4`
    - `lenet-bench gate -b all --write-baseline --seeds 10 --epochs 5 --seed 0`
    """
    entrants = [
        commands.make_entrant(
            each, mode=None, environment="controlled", threads=threads, network=get_network(network).name,
            feed="host", device="cpu", dtype="float32", batch_size=LENET5.batch_size,
        )
        for each in commands.parse_backends(backend)
    ]  # fmt: skip
    plan = commands.default_plan(
        entrants, data_set=data_set, data_dir=data_dir, rounds=seeds, seeds=seeds, seed=seed, epochs=epochs,
        timing=False, launch_timeout_s=launch_timeout,
    )  # fmt: skip
    outcomes = commands.run_gate(
        plan,
        results=results_dir,
        baseline=baseline,
        write=write_baseline,
        pythons=commands.parse_pythons(python or []),
    )
    for outcome in outcomes:
        print(outcome.sentence)
    if write_baseline:
        print(f"Wrote {baseline}.")
    commands.stop_if_failed(outcomes)


@app.command()
def data(
    get: Annotated[str | None, typer.Option("--get", metavar="NAME", help="Find or download, verify, cache.")] = None,
    data_dir: DataDir = None,
    contact_sheet: Annotated[Path | None, typer.Option(help="Write a PNG of 100 drawn digits here.")] = None,
) -> None:
    """Show which data sets are here; get one; draw the embedded digits' contact sheet.

    Examples:

    - `lenet-bench data`
    - `lenet-bench data --get mnist`
    - `lenet-bench data --contact-sheet digits.png`
    """
    folder = Path(data_dir) if data_dir else None
    console = tables.stdout()
    if get:
        dataset = load_dataset(get, data_dir=folder)
        console.print(f"{dataset.name}: {len(dataset.train_labels):,} + {len(dataset.test_labels):,} images, verified")
        console.print(f"from {dataset.source}", soft_wrap=True, markup=False)
    elif contact_sheet:
        from harness.contact_sheet import contact_sheet as draw

        dataset = load_dataset("drawn-digits")
        draw(contact_sheet, images=dataset.train_images, labels=dataset.train_labels)
        console.print(f"Wrote {contact_sheet}", markup=False, soft_wrap=True)
    else:
        table = Table("name", "here", "train", "test", "where", box=None, pad_edge=False, header_style="bold")
        for row in describe_datasets(folder):
            place = Text(row.place)
            table.add_row(row.name, "yes" if row.present else "no", f"{row.train:,}", f"{row.test:,}", place)
        console.print(table)


@app.command("list")
def list_(
    network: Annotated[str | None, typer.Option("--network", help="Print this network's layer table.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The map of interpreters, as JSON.")] = False,
) -> None:
    """Show backends with versions and modes, networks and data sets.

    Examples:

    - `lenet-bench list`
    - `lenet-bench list --network lenet5`
    """
    console = tables.stdout()
    if network:
        tables.show_network(console, get_network(network))
    elif as_json:
        print(commands.show_interpreters(), end="")
    else:
        _list_backends(console)
        console.print(f"\nnetworks: {', '.join(NETWORKS)}   (lenet-bench list --network NAME)")
        console.print("data sets: see lenet-bench data")
        console.print(f"interpreters: {interpreters.map_path()}", markup=False, soft_wrap=True)


def _list_backends(console: Console) -> None:
    table = Table("backend", "version", "devices", "mode", "", box=None, pad_edge=False, header_style="bold")
    for name in catalogue.names():
        facts = catalogue.facts(name)
        try:
            version = interpreters.find(name).version
        except InputError:
            version = f"no: nox -s bench-{name}"
        for number, (mode, sentence) in enumerate(facts.MODES.items()):
            first = [name, version, ", ".join(facts.DEVICES)] if number == 0 else ["", "", ""]
            table.add_row(*first, mode, sentence)
    console.print(table)


def main() -> None:
    """Run the command line; end with the exit codes of the README."""
    # A polite kill ends as Ctrl-C does: rows kept, no worker left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except LenetBenchError as error:
        Console(stderr=True, highlight=False).print(Text(f"lenet-bench: {error}", style="red"), soft_wrap=True)
        log = getattr(error, "log", "")
        if log:
            print(log, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(commands.INTERRUPTED)
