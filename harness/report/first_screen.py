"""What is read before anything else: what was run, in words; the answer, in a sentence; what is wrong with the run."""

from __future__ import annotations

import itertools
import math
from datetime import datetime
from typing import Any

import pandas as pd

from harness.analysis.comparison import SPEED
from harness.analysis.conditions import conditions, spoiling
from harness.analysis.labels import is_limit
from harness.analysis.limit import limit_shares
from harness.analysis.statistics import LEAST_ROUNDS
from harness.report import names
from harness.report.names import counted
from harness.report.reading import Entrant, Report

# A sentence with more entrants in it is not read; the figure below it has them all.
MOST = 4
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip


def title(report: Report) -> str:
    """`LeNet-5 on MNIST: training speed of 5 frameworks`."""
    first = report.launches.iloc[0]
    what = f"{_said(first, 'network')} on {_said(first, 'data_set')}"
    backends = {each.fields["backend"] for each in report.entrants}
    frameworks = {each for each in backends if not is_limit(each)} or backends
    measured = "training speed" if len(report.summary) else "accuracy"
    if len(frameworks) > 1:
        return f"{what}: {measured} of {len(frameworks)} frameworks"
    return f"{what}: {measured} of {names.framework(frameworks.pop())}"


def subtitle(report: Report) -> list[str]:
    """Sentences: what all entrants have in common; how much was run; where and when."""
    first = report.launches.iloc[0]
    same = [
        text for name, text in _settings(first).items() if text and report.launches[name].nunique(dropna=False) == 1
    ]
    launches = len(report.launches) - report.trainings
    many = [counted(len(report.entrants), "entrant"), counted(report.rounds, "round")]
    many += [counted(launches, "launch", "launches"), *_trainings(report)]
    when = f"Measured on {day(first['started_utc'])}" if pd.notna(first["started_utc"]) else "Measured"
    return [f"{', '.join(same)}." if same else "", f"{', '.join(many)}.", f"{when}: {first['machine']}."]


def _trainings(report: Report) -> list[str]:
    seeds = report.epochs["seed"].nunique()
    found = [counted(report.trainings, "training")] if report.trainings else []
    if seeds:
        found[-1:] = [f"{found[-1]} from {counted(seeds, 'seed')}" if found else counted(seeds, "seed")]
    return found


def _settings(first: pd.Series) -> dict[str, str]:
    device = names.value("device", str(first["device"]))
    threads = "threads as the framework likes" if first["threads"] == 0 else counted(int(first["threads"]), "thread")
    return {
        "device": f"On the {device}", "dtype": str(first["dtype"]), "batch_size": f"batches of {first['batch_size']}",
        "threads": threads, "replicas": "" if first["replicas"] == 1 else counted(int(first["replicas"]), "replica"),
        "feed": "" if first["feed"] == "host" else f"images on the {first['feed']} beforehand",
    }  # fmt: skip


def _said(row: pd.Series, column: str) -> str:
    return names.value(column, str(row[column]))


def day(moment: Any) -> str:
    """`20 November 2026`, of a time as ISO 8601 has it; of anything else, what is there."""
    try:
        found = datetime.fromisoformat(str(moment))
    except ValueError:
        return str(moment)
    return f"{found.day} {MONTHS[found.month - 1]} {found.year}"


def answer(report: Report) -> str:
    """The result in a sentence or two, with numbers."""
    if report.summary.empty:
        return _accuracies(report)
    shown = report.compared
    first, base, limit = shown[0], report.base, _limit(report, shown[0])
    speed = f"{report.summary[SPEED].iloc[first.number]:,.0f} images/s"
    if len(shown) == 1:
        return f"{first.short} trains {speed}.{limit}"
    decided = shown[1] if base is first else first
    is_sure = report.summary["verdict"].iloc[decided.number] == ("slower" if base is first else "faster")
    fastest = f"{first.short} {'trains fastest' if is_sure else 'has the highest speed'}, {speed}"
    found = _compared(report, [each for each in shown if each is not base])
    return (f"{fastest}; {found}." if base is first else f"{fastest}. Compared with {base.short}: {found}.") + limit


def _limit(report: Report, first: Entrant) -> str:
    """A sentence with how far the fastest is from what the machine can do; empty where that was not timed."""
    share = limit_shares(report.summary).iloc[first.number]
    if pd.isna(share) or is_limit(first.fields["backend"]):
        return ""
    return f" {first.short} reaches {share * 100:.0f} % of what kernels made for this machine reach."


def _accuracies(report: Report) -> str:
    """The answer of a run that timed nothing."""
    ends = report.launches.groupby("entrant")["test_accuracy"].mean().astype(float).dropna() * 100
    best = ends.sort_values(ascending=False, kind="stable").iloc[:MOST]
    parts = [f"{report.entrants[number].short} {value:.2f} %" for number, value in zip(best.index, best)]
    reached = f" Test accuracy at the end: {names.joined(parts)}." if parts else ""
    return f"Nothing was timed in this run: it has accuracies alone.{reached}"


def _chosen(others: list[Entrant], base: Entrant) -> list[Entrant]:
    """Those that a sentence has room for: of many, the fastest of each other framework, where there are several."""
    if len(others) <= MOST:
        return others
    best = {each.fields["backend"]: each for each in reversed(others)}
    best.pop(base.fields["backend"], None)
    return sorted(best.values(), key=lambda each: each.number)[:MOST] or others[:MOST]


