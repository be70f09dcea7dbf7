"""`lenet-bench run`: times and trains entrants round by round, writes the run, prints its tables."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console

from harness.analysis.conditions import conditions
from harness.analysis.scaling import scaling
from harness.analysis.summary import inference_sweep
from harness.commands import given, signals, sweep
from harness.commands.compare import show_accuracy, show_cause, show_halved, stop_if_disturbed
from harness.commands.options import (
    Backends,
    Base,
    BatchSizeSweep,
    DataDir,
    DataSet,
    Device,
    Dtype,
    Environment,
    Feed,
    Here,
    Mode,
    NetworkName,
    OldVersions,
    Pythons,
    RecipeName,
    ReplicasSweep,
    Results,
    Seed,
    Sizes,
    Strict,
    Tf32,
    ThreadsSweep,
    Timeout,
    Versions,
    parse_pythons,
    positive,
    run_name,
    seconds,
    sizes,
    whole,
)
from harness.errors import InputError, WorkerFailed
from harness.proof import audit, register
from harness.results.folder import RunFolder
from harness.results.sweep_folder import is_sweep
from harness.runs import quiet
from harness.runs import resume as resuming
from harness.runs.display import Display
from harness.runs.entrants import limit_entrants, make_entrants, parse_backends, parse_versions, precision_of
from harness.runs.plan import Plan
from harness.runs.planning import plan_from
from harness.runs.preparation import find_interpreters, load_for_plan
from harness.runs.rounds import Rounds
from harness.runs.run import Run, name_of
from harness.runs.sweep import Cell
from harness.spec.recipes import choose
from harness.tables import layout, run_tables
from harness.worker import catalogue


def run(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="In place of options: the file of a sweep, TOML.", metavar="[SWEEP.toml]")
    ] = None,
    backend: Backends = None,  # type: ignore[assignment]
    preset: Annotated[str, typer.Option(help="quick, standard or thorough: how long to go on.")] = "standard",
    network: NetworkName = "",
    recipe: RecipeName = "",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    mode: Mode = None,
    versions: Versions = None,
    framework_version: OldVersions = None,
    feed: Feed = "host",
    device: Device = "cpu",
    dtype: Dtype = "float32",
    tf32: Tf32 = False,
    threads: ThreadsSweep = "1",  # type: ignore[assignment]
    replicas: ReplicasSweep = "1",  # type: ignore[assignment]
    batch_size: BatchSizeSweep = None,
    precision: Annotated[
        float | None,
        typer.Option(
            parser=positive("percentage", below=100),
            metavar="PERCENT",
            help="Add rounds until every interval is narrower than this part of its ratio. [default: the preset's, 2]",
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
        typer.Option(
            parser=whole(1), metavar="N", help="Do exactly so many rounds, whatever --precision and --budget say."
        ),
    ] = None,
    base: Base = "",
    epochs: Annotated[
        int | None,
        typer.Option(
            parser=whole(0),
            metavar="N",
            help="Train so many epochs for the accuracy, after timing; 0 for none. [default: the preset's, 5]",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            parser=whole(1), metavar="N", help="Number of trainings, each from another seed. [default: 1; --until: 5]"
        ),
    ] = None,
    seed: Seed = 0,
    until: Annotated[
        float | None,
        typer.Option(
            parser=positive("percentage", below=100),
            metavar="PERCENT",
            help="Train until this test accuracy, for --epochs (10) at most, and say how long it took.",
        ),
    ] = None,
    inference_sizes: Annotated[
        Sizes | None,
        typer.Option(parser=sizes, metavar="N,N", help="Batch sizes of inference, or none. [default: 1,8,64,500]"),
    ] = None,
    steady_s: Annotated[
        float | None,
        typer.Option(
            parser=seconds,
            metavar="S",
            help="Time steady training for so many seconds a launch, on average over a round. [default: 2]",
        ),
    ] = None,
    environment: Environment = "controlled",
    results_dir: Results = Path("results"),
    name: Annotated[str | None, typer.Option(help="Name of the run's folder. [default: the time]")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder, by its own plan.")] = None,
    anew_from_here: Annotated[
        bool,
        typer.Option(
            "--anew-from-here", help="With --resume, after an upgrade: go on, and keep old and new rows apart."
        ),
    ] = False,
    launch_timeout: Timeout = 900,
    python: Pythons = None,
    here: Here = False,
    audit_batches: Annotated[
        bool, typer.Option("--audit-batches", help="Read all batches of an epoch back from the device, not four.")
    ] = False,
    unverified: Annotated[
        bool,
        typer.Option("--unverified", help="Time without a proof, for a backend that you are writing. Rows say so."),
    ] = False,
    limit: Annotated[
        bool, typer.Option("--limit", help="Also time kernels that are made for this machine (numba): its limit.")
    ] = False,
    strict: Strict = False,
    cluster: Annotated[
        str,
        typer.Option(
            metavar="WHERE",
            help="Run a sweep on the nodes of a cluster: tcp://HOST:PORT of a Dask scheduler, or local:2.",
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done and how long it would take, and do nothing.")
    ] = False,
) -> None:
    """Time and train frameworks; write a run under results/; print its tables.

    An entrant is a backend with everything that can change its speed: version, mode, feed, threads, batch size. Where
    options have several values, each combination is an entrant.

    An entrant must have passed `verify` on this machine. Where it has not, `run` verifies it first. A round launches
    every entrant once, and the launches take turns of a fraction of a second. Rounds are added until every interval
    is narrower than --precision, or until --budget ends. A file in place of options is a sweep: many runs
    (docs/scale.md).

    Examples:

    - `lenet-bench run -b torch`
    - `lenet-bench run -b all --preset quick`
    - `lenet-bench run -b torch --here`
    - `lenet-bench run -b torch,jax --strict`
    - `lenet-bench run -b torch,jax --limit`
    - `lenet-bench run -b torch,jax --precision 1 --budget 1200 --base torch`
    - `lenet-bench run -b torch,tensorflow --mode all --base "torch eager"`
    - `lenet-bench run -b torch --threads 1,2 --batch-size 32,64,256,1024 --epochs 0`
    - `lenet-bench run -b torch --replicas 1,2 --epochs 0`
    - `lenet-bench run -b torch --until 98.5 --seeds 10`
    - `lenet-bench run -b torch,jax --versions torch=2.12.1,2.13.0`
    - `lenet-bench run -b torch,mxnet --network lenet-gluon --epochs 3`
    - `lenet-bench run sweep.toml --dry-run`
    - `lenet-bench run --resume results/2026-11-20T10-00-00-torch`
    - `lenet-bench run --resume results/2026-11-20T10-00-00-torch --anew-from-here`
    """
    given.check(context, resumed=resume is not None, swept=file is not None)
    if name is not None:
        run_name(name)
    if resume or file:
        pythons = parse_pythons(python or [], here=catalogue.names() if here else ())
    if file or (resume and is_sweep(resume)):
        call = sweep.Call(
            context.command, results=results_dir, pythons=pythons, data_dir=data_dir, strict=strict, name=name,
            unverified=unverified, start=new_run, go_on=resume_run, cluster=cluster,
        )  # fmt: skip
        raise typer.Exit(call.carry_out(file, resume, dry_run=dry_run))
    if cluster:
        raise InputError("--cluster shares out the rounds of a sweep. Write a file for it: docs/scale.md.")
    if resume:
        raise typer.Exit(
            resume_run(
                resume, pythons=pythons, anew=anew_from_here,
                timeout_s=launch_timeout if given.stands(context, "launch_timeout") else None,
                data_dir=data_dir if given.stands(context, "data_dir") else None, strict=strict,
            )
        )  # fmt: skip
    if not backend:
        raise InputError("Which backend? Give --backend torch, say, or --backend all.")
    chosen, backends = choose(network, recipe), parse_backends(backend)
    pythons = parse_pythons(python or [], here=backends if here else ())
    asked = parse_versions([*(versions or []), *(framework_version or [])], backends)
    alike: dict[str, Any] = {
        "feeds": feed.split(","), "threads": threads, "batch_sizes": batch_size or (chosen.batch_size,),
        "device": device, "dtype": precision_of(dtype, tf32=tf32), "network": chosen.network,
        "environment": environment,
    }  # fmt: skip
    entrants = make_entrants(backends, modes=mode, versions=asked, replicas=replicas, **alike)
    if limit:
        entrants = list(dict.fromkeys([*entrants, *limit_entrants(**alike)]))
    plan = plan_from(
        entrants, chosen, preset=preset, data_set=data_set, data_dir=data_dir, seed=seed, base=base, until=until,
        launch_timeout=launch_timeout, unverified=unverified, audit_batches=audit_batches, precision=precision,
        budget_s=budget, rounds=rounds, epochs=epochs, seeds=seeds, steady_s=steady_s, inference_sizes=inference_sizes,
    )  # fmt: skip
    if dry_run:
        raise typer.Exit(sweep.show_plan([Cell(1, chosen.network, plan)], results_dir))
    raise typer.Exit(
        new_run(
            plan, results=results_dir, name=name, pythons=pythons, strict=strict,
            before=lambda: register.require(plan, pythons=pythons) if plan.verified else None,
        )
    )  # fmt: skip


def new_run(
    plan: Plan,
    *,
    results: Path,
    name: str | None,
    pythons: dict[str, str],
    strict: bool = False,
    before: Callable[[], None] = lambda: None,
    tables: bool = True,
) -> int:
    """Carry out a plan in a new folder, print its tables, return the exit code.

    Args:
        strict: whether what disturbed the timing is an error.
        before: called once all that was asked for is known to be possible, and before anything is written.
        tables: whether they are printed.
    """
    found = find_interpreters(plan, pythons)
    with Display() as display:
        dataset = load_for_plan(plan, display)
    own = name or name_of(entrant.backend for entrant in plan.entrants)
    # The name is taken before anything is measured, for certificates too.
    with RunFolder.begin(results, own, numbered=not name) as folder:
        before()
        with Display() as display:
            audited = audit.fields_of(plan, dataset, display)
            plan = quiet.settle(plan, display)
        return _carry_out(Run(plan, found, dataset, folder, **audited), strict=strict, tables=tables)


def resume_run(
    path: Path,
    *,
    pythons: dict[str, str],
    anew: bool = False,
    timeout_s: float | None = None,
    data_dir: str | None = None,
    strict: bool = False,
    tables: bool = True,
) -> int:
    """Carry out what is missing of a run's own plan.

    Args:
        anew: whether its entrants go on as others, because something has changed.
        timeout_s: of launches from now on; None for the plan's.
        data_dir: where the data set is now; None for the plan's.

    Raises:
        InputError: the folder is not a run, another process writes into it, or it was measured on another machine,
            with other code, packages or data.
        Regression: an entrant that was verified when the run began does not pass any more.
    """
    folder = RunFolder(path)
    plan = resuming.plan_of(folder)
    plan = replace(plan, launch_timeout_s=timeout_s or plan.launch_timeout_s, data_dir=data_dir or plan.data_dir)
    found = find_interpreters(plan, pythons)
    with folder.lock():
        with Display() as display:
            dataset = load_for_plan(plan, display)
        if set(folder.read("launches")["data_sha256"].dropna()) - {dataset.sha256}:
            raise InputError(f"{folder.path} was measured on another data set than {dataset.name}. Start a new run.")
        going_on = resuming.resumed(folder, plan, found, anew=anew)
        if plan.verified:
            register.require(plan, pythons=pythons)
        with Display() as display:
            audited = audit.fields_of(going_on.plan, dataset, display)
            quiet.settle(going_on.plan, display, choose=False)
        run = Run(going_on.plan, found, dataset, folder, notes=going_on.notes, **audited)
        return _carry_out(run, packages=going_on.packages, strict=strict, tables=tables)


def _carry_out(
    run: Run, *, packages: Mapping[str, list[str]] = MappingProxyType({}), strict: bool = False, tables: bool = True
) -> int:
    """Carry out a run, print what its folder then has, also after Ctrl-C; return the exit code."""
    with Display() as display:
        run.announce(display)
        work, interrupted = Rounds(run, display), False
        try:
            work.execute(packages=packages)
        except KeyboardInterrupt:
            signals.taken()
            interrupted = True
            display.note(f"Interrupted. Finished launches are kept; go on with --resume {run.folder.path}.", "bold red")
    console = layout.stdout() if tables else Console(quiet=True)
    _show(console, work)
    if interrupted:
        return signals.INTERRUPTED
    for label, error in work.failures.items():
        console.print(f"{label} failed: {error}", style="bold red", markup=False, soft_wrap=True)
    if strict:
        stop_if_disturbed(_timed(run.folder.read_counted("launches")))
    return WorkerFailed.exit_code if work.failures else 0


def _timed(launches: pd.DataFrame) -> pd.DataFrame:
    return launches[launches["train_images_per_s"].notna()]


def _show(console: Console, work: Rounds) -> None:
    """Print the tables of a run; write the one of scaling."""
    folder = work.run.folder
    launches, summary = folder.read_counted("launches"), folder.read("summary")
    timed = _timed(launches)
    if len(summary):
        sizes_of = inference_sweep(summary, launches, folder.read_counted("inference"))
        run_tables.show_summary(console, summary, sizes_of, conditions=conditions(timed))
        if not folder.has_whole_round():
            show_halved(console, folder.name)
    grown = scaling(launches)
    if len(grown):
        folder.write_scaling(grown)
        run_tables.show_scaling(console, grown)
    if not work.plan.until:
        show_accuracy(console, folder.read_counted("epochs"))
    if work.ending:
        console.print(work.ending, soft_wrap=True)
    if (summary["verdict"] == "cannot tell").any():
        show_cause(console, timed)
    console.print(f"Results: {folder.path}", soft_wrap=True)
    console.print(f"next: lenet-bench report {shlex.quote(str(folder.path))}", soft_wrap=True)
