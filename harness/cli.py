"""The command line: options, help, exit codes. Standard output has results, standard error has progress."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

import harness
from harness import checks, commands, doctor, listings, selftest, tables
from harness.entrants import make_entrants, parse_backends, precision_of
from harness.errors import InputError, LenetBenchError, Regression, unknown
from harness.network import get_network
from harness.options import (
    Backends,
    Base,
    BatchSizeSweep,
    DataDir,
    DataSet,
    Device,
    Dtype,
    Environment,
    Feed,
    Mode,
    NetworkName,
    Pythons,
    Results,
    Seed,
    Sizes,
    Tf32,
    Threads,
    ThreadsSweep,
    Timeout,
    positive,
    seconds,
    sizes,
    whole,
)
from harness.plan import PRESETS
from harness.recipe import LENET5

app = typer.Typer(
    name="lenet-bench",
    help="The identical LeNet-5 in five frameworks: proven identical, timed alike.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


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
    preset: Annotated[str, typer.Option(help="quick, standard or thorough: rounds, precision, budget.")] = "standard",
    network: NetworkName = "lenet5",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    mode: Mode = None,
    feed: Feed = "host",
    device: Device = "cpu",
    dtype: Dtype = "float32",
    tf32: Tf32 = False,
    threads: ThreadsSweep = "1",  # type: ignore[assignment]
    batch_size: BatchSizeSweep = str(LENET5.batch_size),  # type: ignore[assignment]
    precision: Annotated[
        float | None,
        typer.Option(
            parser=positive("percentage", below=100),
            metavar="PERCENT",
            help="Add rounds until every comparison's interval is narrower. [default: the preset's, 2]",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            parser=seconds, metavar="S", help="Begin no round that would end later. [default: the preset's, 600]"
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(parser=whole(1), metavar="N", help="Exactly so many rounds, whatever precision and budget."),
    ] = None,
    base: Base = "",
    epochs: Annotated[
        int | None,
        typer.Option(
            parser=whole(0),
            metavar="N",
            help="Epochs to train for the accuracy, 0 for none. [default: the preset's, 5]",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            parser=whole(1), metavar="N", help="Rounds that train epochs, each its own seed. [default: 1; --until: 5]"
        ),
    ] = None,
    seed: Seed = 0,
    until: Annotated[
        float | None,
        typer.Option(
            parser=positive("percentage", below=100),
            metavar="PERCENT",
            help="Train until this test accuracy, --epochs (10) at most; report the time to it.",
        ),
    ] = None,
    inference_sizes: Annotated[
        Sizes | None,
        typer.Option(parser=sizes, metavar="N,N", help="Batch sizes of inference, or none. [default: 1,8,64,500]"),
    ] = None,
    steady_s: Annotated[
        float | None,
        typer.Option(parser=seconds, metavar="S", help="Seconds of steady training to time. [default: 2]"),
    ] = None,
    environment: Environment = "controlled",
    results_dir: Results = Path("results"),
    name: Annotated[str | None, typer.Option(help="Name of the run's folder. [default: the time]")] = None,
    resume: Annotated[Path | None, typer.Option(help="A run's folder to go on with, by its own plan.")] = None,
    launch_timeout: Timeout = 900,
    python: Pythons = None,
) -> None:
    """Time and train backends; write a run under results/; print its tables.

    Every round launches each entrant once and lets them take turns of a fraction of a second. Rounds are added
    until the interval of every comparison is narrower than --precision, or --budget ends. Entrants are the product
    of backends, modes, feeds, threads and batch sizes; a table says how speed grows with each.

    Examples:

    - `lenet-bench run -b torch`
    - `lenet-bench run -b all --preset quick`
    - `lenet-bench run -b torch,jax --precision 1 --budget 1200 --base torch`
    - `lenet-bench run -b torch,tensorflow --mode all --base "torch eager"`
    - `lenet-bench run -b torch --threads 1,2 --batch-size 32,64,256,1024 --epochs 0`
    - `lenet-bench run -b torch --until 98.5 --seeds 10`
    - `lenet-bench run --resume results/2026-11-20T10-00-00-torch`
    """
    pythons = commands.parse_pythons(python or [])
    if resume:
        raise typer.Exit(commands.resume_run(resume, pythons=pythons))
    if not backend:
        raise InputError("Which backend? Give --backend torch, say, or --backend all.")
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    entrants = make_entrants(
        parse_backends(backend), modes=mode, feeds=feed.split(","), threads=threads, batch_sizes=batch_size,
        device=device, dtype=precision_of(dtype, tf32=tf32), network=get_network(network).name,
        environment=environment,
    )  # fmt: skip
    plan = commands.default_plan(
        entrants, data_set=data_set, data_dir=data_dir, seed=seed, base=base, launch_timeout_s=launch_timeout,
        until=until / 100 if until else 0.0,
        **commands.pace_fields(
            PRESETS[preset], precision=precision, budget_s=budget, rounds=rounds, epochs=epochs, seeds=seeds,
            until=until, steady_s=steady_s, inference_sizes=inference_sizes,
        ),
    )  # fmt: skip
    raise typer.Exit(commands.new_run(plan, results=results_dir, name=name, pythons=pythons))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders under results/.", metavar="RUN...")],
    base: Base = "",
) -> None:
    """Join runs into one table; refuse what cannot be compared, with the reason.

    Entrants of one run are paired, turn by turn. Between runs nothing is paired, so the intervals are wider.

    Examples:

    - `lenet-bench compare results/A`
    - `lenet-bench compare results/A results/B --base torch`
    """
    commands.compare_runs(runs, base=base)


@app.command()
def verify(
    backend: Backends,
    network: NetworkName = "lenet5",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    mode: Mode = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    tf32: Tf32 = False,
    threads: Threads = 1,
    seed: Seed = 0,
    launch_timeout: Timeout = 900,
    python: Pythons = None,
) -> None:
    """Prove that a backend computes what the float64 reference computes: exit code 1 if it does not.

    Compares logits, loss, every gradient, the losses of 20 steps and the weights after 1 and 20 steps of SGD with
    momentum. Each tolerance is measured: 8 times the largest error of the reference itself in the backend's
    precision over 8 orders of summation. Also times k and 2k steps and looks for work that is left after
    `synchronize`: a stopwatch that stops too early would flatter the backend.

    Examples:

    - `lenet-bench verify -b torch`
    - `lenet-bench verify -b all --dtype float64`
    - `lenet-bench verify -b tensorflow --mode all`
    """
    entrants = make_entrants(
        parse_backends(backend), modes=mode, threads=(threads,), device=device, dtype=precision_of(dtype, tf32=tf32),
        network=get_network(network).name,
    )  # fmt: skip
    pythons = commands.parse_pythons(python or [])
    failed = []
    for entrant, found in checks.verify(
        entrants, data_set=data_set, data_dir=data_dir, seed=seed, timeout_s=launch_timeout, pythons=pythons
    ):
        tables.show_checks(tables.stdout(), f"{entrant.backend} {entrant.mode} {entrant.dtype}", found)
        failed += [] if all(check.passed for check in found) else [entrant.label]
    if failed:
        raise Regression(f"Verification failed for {', '.join(failed)}: see what says FAIL above.")


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
    entrants = make_entrants(
        parse_backends(backend), threads=(threads,), network=get_network(network).name, device="cpu", dtype="float32"
    )  # fmt: skip
    plan = commands.default_plan(
        entrants, data_set=data_set, data_dir=data_dir, rounds=seeds, most_rounds=seeds, seeds=seeds, seed=seed,
        epochs=epochs, timing=False, launch_timeout_s=launch_timeout,
    )  # fmt: skip
    outcomes = checks.run_gate(
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
    checks.stop_if_failed(outcomes)


@app.command("doctor")
def doctor_(
    backend: Backends = None,  # type: ignore[assignment]
    threads: Threads = 1,
    python: Pythons = None,
) -> None:
    """Examine this machine before a run: what would blur the timing, what to change, what that would do.

    Also starts every installed backend once and asks how many threads it really has.

    Examples:

    - `lenet-bench doctor`
    - `lenet-bench doctor --threads 2 -b torch,jax`
    """
    pythons = commands.parse_pythons(python or [])
    names = parse_backends(backend) if backend else commands.installed(pythons)
    findings = checks.examine(names, threads=threads, pythons=pythons)
    doctor.show(tables.stdout(), findings)


@app.command("selftest")
def selftest_(
    backend: Annotated[str, typer.Option("--backend", "-b", help="The backend that is entered twice.")] = "torch",
    duels: Annotated[int, typer.Option(parser=whole(1), metavar="N", help="Duels for each slowdown.")] = 20,
    slowdowns: Annotated[
        str, typer.Option(metavar="P,P", help="Percent by which the twin is made slower; 0 for an honest twin.")
    ] = "0,3,10",
    budget: Annotated[float, typer.Option(parser=seconds, metavar="S", help="Seconds for a duel.")] = 120,
    threads: Threads = 1,
    data_set: DataSet = "",
    data_dir: DataDir = None,
    results_dir: Results = Path("results"),
    python: Pythons = None,
) -> None:
    """Test the method on this machine: twins must not be called different, slowed twins must be found.

    A duel is a run of two entrants that are the same backend. Exit code 1 where more than one in ten twins is
    called different, or fewer than nine in ten of the slowed ones are found.

    Examples:

    - `lenet-bench selftest`
    - `lenet-bench selftest -b jax --duels 5 --slowdowns 0,5`
    """
    plan = selftest.Selftest(
        backend=backend, duels=duels, slowdowns=selftest.parse_slowdowns(slowdowns), budget_s=budget, threads=threads,
        data_set=data_set, data_dir=data_dir,
    )  # fmt: skip
    passed = selftest.run(plan, results=results_dir, pythons=commands.parse_pythons(python or []))
    if not passed:
        raise Regression("The self-test failed: on this machine, now, verdicts are not right as often as they claim.")


app.command()(listings.data)
app.command("list")(listings.list_)


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