def _compared(report: Report, others: list[Entrant]) -> str:
    """What can be said of these, or of all together where nothing can be: under two launches of each."""
    rows, chosen = report.summary, _chosen(others, report.base)
    more = (
        f"; {counted(len(others) - len(chosen), 'other is', 'others are')} below" if len(others) > len(chosen) else ""
    )
    if rows["ratio_low"].iloc[[each.number for each in others]].isna().all():
        ratios = [f"{each.short} ({_side(float(rows['ratio'].iloc[each.number]))})" for each in chosen]
        verb = "was" if len(chosen) == 1 else "were"
        return f"{names.joined(ratios)} {verb} launched too few times to tell{more}"
    if report.rounds < LEAST_ROUNDS:
        few = counted(report.rounds, "round is", "rounds are")
        return f"{names.joined([_seen(report, each) for each in chosen])}, but {few} too few for a verdict{more}"
    return names.joined(_without_repeating([_against(report, each) for each in chosen])) + more


def _seen(report: Report, each: Entrant) -> str:
    """What was seen of an entrant, where the rounds are too few to say more: its ratio's interval, in words."""
    row = report.summary.iloc[each.number]
    if pd.isna(row["ratio_low"]):
        return f"{each.short} ({_side(float(row['ratio']))})"
    return f"{each.short} ({_sides(float(row['ratio_low']), float(row['ratio_high']))})"


def _without_repeating(parts: list[str]) -> list[str]:
    """`PyTorch is 13 % slower (10 to 15)`, `MXNet 24 % (22 to 27)`: the second of two like that is shorter."""
    found = parts[:1]
    for last, part in itertools.pairwise(parts):
        word = next((word for word in (" slower (", " faster (") if word in last and word in part), "")
        found.append(part.replace(" is ", " ", 1).replace(word, " (", 1) if word else part)
    return found


def _against(report: Report, each: Entrant) -> str:
    """What one entrant's comparison with the base allows to say."""
    row = report.summary.iloc[each.number]
    ratio, low, high = (float(row[name]) if pd.notna(row[name]) else math.nan for name in _RATIO)
    if row["verdict"] == "slower":
        return f"{each.short} is {_by(1 - ratio, 1 - high, 1 - low, 'slower')}"
    if row["verdict"] == "faster" and ratio >= 2:
        return f"{each.short} is {ratio:.1f} times as fast ({low:.1f} to {high:.1f})"
    if row["verdict"] == "faster":
        return f"{each.short} is {_by(ratio - 1, low - 1, high - 1, 'faster')}"
    if row["verdict"] == "equivalent":
        return f"{each.short} is as fast, within 2 %"
    return f"{each.short} cannot be told from it ({_sides(low, high)})"


_RATIO = ("ratio", "ratio_low", "ratio_high")


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %" if share < 0.0995 else f"{share * 100:.0f} %"


def _by(share: float, low: float, high: float, word: str) -> str:
    """`13 % slower (10 to 15)`, all three with as many digits as the interval has sense for."""
    form = ".1f" if low < 0.0995 and high - low < 0.02 else ".0f"
    return f"{share * 100:{form}} % {word} ({low * 100:{form}} to {high * 100:{form}})"


def _side(ratio: float) -> str:
    if ratio > 2:
        return f"{ratio:.1f} times as fast"
    return f"{_percent(1 - ratio)} slower" if ratio < 1 else f"{_percent(ratio - 1)} faster"


def _sides(low: float, high: float) -> str:
    """`12 % slower to 3.0 % faster`, `6.4 to 9.0 times as fast`."""
    return f"{low:.1f} to {_side(high)}" if low > 2 else f"{_side(low)} to {_side(high)}"


def warnings(report: Report) -> list[str]:
    """What must be known before any figure is read."""
    found = []
    if not report.ended:
        found.append(
            f"THIS RUN HAS NOT ENDED: made from the {len(report.launches)} launches that had. It is under way, or was "
            f"stopped: lenet-bench run --resume {report.where} goes on with it; then make the report again."
        )
    if (report.launches["data_set"] == "drawn-digits").any():
        found.append("DRAWN DIGITS, NOT MNIST: speeds compare, accuracies do not.")
    failed = int((report.launches["status"] == "failed").sum())
    if failed:
        found.append(
            f"{counted(failed, 'launch', 'launches')} failed; what they were of left the run then. Their errors are "
            "below the table."
        )
    # A run that times nothing was not told to do without: its accuracies are held against something else.
    if (report.timed["verified"] == False).fillna(False).any():  # noqa: E712
        found.append("NOT VERIFIED: run with --unverified, so nothing says that these compute the same.")
    if (report.launches["environment"] == "native").any():
        found.append("Native environment: threads, allocator and CPUs were not controlled.")
    unsteady = int((~report.timed["steady"].astype("boolean").fillna(True)).sum())
    if unsteady:
        found.append(f"{unsteady} of {len(report.timed)} timed launches never became steady; they are kept.")
    return found + spoiling(report.timed)


def notes(report: Report) -> list[str]:
    """What helps to read the figures, and spoils none of them."""
    spoilt = spoiling(report.timed)
    return [sentence for sentence in conditions(report.timed) if sentence not in spoilt]
