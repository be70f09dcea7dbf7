"""Entrants held against the base: speeds, ratios, verdicts. What `run` goes on or stops by."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.analysis.disturbed import kept, numbers_of
from harness.analysis.labels import find, is_limit
from harness.analysis.simultaneous import intervals_together
from harness.analysis.statistics import (
    LEVEL,
    Interval,
    family_level,
    mean_of_logs,
    pairs,
    unpaired_ratio,
    verdict,
)
from harness.results.counted import succeeded
from harness.results.schema import ENTRANT
from harness.worker import job

KEY = list(ENTRANT)
SPEED = "train_images_per_s"


@dataclass(frozen=True)
class Comparison:
    """One entrant of a table, held against the base.

    Attributes:
        label: as `Entrant.label`.
        launches: its rows.
        speed: geometric mean of its launches, with an interval of its own.
        ratio: of its speed to the base's; all ratios of the table hold together, but for the limit's, which holds by
            itself. None for the base.
        verdict: what the ratio allows to say; empty for the base.
    """

    label: str
    launches: pd.DataFrame
    speed: Interval
    ratio: Interval | None
    verdict: str

    @property
    def is_limit(self) -> bool:
        """Whether it is what the machine can do, and no framework."""
        return is_limit(self.label.partition(" ")[0])


def compare_entrants(launches: pd.DataFrame, *, base: str = "") -> list[Comparison]:
    """Compare every entrant with the base, fastest first; ratios are paired by round within a run.

    Args:
        launches: rows of launches.csv of one or more comparable runs; those that failed, do not count or were not timed
            are passed over.
        base: label (or backend, where it has one entrant) of the base, chosen beforehand. Without one the
            fastest framework is the base, which is a choice made from the data: the intervals then allow for all
            pairs. The limit is the base only where there is nothing else.

    Raises:
        InputError: no entrant has that label.
    """
    good = succeeded(launches)
    good = good[good[SPEED].notna()]
    groups = [group for _, group in good.groupby(["run", *KEY], dropna=False, sort=False)]
    speeds = [(group, mean_of_logs(group[SPEED].to_numpy(float))) for group in groups]
    speeds.sort(key=lambda pair: -pair[1].estimate)
    if not speeds:
        return []
    several = launches["run"].nunique() > 1
    labels = [label_of(group, with_run=several) for group, _ in speeds]
    limits = [is_limit(str(group["backend"].iloc[0])) for group, _ in speeds]
    place = find(base, labels) if base else limits.index(False) if not all(limits) else 0
    ratios = _beside_limits([group for group, _ in speeds], limits, place, base_chosen=not base)
    return [
        Comparison(label, group, speed, ratio, verdict(ratio) if ratio else "")
        for label, (group, speed), ratio in zip(labels, speeds, ratios, strict=True)
    ]


def _beside_limits(
    groups: Sequence[pd.DataFrame], limits: Sequence[bool], place: int, *, base_chosen: bool
) -> list[Interval | None]:
    """As `_ratios`; whether a limit was timed beside them changes nothing for the others.

    The limit is no entrant that anybody chooses, and its launches spread by themselves: they would widen all intervals.
    """
    if limits[place]:
        return _ratios(groups, place, base_chosen=base_chosen)
    compared = [number for number, limit in enumerate(limits) if not limit]
    ratios = _ratios([groups[number] for number in compared], compared.index(place), base_chosen=base_chosen)
    found = dict(zip(compared, ratios, strict=True))
    return [
        found[number] if number in found else ratio_of(groups[number], groups[place]) for number in range(len(groups))
    ]


def _ratios(groups: Sequence[pd.DataFrame], place: int, *, base_chosen: bool) -> list[Interval | None]:
    """Of each entrant to the base, which has none; all hold together.

    Where all share two rounds or more their launches tell of each other's spread; else Bonferroni's inequality.
    """
    others = [number for number in range(len(groups)) if number != place]
    logs = _paired_logs(groups, place) if len(groups) > 2 else {}
    if logs and min(map(len, logs.values())) > 1:
        found = intervals_together(logs, [(number, place) for number in others], base_chosen=base_chosen)
    else:
        level = family_level(pairs(len(groups), base_chosen=base_chosen))
        found = [ratio_of(groups[number], groups[place], level=level) for number in others]
    by_number = dict(zip(others, found, strict=True))
    return [by_number.get(number) for number in range(len(groups))]


def _paired_logs(groups: Sequence[pd.DataFrame], place: int) -> dict[tuple[int, int], NDArray[np.float64]]:
    """The logarithms of the rounds' ratios of any two, the base second; empty where two of them share no round."""
    found = {}
    for one, other in itertools.combinations(range(len(groups)), 2):
        pair = (other, one) if one == place else (one, other)
        if not are_paired(groups[one], groups[other]):
            return {}
        found[pair] = np.log(round_ratios(groups[pair[0]], groups[pair[1]]))
    return found


