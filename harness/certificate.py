"""The certificate for people: how much of its tolerance each kind of quantity needed, at most 80 columns wide."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import asynchrony, certificates, dropout, tables
from harness.certify import Verdict
from harness.errors import Regression
from harness.quantities import AGAIN, LOSSES, STEPS, UNSEEN
from harness.results import RunFolder
from harness.tables import make_columns, make_table
from harness.verification import Check

_TIMES = set(asynchrony.TOLERANCES)
GROUPS = ("layers", "loss", "grads", *(f"w {count}" for count in STEPS), "losses", "times")


def group_of(quantity: str) -> str:
    """The column that a quantity is in."""
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


def show_verdicts(console: Console, verdicts: list[Verdict]) -> None:
    """Print the verdicts of one problem as a table, then what is wrong, then how many checks passed."""
    subject = verdicts[0].subject
    entrant = subject.entrant
    console.print(
        Text(f"{entrant.network}, recipe {subject.recipe.name}, {entrant.dtype}: error / tolerance", style="bold"),
        soft_wrap=True,
    )
    console.print(_table(verdicts))
    for verdict in verdicts:
        name = f"{verdict.subject.entrant.backend} {verdict.subject.entrant.mode}"
        for sentence in verdict.sentences:
            console.print(Text(f"{name}: {sentence}", style="red"), soft_wrap=True)
        failed = sum(not check.passed for check in verdict.checks)
        if failed:
            console.print(Text(f"{name}: {failed} of {len(verdict.checks)} failed.", style="red"), soft_wrap=True)
    if all(verdict.passed for verdict in verdicts):
        console.print(f"all {sum(len(verdict.checks) for verdict in verdicts)} passed")


def show_details(console: Console, verdict: Verdict) -> None:
    """Print error, tolerance and outcome of every quantity of one verdict."""
    entrant = verdict.subject.entrant
    console.print(Text(f"{entrant.backend} {entrant.mode} {entrant.dtype}, quantity by quantity", style="bold"))
    table = make_table()
    make_columns(table, ["quantity"], ["error", "tolerance"], "outcome")
    for check in verdict.checks:
        outcome = Text("pass", style="green") if check.passed else Text("FAIL", style="bold red")
        table.add_row(check.quantity, f"{check.error:.1e}", f"{check.tolerance:.1e}", outcome)
    console.print(table)


def _table(verdicts: list[Verdict]) -> Table:
    table = make_table()
    make_columns(table, ["backend", "mode"], list(GROUPS), None)
    for verdict in verdicts:
        groups: dict[str, list[Check]] = {name: [] for name in GROUPS}
        for check in verdict.checks:
            groups[group_of(check.quantity)].append(check)
        entrant = verdict.subject.entrant
        table.add_row(entrant.backend, entrant.mode, *(_cell(checks) for checks in groups.values()))
    return table


def _cell(checks: list[Check]) -> Text:
    """The worst share of a tolerance; at most 1 where all passed."""
    shares = [check.error / check.tolerance if check.tolerance else math.nan for check in checks]
    worst = math.nan if any(math.isnan(share) for share in shares) else max(shares, default=0.0)
    good = all(check.passed for check in checks)
    return Text(f"{worst:.2f}" if worst < 100 else f"{worst:.0e}", style="" if good else "bold red")


def write_and_show(verdicts: Iterable[Verdict], folder: RunFolder, *, details: bool) -> None:
    """Write every verdict as it comes, and print those of a problem together.

    Raises:
        Regression: at the end, where a verdict is not good.
    """
    console, failed = tables.stdout(), []
    for _, group in groupby(verdicts, key=lambda verdict: verdict.subject.problem):
        together = []
        for verdict in group:
            folder.append("verification", verdict.rows())
            together.append(verdict)
            if verdict.passed:
                certificates.keep(verdict)
            else:
                failed.append(verdict.subject.entrant.label)
        show_verdicts(console, together)
        if details:
            for verdict in together:
                show_details(console, verdict)
    console.print(f"Certificate: {folder.path / 'verification.csv'}", soft_wrap=True)
    if failed:
        raise Regression(f"Verification failed for {', '.join(failed)}: what is above in red says where it begins.")
