"""Why launches of one entrant differ: the most likely of the causes that can be seen from inside. Harness side.

A cause is only named where its indicator is above a threshold that is written down here, and the one whose indicator
goes along best with slow launches is preferred. That is a hint where to look, not a proof: what no counter of a guest
shows (neighbours in a shared cache, above all) is left when everything else is ruled out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from harness.analysis.conditions import THROTTLED_SHARE
from harness.analysis.statistics import LEAST_ROUNDS
from harness.results.schema import ENTRANT
from harness.worker import host

SPEED = "train_images_per_s"
# From here on an indicator is worth a mention.
STEAL_SHARE = 0.01
OTHER_LOAD = 0.1
PAGE_FAULTS = 10.0
PREEMPTIONS = 0.5
PEAK_SPREAD = 0.02
# Share of the launches' variance that is common to all entrants of a round, chance subtracted, and how rarely chance
# alone may reach it (F test): two entrants share half of their variance with their mean even if nothing is common.
SHARED = 0.5
CHANCE = 0.05
# An indicator that goes along with speed this well explains which launches were slow; one that goes against it as
# well as this does not explain them at all.
CORRELATION = 0.5
# Fewer launches have a correlation of their own accord.
LEAST_LAUNCHES = 4


@dataclass(frozen=True)
class Candidate:
    """A cause whose indicator is above its threshold.

    Attributes:
        text: what was seen, in how many launches, and what to do.
        correlation: of the indicator with speed, both within entrants; a cause slows, so it is negative. None where
            the indicator does not vary, or there are too few launches.
    """

    text: str
    correlation: float | None = None


def likely_cause(launches: pd.DataFrame, *, virtual: bool | None = None) -> str:
    """One sentence on what most likely makes launches of one entrant differ; for verdicts that are `cannot tell`.

    Causes that slow launches go along with come first, then what moved all entrants together, then settings that are
    known to make launches differ, then causes that are merely there.

    Args:
        launches: timed rows of launches.csv; every column but that of speed may be missing or empty.
        virtual: whether they ran on a virtual machine; None: whether this machine is one.
    """
    timed = launches[_numbers(launches, SPEED) > 0].reset_index(drop=True)
    entrant = _entrants(timed)
    rounds = int(entrant.value_counts().min()) if len(timed) else 0
    if rounds < LEAST_ROUNDS:
        return f"fewer than {LEAST_ROUNDS} rounds tell nothing (an entrant has {rounds}); give --rounds, or --budget."
    speed = _within(np.log(_numbers(timed, SPEED)), entrant)
    seen = _counters(timed, entrant, speed)
    best = min(seen, key=lambda each: each.correlation or 0, default=None)
    if best and (best.correlation or 0) <= -CORRELATION:
        return f"most likely: {best.text}"
    settled = _moved_together(timed, entrant, speed) or _settings(timed, virtual)
    if settled:
        return f"most likely: {settled}"
    if best and (best.correlation or 0) < CORRELATION:
        return f"perhaps: {best.text} But the launches that had most of it were not clearly the slow ones."
    spread = float(np.sqrt((speed**2).sum() / (len(timed) - entrant.nunique())))
    return (
        f"nothing that is visible from inside explains it. Launches of one entrant differ by {np.expm1(spread):.1%} "
        "(standard deviation): add rounds (--budget), or mend the machine (lenet-bench doctor)."
    )


def _counters(timed: pd.DataFrame, entrant: pd.Series, speed: pd.Series) -> list[Candidate]:
    """The counters of launches that are above their thresholds."""
    steal, load = _numbers(timed, "steal_share"), _numbers(timed, "other_load")
    faults, preemptions = _numbers(timed, "page_faults_per_step"), _numbers(timed, "preemptions_per_step")
    more_faults = faults - faults.groupby(entrant).transform("min")
    unsteady = 1 - _numbers(timed, "steady").fillna(1)
    throttled, others = _numbers(timed, "throttled_share"), _numbers(timed, "other_runs")
    rows = [
        (throttled, throttled > THROTTLED_SHARE, "the cgroup's CPU quota stopped it in {:.0%} of its periods "
         "(throttled_share) in {}; raise the quota, or pin without one (lenet-bench doctor)."),
        (others, others > 0, "another lenet-bench was at work on this machine (other_runs) beside {1}; let one end "
         "before the next begins."),
        (steal, steal > STEAL_SHARE, "the hypervisor gave {:.1%} of our CPUs to others (steal_share) in {}; come back "
         "when the host is quieter, or take CPUs that are not shared."),
        (load, load > OTHER_LOAD, "other processes took {:.1f} of a CPU (other_load) in {}; stop them, or see "
         "lenet-bench doctor."),
        (faults, more_faults > PAGE_FAULTS, "{:,.0f} page faults a step (page_faults_per_step) in {}, fewer in their "
         "twins: memory is given back and fetched again; --environment controlled prevents that in glibc."),
        (preemptions, preemptions > PREEMPTIONS, "another task took the CPU {:.1f} times a step (preemptions_per_step) "
         "in {}; stop it, or give one thread less than there are CPUs."),
        (unsteady, unsteady > 0, "{1} never became steady (steady): still warming up, or disturbed all the time."),
    ]  # fmt: skip
    found = []
    for values, above, text in rows:
        if above.any():
            launches = f"{int(above.sum())} of {len(timed)} launches"
            correlation = _correlation(_within(values, entrant), speed)
            found.append(Candidate(text.format(float(values[above].median()), launches), correlation))
    return found + _peak(timed, entrant, speed)


def _peak(timed: pd.DataFrame, entrant: pd.Series, speed: pd.Series) -> list[Candidate]:
    """The machine's own speed, measured in every round beside the launches."""
    peak = _numbers(timed, "peak_gflops")
    within = _within(np.log(peak.where(peak > 0)), entrant)
    known = int(within.notna().sum())
    groups = entrant[within.notna()].nunique()
    spread = float(np.sqrt((within**2).sum() / (known - groups))) if known > groups else 0.0
    if spread <= PEAK_SPREAD:
        return []
    text = (
        f"the machine's own peak (peak_gflops) varied by {spread:.1%} between rounds: its clock or "
        "its neighbours changed; see lenet-bench doctor."
    )
    return [Candidate(text, _correlation(-within, speed))]


