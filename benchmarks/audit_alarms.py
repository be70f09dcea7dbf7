"""Does the audit cry wolf? Honest launches of every framework, of which every turn is done over and not one alone.

    python -m benchmarks.audit_alarms                         the five in their default modes, 1,000 audits
    python -m benchmarks.audit_alarms -b jax --mode all --batch-size 8 --audits 200
    python -m benchmarks.audit_alarms -b torch,jax --dtype bfloat16 --audits 200

A run draws some turns of each launch and does these over. Here all turns are done over. So each is an audit of a launch
in which it was drawn; the launch cannot tell, because it hears of the draw when it has ended. Exit code 1 if a launch
failed, by an alarm or otherwise: what it said is printed.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.text import Text

from harness.errors import LenetBenchError
from harness.proof.audit import Audit, fields_of
from harness.results.counted import with_labels
from harness.results.folder import RunFolder
from harness.runs.display import Display
from harness.runs.entrants import make_entrants, parse_backends
from harness.runs.plan import Plan, default_plan
from harness.runs.preparation import find_interpreters, load_for_plan
from harness.runs.rounds import Rounds
from harness.runs.run import Run, name_of
from harness.spec.recipes import recipe_for
from harness.tables import layout

# Seconds of turns of a launch: some forty of them, of each of the five frameworks.
STEADY_S = 2.4


def main(
    backend: Annotated[list[str], typer.Option("--backend", "-b", help="As in lenet-bench run.")] = ["all"],  # noqa: B006
    mode: Annotated[str | None, typer.Option(help="As in lenet-bench run.")] = None,
    network: Annotated[str, typer.Option(help="Of lenet-bench list.")] = "lenet5",
    feed: Annotated[str, typer.Option(help="host, device, or host,device.")] = "host",
    batch_size: Annotated[int, typer.Option(min=1, help="Images in a step.")] = 64,
    dtype: Annotated[str, typer.Option(help="float32, float64 or bfloat16.")] = "float32",
    audits: Annotated[
        int, typer.Option(min=1, help="Rounds go on until there were so many, or one in which all launches failed.")
    ] = 1000,
    results_dir: Annotated[Path, typer.Option(help="Where the runs go.")] = Path("results"),
) -> None:
    """Count the alarms, by entrant; print the largest error over what rounding allows."""
    entrants = make_entrants(
        parse_backends(backend), modes=mode, feeds=feed.split(","), batch_sizes=[batch_size], network=network,
        device="cpu", dtype=dtype,
    )  # fmt: skip
    plan = default_plan(
        entrants, recipe=recipe_for(network), data_set="", data_dir=None, rounds=1, most_rounds=1, seeds=1, seed=0,
        epochs=0, verified=True, inference_sizes=(), steady_s=STEADY_S,
    )  # fmt: skip
    rounds: list[pd.DataFrame] = []
    while not rounds or ((rounds[-1]["status"] == "ok").any() and _audits(rounds) < audits):
        rounds.append(one_run(replace(plan, seed=len(rounds)), results_dir))
    launches = pd.concat(rounds)
    show(launches)
    sys.exit(int((launches["status"] != "ok").any()))


def _audits(rounds: list[pd.DataFrame]) -> int:
    return int(sum(launches["audited_turns"].sum() for launches in rounds))


def one_run(plan: Plan, results: Path) -> pd.DataFrame:
    """A round in a folder of its own; its launches, every turn audited. Who has failed is in the next one again."""
    found = find_interpreters(plan, {})
    name = name_of((entrant.backend for entrant in plan.entrants), "audits")
    with Display() as display:
        dataset = load_for_plan(plan, display)
        fields = fields_of(plan, dataset, display)
        audit: Audit = fields["auditor"]
        audit.turns_drawn = plan.turns
        with RunFolder.begin(results, name, numbered=True) as folder:
            run = Run(plan, found, dataset, folder, **fields)
            run.announce(display)
            Rounds(run, display).execute()
    return with_labels(run.folder.read("launches"))


def show(launches: pd.DataFrame) -> None:
    """Print a line for each entrant, and what each alarm said."""
    console = layout.stdout()
    table = layout.make_table()
    layout.make_columns(table, ["entrant"], ["launches", "audits", "alarms", "largest share"], None)
    for label, group in launches.groupby("label", sort=False):
        alarms = int((group["status"] != "ok").sum())
        done, share = group["audited_turns"].sum(), group["audit_share"].max()
        most = "-" if pd.isna(share) else f"{share:.3f}"
        table.add_row(str(label), str(len(group)), f"{done:.0f}", str(alarms), most)
    console.print(Text("Honest launches, every turn done over by the reference", style="bold"))
    console.print(table)
    console.print("largest share: an error over what rounding allows; above 1 is an alarm")
    for error in launches["error"].dropna():
        console.print(error, soft_wrap=True)


if __name__ == "__main__":
    try:
        typer.run(main)
    except LenetBenchError as error:
        sys.exit(f"audit-alarms: {error}")
