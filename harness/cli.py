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
from harness import (
    baseline_command,
    certificate,
    certificates,
    certify,
    checks,
    commands,
    compare_command,
    doctor,
    export,
    gate_command,
    history,
    listings,
    reproduce,
    selftest,
    tables,
)
from harness.entrants import make_entrants, parse_backends, parse_versions, precision_of
from harness.errors import InputError, LenetBenchError, Regression, unknown
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
    RecipeName,
    Results,
    Seed,
    Sizes,
    Tf32,
    Threads,
    ThreadsSweep,
    Timeout,
    Versions,
    positive,
    seconds,
    sizes,
    whole,
)
from harness.plan import PRESETS
from harness.published import FIGURES, FRAMEWORKS, any_train_accuracy
from harness.recipes import OPTIMIZERS, choose, choose_all, get_recipe
from harness.report import command as report
from harness.results import RunFolder

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
    network: NetworkName = "",
    recipe: RecipeName = "",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    mode: Mode = None,
    framework_version: Versions = None,
    feed: Feed = "host",
    device: Device = "cpu",
    dtype: Dtype = "float32",
    tf32: Tf32 = False,
    threads: ThreadsSweep = "1",  # type: ignore[assignment]
    batch_size: BatchSizeSweep = None,
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
    audit_batches: Annotated[
        bool, typer.Option("--audit-batches", help="Read back all batches of an epoch from the device, not four.")
    ] = False,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Do not verify first; rows say so. For backends under work.")
    ] = False,
) -> None:
    """Time and train backends; write a run under results/; print its tables.

    An entrant is timed only after it has passed `verify` on this machine, in exactly this version, mode, precision and
    device; where it has not yet, that comes first. Every round launches each entrant once and lets them take turns of
    a fraction of a second. Rounds are added until the interval of every comparison is narrower than --precision, or
    --budget ends. Entrants are the product of backends, versions, modes, feeds, threads and batch sizes; a table says
    how speed grows with the last two.

    Examples:

    - `lenet-bench run -b torch`
    - `lenet-bench run -b all --preset quick`
    - `lenet-bench run -b torch,jax --precision 1 --budget 1200 --base torch`
    - `lenet-bench run -b torch,tensorflow --mode all --base "torch eager"`
    - `lenet-bench run -b torch --threads 1,2 --batch-size 32,64,256,1024 --epochs 0`
    - `lenet-bench run -b torch --until 98.5 --seeds 10`
    - `lenet-bench run -b jax --framework-version 0.10.1,0.10.2`
    - `lenet-bench run -b torch,mxnet --network lenet-gluon --epochs 3`
    - `lenet-bench run --resume results/2026-11-20T10-00-00-torch`
    """
    pythons = commands.parse_pythons(python or [])
    if resume:
        raise typer.Exit(commands.resume_run(resume, pythons=pythons))
    if not backend:
        raise InputError("Which backend? Give --backend torch, say, or --backend all.")
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    chosen, backends = choose(network, recipe), parse_backends(backend)
    entrants = make_entrants(
        backends, modes=mode, feeds=feed.split(","), threads=threads,
        batch_sizes=batch_size or (chosen.batch_size,), device=device, dtype=precision_of(dtype, tf32=tf32),
        network=chosen.network, environment=environment, versions=parse_versions(framework_version or [], backends),
    )  # fmt: skip
    plan = commands.default_plan(
        entrants, recipe=chosen, data_set=data_set, data_dir=data_dir, seed=seed, base=base,
        launch_timeout_s=launch_timeout, until=until / 100 if until else 0.0, verified=not unverified,
        audit_batches=audit_batches,
        **commands.pace_fields(
            PRESETS[preset], precision=precision, budget_s=budget, rounds=rounds, epochs=epochs, seeds=seeds,
            until=until, steady_s=steady_s, inference_sizes=inference_sizes,
        ),
    )  # fmt: skip
    raise typer.Exit(
        commands.new_run(
            plan, results=results_dir, name=name, pythons=pythons,
            before=lambda: certificates.require(plan, pythons=pythons) if plan.verified else None,
        )
    )  # fmt: skip


