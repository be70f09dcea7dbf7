"""`lenet-bench verify`: proves entrants against the reference; a certificate for each that passes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.commands import as_json
from harness.commands.options import (
    Backends,
    DataDir,
    DataSet,
    Device,
    Dtype,
    Feed,
    Here,
    Mode,
    Pythons,
    Replicas,
    Results,
    Seed,
    Tf32,
    Threads,
    Timeout,
    parse_pythons,
    whole,
)
from harness.errors import Regression
from harness.proof import proving, register
from harness.proof.outcome_table import show_details, show_outcomes
from harness.proof.proving import Outcome
from harness.results.folder import RunFolder
from harness.runs import gpus
from harness.runs.entrants import make_entrants, parse_backends, precision_of
from harness.runs.run import name_of
from harness.spec.recipes import OPTIMIZERS, choose_all
from harness.tables import layout


def verify(
    backend: Backends,
    network: Annotated[
        str, typer.Option("--network", help="Networks of `lenet-bench list`: names with commas, or all.")
    ] = "lenet5",
    optimizer: Annotated[
        str, typer.Option(help=f"recipe (each network's own), {', '.join(OPTIMIZERS)}, or all.")
    ] = "recipe",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    mode: Mode = None,
    feed: Feed = "host",
    batch_size: Annotated[
        int | None,
        typer.Option(
            parser=whole(1), metavar="N", help="Images in a step, as it will be timed. [default: the recipe's]"
        ),
    ] = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    tf32: Tf32 = False,
    threads: Threads = 1,
    replicas: Replicas = 1,
    seed: Seed = 0,
    details: Annotated[bool, typer.Option("--details", help="Print every quantity, not only wrong ones.")] = False,
    format_: as_json.Format = "table",
    results_dir: Results = Path("results"),
    launch_timeout: Timeout = 900,
    python: Pythons = None,
    here: Here = False,
) -> None:
    """Prove that a backend computes what the float64 reference computes; exit code 1 if it does not.

    Values: the output of every layer, logits, loss, every gradient, the losses of 100 steps, and the weights after
    1, 10 and 100 of them. The first step has a smaller batch, and the learning rate changes twice.

    Trials: two short trainings start from trained weights. One has large gradients and wrong labels. One trains a
    block as it will be timed (--feed, --batch-size, --threads).

    Time: `verify` times k and 2k steps, and looks for work that is left after `synchronize`. A backend that says too
    early that it is done would look fast.

    How far a value may be off is measured. The reference itself runs in the backend's precision, in several orders of
    summation. A multiple of its largest error is allowed (docs/verification.md). bfloat16 passes only where the same
    mode passes in float32, which is tried first. Where something is wrong, the output says where it begins and what it
    looks like. verification.csv, in a folder of its own under results/, has every value.

    Examples:

    - `lenet-bench verify -b torch`
    - `lenet-bench verify -b all --dtype float64`
    - `lenet-bench verify -b tensorflow --mode all`
    - `lenet-bench verify -b torch,jax --feed host,device --batch-size 256 --threads 2`
    - `lenet-bench verify -b torch,jax --network all --optimizer all`
    - `lenet-bench verify -b mxnet --network lenet-gluon --details`
    - `lenet-bench verify -b torch --format json > verify.json`
    """
    machines = as_json.wanted(format_)
    names = parse_backends(backend)
    subjects = [
        proving.Subject(entrant, recipe)
        for recipe in choose_all(network, optimizer)
        for entrant in make_entrants(
            names, modes=mode, feeds=feed.split(","), threads=(threads,), replicas=(replicas,),
            batch_sizes=(batch_size or recipe.batch_size,), device=device, dtype=precision_of(dtype, tf32=tf32),
            network=recipe.network,
        )
    ]  # fmt: skip
    gpus.check(each.entrant for each in subjects)
    pythons = parse_pythons(python or [], here=names if here else ())
    with RunFolder.begin(results_dir, name_of(names, "verify"), numbered=True) as folder:
        outcomes = proving.verify(
            subjects, data_set=data_set, data_dir=data_dir, seed=seed, timeout_s=launch_timeout, pythons=pythons,
            proven=register.proven_twins(subjects, pythons=pythons),
        )  # fmt: skip
        if machines:
            write_and_print(outcomes, folder)
        else:
            write_and_show(outcomes, folder, details=details)


def write_and_print(outcomes: Iterable[Outcome], folder: RunFolder) -> None:
    """Write every outcome as it comes, and print all of them as JSON at the end; raises as `write_and_show`."""
    found = [_written(outcome, folder) for outcome in outcomes]
    failed = [each.subject.entrant.label for each in found if not each.passed]
    code = Regression.exit_code if failed else 0
    fields = {"status": "FAILED" if failed else "passed", "exit_code": code}
    certificate = str(folder.path / "verification.csv")
    as_json.show("verify", fields | {"certificate": certificate, "outcomes": list(map(_fields, found))})
    _stop_if(failed)


def _fields(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON has it: what was verified, whether it passed, what is wrong, and every check."""
    entrant = outcome.subject.entrant
    names = ("backend", "mode", "network", "feed", "device", "dtype", "threads", "batch_size", "replicas")
    return {name: getattr(entrant, name) for name in names} | {
        "recipe": outcome.subject.recipe.name, "framework_version": outcome.version, "seed": outcome.seed,
        "passed": outcome.passed, "sentences": outcome.sentences,
        "checks": [asdict(check) | {"passed": check.passed} for check in outcome.checks],
    }  # fmt: skip


def _written(outcome: Outcome, folder: RunFolder) -> Outcome:
    """The outcome, once it is on disk; kept as a certificate where it passed."""
    folder.append("verification", outcome.rows())
    if outcome.passed:
        register.keep(outcome)
    return outcome


def _stop_if(failed: list[str]) -> None:
    if failed:
        raise Regression(f"Verification failed for {', '.join(failed)}: what is above says where it begins.")


def write_and_show(outcomes: Iterable[Outcome], folder: RunFolder, *, details: bool) -> None:
    """Write every outcome as it comes, and print those of a problem together.

    Raises:
        Regression: at the end, where a outcome is not good.
    """
    console, failed = layout.stdout(), []
    for _, group in groupby(outcomes, key=lambda outcome: outcome.subject.problem):
        together = []
        for outcome in group:
            together.append(_written(outcome, folder))
            if not outcome.passed:
                failed.append(outcome.subject.entrant.label)
        show_outcomes(console, together)
        if details:
            for outcome in together:
                show_details(console, outcome)
    console.print(f"Certificate: {folder.path / 'verification.csv'}", soft_wrap=True)
    _stop_if(failed)
