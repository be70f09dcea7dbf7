"""What whoever reads the tables must know of launches: other programs, a quota, other runs, which timed inference.

`Told` is what sentences are made of; of millions of launches it is made part by part.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.analysis.columns import of_each
from harness.analysis.disturbed import MOST_DISTURBED, numbers_of

# Of a group's periods; fewer are chance, and cost less than the intervals are wide.
THROTTLED_SHARE = 0.01
# Share of the time for which others, programs or the hypervisor's other guests, had a CPU that was wanted. A speed is
# lower by as much, and verdicts tell 2 %. Less than 5 % cannot be seen of a turn of 0.1 to 0.2 s: /proc/stat counts in
# ticks of 0.01 s.
BUSY_SHARE = 0.05
# What other programs use beside, on CPUs that are not ours: it takes caches, memory and clock from us, by how much
# depends on the machine. An idle system uses up to 0.05 CPUs; on a large machine a tenth of it makes a difference.
BUSY_CPUS, BUSY_OF_MACHINE = 0.25, 0.1
# What is told of launches is told from.
NEEDED = (
    "machine", "machine_sha256", "environment", "threads", "replicas", "cpus_found", "turns", "turn_step_us",
    "disturbed_turns", "cpu_wait_share", "cpu_quota", "throttled_share", "steal_share", "other_load", "other_runs",
    "latency_ms_p50", "start_up_s",
)  # fmt: skip


def busy_cpus(cpus: int) -> float:
    """CPUs that others may use, at the most, on a machine of so many: above it is busy."""
    return max(BUSY_CPUS, BUSY_OF_MACHINE * cpus)


def conditions(launches: pd.DataFrame) -> list[str]:
    """Sentences for below the table of speeds; none where launches had their CPUs to themselves, as far as is known,
    and all of them timed the same.

    Args:
        launches: timed rows of launches.csv. What an older lenet-bench did not note down is not known.
    """
    return Told.of(launches).conditions


def spoiling(launches: pd.DataFrame) -> list[str]:
    """Those of the `conditions` with which speeds should not be compared: what `--strict` does not take."""
    return Told.of(launches).spoiling


@dataclass(frozen=True)
class Told:
    """What the sentences tell of launches.

    Attributes:
        launches: how many there are.
        busy: of those on a busy machine `load`, `cpus`, `steal`, `wait`, `disturbed`, `turns`; missing where not known.
        left_out: of others that had disturbed turns, `disturbed` and `turns`: how many.
        quota: of those whose control group allows too few CPUs, `quota` and `share`, that it was throttled for.
        beside: how many had another run beside them.
        cpus: of those that were pinned, what is different in `machine_sha256`, `threads`, `replicas`, `cpus_found`.
        inferred: how many timed inference.
        turned, started: how many took turns, and of how many of these the start-up is known.
    """

    launches: int
    busy: pd.DataFrame
    left_out: pd.DataFrame
    quota: pd.DataFrame
    beside: int
    cpus: pd.DataFrame
    inferred: int
    turned: int
    started: int

    @classmethod
    def of(cls, launches: pd.DataFrame, *, turned: NDArray[np.bool_] | None = None) -> Told:
        """Of timed rows of launches.csv.

        Args:
            turned: whether each took turns; None where `launches` has their times.
        """
        if turned is None:
            turned = launches["turn_step_us"].notna().to_numpy(bool)
        is_held, disturbed = is_busy(launches).to_numpy(bool), _disturbed(launches)
        watched = launches["disturbed_turns"].notna().to_numpy(bool)
        turns = _numbers(launches, "turns")
        columns = {
            "load": _numbers(launches, "other_load"), "cpus": _machine_cpus(launches),
            "steal": _numbers(launches, "steal_share"), "wait": _numbers(launches, "cpu_wait_share"),
            "disturbed": np.where(watched, disturbed, np.nan), "turns": np.where(watched, turns, np.nan),
        }  # fmt: skip
        busy = pd.DataFrame({name: values[is_held] for name, values in columns.items()})
        left = (disturbed > 0) & ~is_held
        left_out = pd.DataFrame({"disturbed": disturbed[left], "turns": turns[left]})
        quota, share = _numbers(launches, "cpu_quota"), _numbers(launches, "throttled_share")
        replicas = np.nan_to_num(_numbers(launches, "replicas"), nan=1.0)
        short = (quota < _numbers(launches, "threads") * replicas) | (share > THROTTLED_SHARE)
        pinned = launches["cpus_found"].notna() & (launches["environment"] == "controlled").fillna(False).astype(bool)
        cpus = launches.loc[
            pinned.to_numpy(bool), ["machine_sha256", "threads", "replicas", "cpus_found"]
        ].drop_duplicates()
        return cls(
            launches=len(launches),
            busy=busy,
            left_out=left_out,
            quota=pd.DataFrame({"quota": quota[short], "share": share[short]}),
            beside=int((_numbers(launches, "other_runs") > 0).sum()),
            cpus=cpus.astype(object),
            inferred=int(launches["latency_ms_p50"].notna().sum()),
            turned=int(turned.sum()),
            started=int((launches["start_up_s"].notna().to_numpy(bool) & turned).sum()),
        )

    @classmethod
    def joined(cls, parts: Sequence[Told]) -> Told:
        """Of the launches of all parts, of which there is one or more."""
        joined: dict[str, Any] = {}
        for name in cls.__dataclass_fields__:
            values = [getattr(part, name) for part in parts]
            joined[name] = sum(values) if isinstance(values[0], int) else pd.concat(values, ignore_index=True)
        return cls(**joined | {"cpus": joined["cpus"].drop_duplicates()})

    @property
    def conditions(self) -> list[str]:
        """As `conditions`."""
        more = (self._left_out(), self._other_cpus(), self._inference(), self._starts())
        return [*self.spoiling, *(sentence for sentence in more if sentence)]

    @property
    def spoiling(self) -> list[str]:
        """As `spoiling`."""
        return [sentence for sentence in (self._busy(), self._quota(), self._others()) if sentence]

    def _busy(self) -> str:
        if self.busy.empty:
            return ""
        load, cpus, steal, waited = (
            _median(self.busy["load"]), self.busy["cpus"].max(), _median(self.busy["steal"]), _median(self.busy["wait"])
        )  # fmt: skip
        of = f" of {cpus:.0f}" if pd.notna(cpus) else ""
        who = f"other programs used {load:.1f}{of} CPUs" if pd.notna(load) else "other programs used the CPUs"
        more = []
        if pd.notna(waited):
            more.append(f"a CPU was waited for {waited:.0%} of the time")
        if pd.notna(steal) and steal > BUSY_SHARE:
            more.append(f"the hypervisor gave {steal:.0%} of it to others")
        if self.busy["disturbed"].notna().any():
            turns = f"{_median(self.busy['disturbed']):.0f} of {_median(self.busy['turns']):.0f}"
            more.append(f"{turns} turns were disturbed")
        what = f" Medians: {', '.join(more)}." if more else ""
        return (
            f"BUSY MACHINE: {who} while {len(self.busy)} of {self.launches} launches were timed: do not compare them "
            f"(see lenet-bench doctor).{what}"
        )

    def _left_out(self) -> str:
        if self.left_out.empty:
            return ""
        return (
            f"DISTURBED TURNS: other programs had the CPUs in {_median(self.left_out['disturbed']):.0f} of "
            f"{_median(self.left_out['turns']):.0f} turns of {len(self.left_out)} of {self.launches} launches "
            "(medians). These turns are left out, and others were taken in their place."
        )

    def _quota(self) -> str:
        if self.quota.empty:
            return ""
        allowed = " or ".join(f"{quota:g}" for quota in sorted(self.quota["quota"].dropna().unique()))
        share = _median(self.quota["share"])
        stood = f"; throttled in {share:.0%} of its periods (median)" if pd.notna(share) else ""
        return (
            f"CPU QUOTA: the cgroup of {len(self.quota)} of {self.launches} launches allows {allowed} CPUs{stood}. "
            "Their speeds are the quota's, not the machine's."
        )

    def _others(self) -> str:
        if not self.beside:
            return ""
        return (
            f"NOT ALONE: another lenet-bench was at work on this machine beside {self.beside} of {self.launches} "
            "launches. What the two took from each other is in these speeds."
        )

    def _other_cpus(self) -> str:
        """What one machine has of two kinds of CPUs, or beside one that interrupts keep to, is no framework's doing."""
        kinds = self.cpus.groupby(["machine_sha256", "threads", "replicas"], dropna=False)["cpus_found"]
        found = [sorted(cpus.unique()) for _, cpus in kinds if cpus.nunique() > 1]
        if not found:
            return ""
        names = " and ".join(f"on CPU {cpus.replace(' ', ', ')}" for cpus in found[0])
        return (
            f"OTHER CPUS: some launches ran {names}. CPUs of one machine may differ in speed: compare within one run."
        )

    def _inference(self) -> str:
        if self.inferred in (0, self.launches):
            return ""
        return (
            f"Inference, latency and the peak are of {self.inferred} of {self.launches} launches: once they were "
            "known, rounds timed training alone."
        )

    def _starts(self) -> str:
        """Of launches that took turns: older ones had no start-up, whoever was beside them."""
        if self.started in (0, self.turned):
            return ""
        return (
            f"Start-up is of {self.started} of {self.turned} launches: once it was known, launches started beside each "
            "other."
        )