@app.command()
def verify(
    backend: Backends,
    network: Annotated[
        str, typer.Option("--network", help="Layer tables: names with commas, or all; see `lenet-bench list`.")
    ] = "lenet5",
    optimizer: Annotated[
        str, typer.Option(help=f"{', '.join(OPTIMIZERS)}, all, or recipe: each network's own.")
    ] = "recipe",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    mode: Mode = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    tf32: Tf32 = False,
    threads: Threads = 1,
    seed: Seed = 0,
    details: Annotated[bool, typer.Option("--details", help="Print every quantity, not only what is wrong.")] = False,
    results_dir: Results = Path("results"),
    launch_timeout: Timeout = 900,
    python: Pythons = None,
) -> None:
    """Prove that a backend computes what the float64 reference computes: exit code 1 if it does not.

    Compares the output of every layer, logits, loss, every gradient, the losses of 100 steps (the first with a smaller
    batch, the learning rate changing twice), and the weights after 1, 10 and 100 of them. Each tolerance is measured:
    16 times the largest error of the reference itself in the backend's precision over 8 orders of summation. Also
    times k and 2k steps and looks for work that is left after `synchronize`: a stopwatch that stops too early would
    flatter the backend. Where something is wrong, says where it begins and what it looks like. The certificate is
    verification.csv in a folder of its own under results/.

    Examples:

    - `lenet-bench verify -b torch`
    - `lenet-bench verify -b all --dtype float64`
    - `lenet-bench verify -b tensorflow --mode all`
    - `lenet-bench verify -b torch,jax --network all --optimizer all`
    - `lenet-bench verify -b mxnet --network lenet-gluon --details`
    """
    names = parse_backends(backend)
    subjects = [
        certify.Subject(entrant, recipe)
        for recipe in choose_all(network, optimizer)
        for entrant in make_entrants(
            names, modes=mode, threads=(threads,), device=device, dtype=precision_of(dtype, tf32=tf32),
            network=recipe.network,
        )
    ]  # fmt: skip
    folder = RunFolder.create(results_dir, f"{commands.default_name(names)}-verify")
    verdicts = certify.verify(
        subjects, data_set=data_set, data_dir=data_dir, seed=seed, timeout_s=launch_timeout,
        pythons=commands.parse_pythons(python or []),
    )  # fmt: skip
    certificate.write_and_show(verdicts, folder, details=details)


@app.command("reproduce")
def reproduce_(
    recipe: Annotated[str, typer.Argument(help=f"{', '.join(FIGURES)}: a document's recipe.")],
    backend: Backends = None,  # type: ignore[assignment]
    mode: Mode = None,
    epochs: Annotated[int | None, typer.Option(parser=whole(1), metavar="N", help="Fewer than the document's.")] = None,
    data_dir: DataDir = None,
    threads: Threads = 1,
    seed: Seed = 0,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Add the rows to this table, results/documents.csv say.")
    ] = None,
    results_dir: Results = Path("results"),
    launch_timeout: Timeout = 7200,
    python: Pythons = None,
) -> None:
    """Train what a source document trained, and print published beside measured, epoch by epoch.

    In the document's own framework, or in any other: the same initialiser, optimizer, loss and batches for all.

    Examples:

    - `lenet-bench reproduce folk`
    - `lenet-bench reproduce folk -b all --write results/documents.csv`
    - `lenet-bench reproduce gluon -b torch --epochs 5`
    """
    if recipe not in FIGURES:
        raise unknown("document's recipe", recipe, FIGURES)
    chosen = get_recipe(recipe)
    entrants = make_entrants(
        parse_backends(backend) if backend else [FRAMEWORKS[recipe]], modes=mode, threads=(threads,),
        batch_sizes=(chosen.batch_size,), network=chosen.network, device="cpu", dtype="float32",
    )  # fmt: skip
    plan = commands.default_plan(
        entrants, recipe=chosen, data_set=chosen.data_set, data_dir=data_dir, rounds=1, most_rounds=1, seeds=1,
        seed=seed, epochs=epochs or chosen.epochs, timing=False, train_accuracy=any_train_accuracy(recipe),
        launch_timeout_s=launch_timeout,
    )  # fmt: skip
    rows = reproduce.reproduce(plan, results=results_dir, pythons=commands.parse_pythons(python or []))
    reproduce.show(tables.stdout(), rows)
    if write:
        reproduce.record(rows, write)
        print(f"Wrote {write}.")


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


app.command()(compare_command.compare)
app.command()(export.export)
app.command("gate")(gate_command.gate_)
app.add_typer(baseline_command.app, name="baseline")
app.command()(listings.data)
app.command("list")(listings.list_)
app.command()(history.history)
app.command()(report.report)


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
