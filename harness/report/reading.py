"""What a report is made of: the tables of one run folder, checked, with its entrants in the order of the headline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.analysis.comparison import KEY, SPEED, keys_of, label_of
from harness.analysis.joining import check_comparable
from harness.analysis.labels import is_limit
from harness.analysis.scaling import scaling
from harness.analysis.summary import inference_sweep, summarise
from harness.analysis.target import LAUNCH
from harness.errors import InputError
from harness.report import names
from harness.report.marks import Mark, marks_of
from harness.results.counted import succeeded
from harness.results.folder import RunFolder
from harness.runs.plan import Plan
from harness.runs.privacy import hide, hide_all
from harness.visible import visible

TABLES = ("launches", "epochs", "inference", "latency")


@dataclass(frozen=True)
class Entrant:
    """One entrant of the report.

    Attributes:
        number: place in the headline table, counted from 0; tables and figures are filtered by it.
        label: `PyTorch (eager)`, as `harness.report.names` has it.
        short: the same in a sentence, `PyTorch`.
        called: on the command line, `torch eager`.
        fields: its key, text; what the page filters by.
    """

    number: int
    label: str
    short: str
    called: str
    fields: dict[str, str]
    mark: Mark


@dataclass(frozen=True)
class Report:
    """All of a run that its report shows.

    Attributes:
        where: the folder, as the page names it.
        entrants: fastest first; those that were only trained, or failed, behind.
        plan: None where environment.json holds none.
        launches: every row of launches.csv that counts, as `timed` and `epochs` with a column `entrant`, the number.
        uncounted: launches that do not count, because their round was cut off.
        halved: whether no round is whole, so that those of one that was cut off are shown.
        timed: launches that succeeded and were timed.
        epochs: of launches that succeeded; with `seconds`, of training, from the first epoch's start.
        summary: as `harness.analysis.summary.summarise`; empty where nothing was timed.
        sweep: median inference images/s, rows as in `summary`, a column a batch size.
        latency: ms for one image, medians of the launches: a row an entrant (its number), a column a percentile; empty
            for runs of before there was a latency.csv.
        ended: False while the run is under way, or where it was killed.
    """

    folder: Path
    where: str
    name: str
    entrants: list[Entrant]
    environment: dict[str, Any]
    plan: Plan | None
    launches: pd.DataFrame
    uncounted: int
    halved: bool
    timed: pd.DataFrame
    epochs: pd.DataFrame
    latency: pd.DataFrame
    summary: pd.DataFrame
    sweep: pd.DataFrame
    scaling: pd.DataFrame
    ended: bool

    @property
    def base(self) -> Entrant:
        """The entrant that all others are compared with; the run must have timed some."""
        return next(each for each in self.entrants if each.called == visible(str(self.summary["base"].iloc[0])))

    @property
    def compared(self) -> list[Entrant]:
        """Those timed that somebody could choose, fastest first; the limit where there is nothing else."""
        timed = self.entrants[: len(self.summary)]
        return [each for each in timed if not is_limit(each.fields["backend"])] or timed

    @property
    def rounds(self) -> int:
        """Rounds that have a launch, but for those that only train after all that is timed."""
        return int(self.launches["round"][~self._trains].nunique())

    @property
    def trainings(self) -> int:
        """Launches that only trained after all that is timed."""
        return int(self._trains.sum())

    @property
    def _trains(self) -> pd.Series:
        return (self.launches["plan_round"] < 0).fillna(False).astype(bool)

    def numbers_of(self, rows: pd.DataFrame) -> list[int]:
        """Of rows that have an entrant's key, the entrants' numbers."""
        known = dict(zip(keys_of(self.launches), self.launches["entrant"]))
        return [int(known[key]) for key in keys_of(rows)]


def read_report(path: Path, *, base: str = "") -> Report:
    """Read and check a run folder.

    Args:
        base: what all others are compared with; empty for the run's own, else the fastest.

    Raises:
        InputError: it is not a run, has no launch that succeeded, or one of its files is not what `run` wrote.
    """
    folder = RunFolder(path)
    environment, tables = hide_all(folder.read_environment(), but=("plan", "packages")), _tables(folder)
    plan = _plan(environment)
    launches = folder.counted_of(tables["launches"])
    # Older versions wrote paths as they were.
    launches["error"] = launches["error"].map(hide, na_action="ignore").astype("string")
    good = succeeded(launches)
    if good.empty:
        raise InputError(f"{path / 'launches.csv'} has no launch that succeeded yet: there is nothing to report.")
    check_comparable(good)
    timed = good[good[SPEED].notna()]
    base = base or _own_base(plan, timed)
    summary = summarise(good, tables["epochs"], base=base)
    numbers = _numbers(launches, summary)
    launches = launches.assign(entrant=[numbers[key] for key in keys_of(launches)])
    timed = launches.loc[timed.index]
    epochs, latency = (_of(tables[name], launches.loc[good.index]) for name in ("epochs", "latency"))
    epochs = epochs.sort_values([*LAUNCH, "epoch"])
    return Report(
        folder=path,
        where=hide(str(path)),
        name=str(launches["run"].iloc[0]),
        entrants=_entrants(launches),
        environment=environment,
        plan=plan,
        launches=launches,
        uncounted=len(tables["launches"]) - len(launches),
        halved=not folder.has_whole_round(),
        timed=timed,
        epochs=epochs.assign(seconds=epochs.groupby(LAUNCH)["train_s"].cumsum()),
        latency=latency.pivot_table("latency_ms", "entrant", "percentile", "median"),
        summary=summary,
        sweep=inference_sweep(summary, timed, tables["inference"]) if len(summary) else pd.DataFrame(),
        scaling=scaling(timed),
        ended=folder.has_ended(len(timed)),
    )


def _plan(environment: dict[str, Any]) -> Plan | None:
    """The plan, if there is one; its folder of data as a page may name it."""
    if not isinstance(environment.get("plan"), dict):
        return None
    plan = Plan.from_dict(environment["plan"])
    return replace(plan, data_dir=hide(plan.data_dir)) if plan.data_dir else plan


def _tables(folder: RunFolder) -> dict[str, pd.DataFrame]:
    if not (folder.path / "launches.csv").exists():
        raise InputError(
            f"{folder.path} has no launches.csv: no launch of it has ended yet, or it is not a run. Give a folder "
            "under results/."
        )
    # Launches first: rows of those that end while the others are read are then left out, not missed.
    return {name: folder.read(name) for name in TABLES}


def _own_base(plan: Plan | None, timed: pd.DataFrame) -> str:
    """The base that the run was given, if it was timed."""
    if plan is None or not plan.base:
        return ""
    labels = {label_of(group) for _, group in timed.groupby(KEY, dropna=False, sort=False)}
    return plan.base if plan.base in labels else ""


def _numbers(launches: pd.DataFrame, summary: pd.DataFrame) -> dict[tuple[str, ...], int]:
    order = dict.fromkeys([*keys_of(summary), *keys_of(launches)])
    return {key: number for number, key in enumerate(order)}


def _of(rows: pd.DataFrame, launches: pd.DataFrame) -> pd.DataFrame:
    """The rows that belong to these launches, each with its entrant's number."""
    return rows.merge(launches[[*LAUNCH, "entrant"]], on=LAUNCH)


def _entrants(launches: pd.DataFrame) -> list[Entrant]:
    firsts = launches.drop_duplicates("entrant").sort_values("entrant")
    called = [visible(label_of(firsts.iloc[[place]])) for place in range(len(firsts))]
    fields = [dict(zip(KEY, map(visible, key))) for key in keys_of(firsts)]
    labels = names.entrants(fields)
    marks = marks_of([each["backend"] for each in fields])
    short = names.in_sentences(fields, labels)
    return [Entrant(*each) for each in zip(range(len(labels)), labels, short, called, fields, marks)]
