"""An outcome for people: how much of its tolerance each kind of quantity needed."""

from __future__ import annotations

import math
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from harness.proof import trials
from harness.proof.outcome import CODE, LAUNCH, TWIN, Outcome
from harness.proof.problem import Check
from harness.tables.fitting import FittingTable
from harness.tables.layout import make_columns, make_table, say
from harness.worker import asynchrony, dropout
from harness.worker.job import USUAL, Entrant
from harness.worker.quantities import AGAIN, LOSSES, STEPS, UNSEEN

_TIMES = set(asynchrony.TOLERANCES)
GROUPS = ("layers", "loss", "grads", *(f"w {count}" for count in STEPS), "losses", "trials", "times")


def group_of(quantity: str) -> str:
    """The column that a quantity is in."""
    if quantity.startswith(tuple(f"{name}: " for name in trials.NAMES)):
        return "trials"
    if quantity in _TIMES:
        return "times"
    if quantity in dropout.TOLERANCES or quantity.startswith("output of "):
        return "layers"
    if quantity.startswith("gradient of "):
        return "grads"
    if quantity in (LOSSES, UNSEEN, AGAIN):
        return "losses"
    _, after, count = quantity.rpartition(" after ")
    return f"w {count}" if after else "loss"


def show_outcomes(console: Console, outcomes: list[Outcome]) -> None:
    """Print the outcomes of one problem as a table, then what is wrong, then how many checks passed."""
    subject = outcomes[0].subject
    entrant = subject.entrant
    console.print(
        Text(f"{entrant.network}, recipe {subject.recipe.name}, {entrant.dtype}: error / tolerance", style="bold")
    )
    console.print(_table(outcomes))
    for outcome in outcomes:
        name = " ".join(_name(outcome.subject.entrant))
        for sentence in outcome.sentences:
            say(console, f"{name}: {sentence}", "red")
        failed = sum(not check.passed for check in outcome.checks)
        if failed:
            say(console, f"{name}: {failed} of {len(outcome.checks)} failed.", "red")
    if all(outcome.passed for outcome in outcomes):
        console.print(f"all {sum(len(outcome.checks) for outcome in outcomes)} passed")


def show_details(console: Console, outcome: Outcome) -> None:
    """Print error, tolerance and result of every quantity of one outcome."""
    entrant = outcome.subject.entrant
    console.print(Text(f"{entrant.backend} {entrant.mode} {entrant.dtype}, quantity by quantity", style="bold"))
    table = make_table()
    make_columns(table, ["quantity"], ["error", "tolerance"], "outcome")
    for check in outcome.checks:
        word = Text("pass", style="green") if check.passed else Text("FAIL", style="bold red")
        table.add_row(check.quantity, f"{check.error:.1e}", f"{check.tolerance:.1e}", word)
    console.print(table)


def _name(entrant: Entrant) -> tuple[str, str]:
    """Backend, and mode with whatever is not as usual and not in the title."""
    usual = replace(entrant, network=str(USUAL["network"]), dtype=str(USUAL["dtype"]))
    return entrant.backend, usual.label.removeprefix(f"{entrant.backend} ")


def _table(outcomes: list[Outcome]) -> FittingTable:
    table = make_table()
    make_columns(table, ["backend", "mode"], list(GROUPS), None)
    for outcome in outcomes:
        groups: dict[str, list[Check]] = {name: [] for name in GROUPS}
        for check in outcome.checks:
            if check.quantity not in (LAUNCH, CODE, TWIN):
                groups[group_of(check.quantity)].append(check)
        entrant = outcome.subject.entrant
        table.add_row(*_name(entrant), *(_cell(checks) for checks in groups.values()))
    return table


def _cell(checks: list[Check]) -> Text:
    """The worst share of a tolerance; at most 1 where all passed."""
    if not checks:
        return Text("-")
    shares = [check.error / check.tolerance if check.tolerance else math.nan for check in checks]
    worst = math.nan if any(math.isnan(share) for share in shares) else max(shares, default=0.0)
    good = all(check.passed for check in checks)
    return Text(f"{worst:.2f}" if worst < 100 else f"{worst:.0e}", style="" if good else "bold red")