def _moved_together(timed: pd.DataFrame, entrant: pd.Series, speed: pd.Series) -> str:
    """Whether rounds, more than chance, explain which launches were slow.

    Source: two-way analysis of variance without interaction; the share is the intraclass correlation
    (MS rounds - MS rest) / (MS rounds + (k - 1) MS rest), k launches a round.
    """
    if "round" not in timed:
        return ""
    places = [timed[name] for name in ("run", "round") if name in timed]
    rounds = speed.groupby(places).transform("mean")
    count = speed.groupby(places).ngroups
    freedom = len(speed) - count - entrant.nunique() + 1
    # One entrant alone always moves with itself: it leaves no degree of freedom.
    if count < 2 or freedom < 1 or not speed.any():
        return ""
    between = float((rounds**2).sum()) / (count - 1)
    # Not zero: entrants may move together to the last digit.
    within = max(float(((speed - rounds) ** 2).sum()) / freedom, between * 1e-12)
    share = (between - within) / (between + (len(speed) / count - 1) * within)
    if share <= SHARED or fdtrc(count - 1, freedom, between / within) > CHANCE:
        return ""
    return (
        f"the machine itself changed speed between rounds (all entrants moved together, {share:.0%} of the variance): "
        "neighbours on a shared host, or clock frequency. Pairing by round takes that part out; add rounds (--budget) "
        "for the rest."
    )


def _settings(timed: pd.DataFrame, virtual: bool | None) -> str:
    """Settings under which launches were found to differ (docs/launches.md)."""
    if "environment" in timed and (timed["environment"] == "native").any():
        return (
            "nothing was controlled (--environment native): threads, CPUs and the allocator are as each launch finds "
            "them; leave that option out."
        )
    virtual = host.hypervisor() if virtual is None else virtual
    if virtual and (_numbers(timed, "threads") > 1).any():
        return (
            "several threads on a virtual machine, whose launches come in a fast and a slow kind for reasons that no "
            "guest sees; compare with --threads 1."
        )
    return ""


def _numbers(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column as floats, NaN where it is missing or empty."""
    if name not in frame:
        return pd.Series(np.nan, index=frame.index)
    return pd.to_numeric(frame[name], errors="coerce").astype("Float64").astype(float)


def _entrants(timed: pd.DataFrame) -> pd.Series:
    """A number for each entrant of each run."""
    names = [name for name in ("run", *ENTRANT) if name in timed]
    return timed.groupby(names, dropna=False).ngroup() if names else pd.Series(0, index=timed.index)


def _within(values: pd.Series, entrant: pd.Series) -> pd.Series:
    return values - values.groupby(entrant).transform("mean")


def _correlation(indicator: pd.Series, speed: pd.Series) -> float | None:
    """Pearson's; None where one of them does not vary or launches are too few."""
    known = indicator.notna()
    x, y = indicator[known], speed[known]
    if len(x) < LEAST_LAUNCHES or min(x.max() - x.min(), y.max() - y.min()) < 1e-9:
        return None
    return float(np.corrcoef(x, y)[0, 1])