def keys_of(rows: pd.DataFrame, columns: Sequence[str] = KEY) -> list[tuple[str, ...]]:
    """What makes each row's entrant, or these columns, as text, so that a missing value equals another."""
    return list(rows[list(columns)].astype("string").fillna("").itertuples(index=False, name=None))


def label_of(group: pd.DataFrame, *, with_run: bool = False) -> str:
    """The label of the entrant that these rows are of; where there are several runs, with the run that it is in."""
    first = group.iloc[0]
    label = job.label_of({name: first[name] for name in KEY})
    return f"{label} in {first['run']}" if with_run else label


def ratio_of(group: pd.DataFrame, base: pd.DataFrame, *, level: float = LEVEL) -> Interval:
    """Ratio of training speeds of two entrants: by round where they share some, else unpaired."""
    if not are_paired(group, base):
        return unpaired_ratio(group[SPEED].to_numpy(float), base[SPEED].to_numpy(float), level=level)
    return mean_of_logs(round_ratios(group, base), level=level)


def are_paired(group: pd.DataFrame, base: pd.DataFrame) -> bool:
    """Whether the two entrants share rounds; not where they are of two runs, or of two parts of one (`--resume`)."""
    return group["run"].iloc[0] == base["run"].iloc[0] and bool(group["round"].isin(base["round"]).any())


def round_ratios(group: pd.DataFrame, base: pd.DataFrame) -> list[float]:
    """Ratio of training speeds of two entrants of one run, for each round that both were timed in."""
    columns = ["round", SPEED, "turn_step_us", "disturbed_turns", "batch_size"]
    rows, others = group[columns].to_dict("records"), base[columns].to_dict("records")
    of_round = {row["round"]: {f"{name}_base": value for name, value in row.items()} for row in others}
    # Not merged as frames, which takes twice as long: thirty entrants are 435 pairs.
    return [round_ratio(row | of_round[row["round"]]) for row in rows if row["round"] in of_round]


def paired_spread(group: pd.DataFrame, base: pd.DataFrame) -> float | None:
    """Standard deviation over rounds of the logarithm of the ratio; None under two rounds that are shared.

    What launches of the two differ by, the machine's drift taken out: launches that stand next to each other turn by
    turn share that. It holds the spread of both sides, so neither spreads by more.
    """
    if group.empty or base.empty or not are_paired(group, base):
        return None
    ratios = round_ratios(group, base)
    return float(np.log(ratios).std(ddof=1)) if len(ratios) > 1 else None


def round_ratio(row: Mapping[Any, Any]) -> float:
    """Ratio of training speeds of a round: of the turns, where both sides took the same number, else of the launches.

    A neighbour on the machine comes and goes within seconds. Turns of a fraction of a second, one entrant after the
    other, meet the same neighbours; so each turn is a pair, and the median of their ratios is the round's. Turns in
    which something else had the CPUs of one side are left out on both.
    """
    turns, base = (_turns(row[name]) for name in ("turn_step_us", "turn_step_us_base"))
    if len(turns) != len(base) or len(turns) < 2:
        return float(row[SPEED] / row[f"{SPEED}_base"])
    batches = row["batch_size"] / row["batch_size_base"]
    clean = kept(len(turns), numbers_of(row["disturbed_turns"]) | numbers_of(row["disturbed_turns_base"]))
    return float(batches * np.exp(np.median(np.log(base[clean] / turns[clean]))))


def _turns(text: Any) -> np.ndarray:
    return np.array([] if pd.isna(text) else str(text).split(), dtype=float)