def is_busy(launches: pd.DataFrame) -> pd.Series:
    """Of each launch, whether the machine was busy while it was timed.

    Where every turn was watched, whether more turns were disturbed than can be taken again; of older rows, whether
    other programs or the hypervisor had more of the CPUs than they may.
    """
    turns = _numbers(launches, "turns")
    watched = launches["disturbed_turns"].notna().to_numpy(bool) & ~np.isnan(turns)
    too_many = _disturbed(launches) > MOST_DISTURBED * turns
    cpus = _machine_cpus(launches)
    allowed = np.maximum(BUSY_CPUS, BUSY_OF_MACHINE * np.where(np.isnan(cpus), 1, cpus))
    loaded = (_numbers(launches, "other_load") > allowed) | (_numbers(launches, "steal_share") > BUSY_SHARE)
    return pd.Series(np.where(watched, too_many, loaded), index=launches.index, dtype=bool)


def _numbers(launches: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column's cells; NaN, which is neither above nor below anything, where they are missing."""
    return launches[name].to_numpy(float, na_value=np.nan)


def _disturbed(launches: pd.DataFrame) -> NDArray[np.float64]:
    """How many turns of each launch were disturbed."""
    return of_each(launches["disturbed_turns"], lambda cell: len(numbers_of(cell)), missing=0)


def _median(values: pd.Series) -> float:
    """The median of what is known of a column; NaN where nothing is, of which pandas 2 would warn."""
    known = values.dropna()
    return float(known.median()) if len(known) else math.nan


def _machine_cpus(launches: pd.DataFrame) -> NDArray[np.float64]:
    """CPUs of each launch's machine, as its text says; NaN where it does not."""

    def said(text: str) -> float:
        found = re.search(r"\b(\d+) CPUs", text)
        return float(found[1]) if found else math.nan

    return of_each(launches["machine"], said, missing=math.nan)
