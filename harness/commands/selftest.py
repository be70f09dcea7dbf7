"""Is the method right on this machine? Duels of a backend with its twin, honest or made slower by a known share.

Simulation (tests/harness/analysis/test_method.py) shows that the statistics do what they claim on launches that behave
as assumed. Whether launches here behave so, only launches here can show: two entrants that are the same must not be
called different, and one that is slower by a known share must be found.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.text import Text

from backends import FRAMEWORKS
from harness.analysis.comparison import compare_entrants, label_of
from harness.analysis.statistics import MARGIN
from harness.commands.options import DataDir, DataSet, Here, Pythons, Results, Threads, parse_pythons, seconds, whole
from harness.errors import InputError, Regression, WorkerFailed
from harness.files import write_text_atomically
from harness.results.folder import RunFolder, csv_of, frame_of
from harness.results.schema import DUELS, SCHEMA_VERSION
from harness.runs import quiet
from harness.runs.display import Display
from harness.runs.entrants import make_entrant
from harness.runs.outlook import Piece
from harness.runs.plan import Plan, default_plan
from harness.runs.preparation import find_interpreters, load_for_plan
from harness.runs.rounds import Rounds
from harness.runs.run import Run, name_of
from harness.spec.recipes import LENET5
from harness.tables import layout

# Of the twins, so many may be called different, and of the slowed ones, so many missed.
ALLOWED_MISTAKES = 0.1
STEADY_S = 0.9
LEAST_ROUNDS = 4
LEGEND = (
    "slower to cannot tell: duels with this verdict on the twin",
    "rounds, width: medians; width is that of the ratio's interval",
    "covered: intervals that hold the truth, 1/(1 + slowdown)",
    "pass: at most one honest twin in ten is called slower or faster, or one slowed",
    "twin in ten is missed",
)
OF_LITTLE = "a twin slowed by less than 2 % is found where its interval does not contain 1"


def selftest(
    backend: Annotated[
        str, typer.Option("--backend", "-b", help="The backend that is compared with itself.")
    ] = FRAMEWORKS[0],
    duels: Annotated[int, typer.Option(parser=whole(1), metavar="N", help="Number of duels for each slowdown.")] = 20,
    slowdowns: Annotated[
        str, typer.Option(metavar="P,P", help="Make the twin slower by these percents; 0 is an honest twin.")
    ] = "0,3,10",
    budget: Annotated[
        float, typer.Option(parser=seconds, metavar="S", help="Begin no round that would end later in a duel.")
    ] = 120,
    threads: Threads = 1,
    data_set: DataSet = "",
    data_dir: DataDir = None,
    results_dir: Results = Path("results"),
    python: Pythons = None,
    here: Here = False,
) -> None:
    """Test the method on this machine: does it call equals equal, and does it find a known slowdown?

    A twin is the same backend a second time: an honest one, or one that is made slower by a known share. A duel is a
    run of a backend and its twin. The default, 20 duels for each of three slowdowns, takes up to two hours.

    A twin that is slower by under 2 % is rightly called `equivalent`. It counts as found where its interval does not
    contain 1.

    The exit code is 1 where more than one honest twin in ten is called different, or where more than one slowed twin in
    ten is missed.

    Examples:

    - `lenet-bench selftest`
    - `lenet-bench selftest -b jax --duels 5 --slowdowns 0,5`
    - `lenet-bench selftest --slowdowns 1 --budget 120`
    """
    plan = Selftest(
        backend=backend, duels=duels, slowdowns=parse_slowdowns(slowdowns), budget_s=budget, threads=threads,
        data_set=data_set, data_dir=data_dir,
    )  # fmt: skip
    passed = run_duels(plan, results=results_dir, pythons=parse_pythons(python or [], here=[backend] if here else []))
    if not passed:
        raise Regression(
            "The self-test failed: on this machine, now, verdicts are not right as often as they claim. Where "
            "duels end with 'cannot tell', give each more seconds: --budget. Else see lenet-bench doctor."
        )


@dataclass(frozen=True)
class Selftest:
    """What is to be tested.

    Attributes:
        duels: for each slowdown.
        slowdowns: shares, 0.03 for 3 %; 0 is an honest twin.
        budget_s: for a duel.
    """

    backend: str
    duels: int
    slowdowns: tuple[float, ...]
    budget_s: float
    threads: int
    data_set: str
    data_dir: str | None
    precision: float = 0.02


def parse_slowdowns(text: str) -> tuple[float, ...]:
    """Read percents: `0,3,10`.

    Raises:
        InputError: one is no number from 0 up.
    """
    try:
        found = tuple(float(part) / 100 for part in text.split(","))
    except ValueError:
        found = (-1.0,)
    if not all(0 <= value < 100 for value in found):
        raise InputError(f"--slowdowns takes percents from 0 up, separated by commas, got {text!r}.")
    return tuple(dict.fromkeys(found))


def percent(share: float) -> str:
    """0.03 as `3%`, 0.025 as `2.5%`: no two slowdowns have the same name."""
    return f"{share * 100:g}%"


def run_duels(plan: Selftest, *, results: Path, pythons: dict[str, str]) -> bool:
    """Fight all duels, write duels.csv after each, print a table; return whether the method was right often enough.

    Raises:
        WorkerFailed: a launch failed: a duel without one of its sides says nothing.
    """
    first = _plan_of(plan, 1, 0.0)
    found = find_interpreters(first, pythons)
    rows: list[dict[str, Any]] = []
    name = name_of([plan.backend], "selftest")
    with Display() as display, RunFolder.begin(results, name, numbered=True) as folder:
        dataset = load_for_plan(first, display)
        display.note(f"{plan.backend} {found[plan.backend].version} against itself | {folder.path}")
        # All slowdowns in turn: a self-test that is cut short is then still one of all of them.
        duels = [(number, slowdown) for number in range(1, plan.duels + 1) for slowdown in plan.slowdowns]
        piece = Piece("duel", f"{plan.backend}, {plan.budget_s:g} s at most")
        for place, (number, slowdown) in enumerate(duels, start=1):
            display.series(f"duel {place} of {len(duels)}", [piece] * (len(duels) - place))
            began = time.monotonic()
            with RunFolder.begin(folder.path, f"duel-{number:02d}-{percent(slowdown)}") as duel:
                settled = quiet.settle(_plan_of(plan, number, slowdown), display)
                work = Rounds(Run(settled, found, dataset, duel), display)
                work.execute()
            display.outlook.learn(piece, time.monotonic() - began)
            if work.failures:
                raise WorkerFailed(f"Duel {number} has no verdict: {next(iter(work.failures.values()))}")
            rows.append(_outcome(duel, number, slowdown))
            write_text_atomically(folder.path / "duels.csv", csv_of(frame_of(rows, DUELS)))
            display.note(_sentence(rows[-1]), "bold")
    return show(frame_of(rows, DUELS), plan)


def _plan_of(plan: Selftest, number: int, slowdown: float) -> Plan:
    variant = f"slowed {percent(slowdown)}" if slowdown else "twin"
    fields: dict[str, Any] = {
        "network": LENET5.network, "feed": "host", "device": "cpu", "dtype": "float32", "threads": plan.threads,
        "batch_size": LENET5.batch_size, "environment": "controlled", "mode": None,
    }  # fmt: skip
    first = make_entrant(plan.backend, **fields)
    second = make_entrant(plan.backend, **fields, variant=variant, slowdown=slowdown)
    return default_plan(
        [first, second], base=first.label, data_set=plan.data_set, data_dir=plan.data_dir, rounds=LEAST_ROUNDS, seeds=0,
        seed=number, epochs=0, precision=_precision(plan, slowdown), budget_s=plan.budget_s, inference_sizes=(),
        steady_s=STEADY_S, measures_starts=False,
    )  # fmt: skip


def _precision(plan: Selftest, slowdown: float) -> float:
    """How narrow the interval of a duel must be: what is less than the usual precision must be told from nothing."""
    return min(plan.precision, slowdown) if slowdown else plan.precision


def _is_small(slowdown: float) -> bool:
    """Whether the right verdict on a twin that is slower by this share is `equivalent`."""
    return slowdown > 0 and 1 / (1 + slowdown) >= 1 - MARGIN


def _outcome(folder: RunFolder, number: int, slowdown: float) -> dict[str, Any]:
    launches = folder.read_counted("launches")
    twin = next(each for each in compare_entrants(launches, base=_base_of(launches)) if each.ratio)
    assert twin.ratio is not None
    return {
        "schema_version": SCHEMA_VERSION,
        "run": folder.name,
        "backend": launches["backend"].iloc[0],
        "duel": number,
        "slowdown": slowdown,
        "rounds": twin.ratio.count,
        "duel_s": launches["launch_s"].sum(),
        "ratio": twin.ratio.estimate,
        "ratio_low": twin.ratio.low,
        "ratio_high": twin.ratio.high,
        "verdict": twin.verdict,
        "covered": twin.ratio.low <= 1 / (1 + slowdown) <= twin.ratio.high,
    }


def _base_of(launches: pd.DataFrame) -> str:
    return label_of(launches[launches["variant"].isna()])


def _sentence(row: dict[str, Any]) -> str:
    what = f"twin slowed by {percent(row['slowdown'])}" if row["slowdown"] else "honest twin"
    limits = f"{row['ratio_low']:.3f}..{row['ratio_high']:.3f}, " if row["ratio_low"] == row["ratio_low"] else ""
    return f"duel {row['duel']}, {what}: {row['verdict']} (ratio {row['ratio']:.3f}, {limits}{row['rounds']} round(s))"


def show(duels: pd.DataFrame, plan: Selftest) -> bool:
    """Print a row for each slowdown; return whether mistakes are as rare as they must be."""
    console = layout.stdout()
    title = f"{plan.backend} against itself, {plan.threads} thread(s), {plan.budget_s:g} s a duel at most"
    console.print(Text(title, style="bold"))
    table = layout.make_table()
    headers = ["duels", "slower", "faster", "equivalent", "cannot\ntell", "rounds", "width\n%", "covered"]
    layout.make_columns(table, ["twin"], headers, "outcome")
    passed = True
    for slowdown in sorted(set(duels["slowdown"].astype(float))):
        group = duels[duels["slowdown"] == slowdown]
        counts = group["verdict"].value_counts()
        good = _mistakes(group, slowdown) <= ALLOWED_MISTAKES * len(group)
        passed = passed and good
        widths = (group["ratio_high"] - group["ratio_low"]) / group["ratio"]
        table.add_row(
            f"slowed {percent(slowdown)}" if slowdown else "honest",
            str(len(group)),
            *(str(counts.get(name, 0)) for name in ("slower", "faster", "equivalent", "cannot tell")),
            f"{group['rounds'].median():g}",
            f"{widths.median():.1%}".rstrip("%") if widths.notna().any() else "-",
            f"{int(group['covered'].sum())}",
            Text("pass", style="green") if good else Text("FAIL", style="bold red"),
        )
    console.print(table)
    for line in (*LEGEND, *([OF_LITTLE] if any(map(_is_small, duels["slowdown"].astype(float))) else [])):
        console.print(line)
    return passed


def _mistakes(duels: pd.DataFrame, slowdown: float) -> int:
    """How many duels of one slowdown ended as they must not."""
    if not slowdown:
        return int(duels["verdict"].isin(["slower", "faster"]).sum())
    found = duels["ratio_high"] < 1 if _is_small(slowdown) else duels["verdict"] == "slower"
    return int((~found).sum())
