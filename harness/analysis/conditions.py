"""What whoever reads the tables must know of launches: other programs, a quota, other runs, which timed inference."""

from __future__ import annotations

import math

import pandas as pd

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


def busy_cpus(cpus: int) -> float:
    """CPUs that others may use, at the most, on a machine of so many: above it is busy."""
    return max(BUSY_CPUS, BUSY_OF_MACHINE * cpus)


def conditions(launches: pd.DataFrame) -> list[str]:
    """Sentences for below the table of speeds; none where launches had their CPUs to themselves, as far as is known,
    and all of them timed the same.

    Args:
        launches: timed rows of launches.csv. What an older lenet-bench did not note down is not known.
    """
    more = (_left_out(launches), _other_cpus(launches), _inference(launches), _starts(launches))
    return [*spoiling(launches), *(sentence for sentence in more if sentence)]


def spoiling(launches: pd.DataFrame) -> list[str]:
    """Those of the `conditions` with which speeds should not be compared: what `--strict` does not take."""
    return [sentence for sentence in (_busy(launches), _quota(launches), _others(launches)) if sentence]


def is_throttled(launches: pd.DataFrame) -> pd.Series:
    """Of each launch, whether its control group's limit was met in more than a few of its periods."""
    return (launches["throttled_share"] > THROTTLED_SHARE).fillna(False).astype(bool)


def is_busy(launches: pd.DataFrame) -> pd.Series:
    """Of each launch, whether the machine was busy while it was timed.

    Where every turn was watched, whether more turns were disturbed than can be taken again; of older rows, whether
    other programs or the hypervisor had more of the CPUs than they may.
    """
    watched = (launches["disturbed_turns"].notna() & launches["turns"].notna()).to_numpy(bool)
    too_many = _disturbed(launches) > MOST_DISTURBED * launches["turns"].fillna(0).astype(float)
    loaded = launches["other_load"] > _machine_cpus(launches).fillna(1).map(lambda cpus: busy_cpus(int(cpus)))
    loaded = loaded.fillna(False).astype(bool) | (launches["steal_share"] > BUSY_SHARE).fillna(False).astype(bool)
    return too_many.where(watched, loaded).astype(bool)


def _disturbed(launches: pd.DataFrame) -> pd.Series:
    """How many turns of each launch were disturbed."""
    return launches["disturbed_turns"].map(lambda cell: len(numbers_of(cell))).astype(int)


def _median(launches: pd.DataFrame, name: str) -> float:
    """The median of what is known of a column; NaN where nothing is, of which pandas 2 would warn."""
    known = launches[name].dropna()
    return float(known.median()) if len(known) else math.nan


def _machine_cpus(launches: pd.DataFrame) -> pd.Series:
    """CPUs of each launch's machine, as its text says; missing where it does not."""
    return launches["machine"].str.extract(r"\b(\d+) CPUs", expand=False).astype("Float64")


def _busy(launches: pd.DataFrame) -> str:
    held = launches[is_busy(launches)]
    if held.empty:
        return ""
    load, cpus, steal = _median(held, "other_load"), _machine_cpus(held).max(), _median(held, "steal_share")
    of = f" of {cpus:.0f}" if pd.notna(cpus) else ""
    who = f"other programs used {load:.1f}{of} CPUs" if pd.notna(load) else "other programs used the CPUs"
    more = []
    waited, disturbed = _median(held, "cpu_wait_share"), held[held["disturbed_turns"].notna()]
    if pd.notna(waited):
        more.append(f"a CPU was waited for {waited:.0%} of the time")
    if pd.notna(steal) and steal > BUSY_SHARE:
        more.append(f"the hypervisor gave {steal:.0%} of it to others")
    if len(disturbed):
        turns = f"{_disturbed(disturbed).median():.0f} of {_median(disturbed, 'turns'):.0f}"
        more.append(f"{turns} turns were disturbed")
    what = f" Medians: {', '.join(more)}." if more else ""
    return (
        f"BUSY MACHINE: {who} while {len(held)} of {len(launches)} launches were timed: do not compare them "
        f"(see lenet-bench doctor).{what}"
    )


def _left_out(launches: pd.DataFrame) -> str:
    held = launches[(_disturbed(launches) > 0) & ~is_busy(launches)]
    if held.empty:
        return ""
    return (
        f"DISTURBED TURNS: other programs had the CPUs in {_disturbed(held).median():.0f} of "
        f"{_median(held, 'turns'):.0f} turns of {len(held)} of {len(launches)} launches (medians). These turns are "
        "left out, and others were taken in their place."
    )


def _quota(launches: pd.DataFrame) -> str:
    short = (launches["cpu_quota"] < launches["threads"] * launches["replicas"].fillna(1)).fillna(False).astype(bool)
    held = launches[is_throttled(launches) | short]
    if held.empty:
        return ""
    allowed = " or ".join(f"{quota:g}" for quota in sorted(held["cpu_quota"].dropna().unique()))
    shares = held["throttled_share"].dropna()
    stood = f"; throttled in {shares.median():.0%} of its periods (median)" if len(shares) else ""
    return (
        f"CPU QUOTA: the cgroup of {len(held)} of {len(launches)} launches allows {allowed} CPUs{stood}. Their speeds "
        "are the quota's, not the machine's."
    )


def _others(launches: pd.DataFrame) -> str:
    count = int((launches["other_runs"] > 0).fillna(False).sum())
    if not count:
        return ""
    return (
        f"NOT ALONE: another lenet-bench was at work on this machine beside {count} of {len(launches)} launches. What "
        "the two took from each other is in these speeds."
    )


def _other_cpus(launches: pd.DataFrame) -> str:
    """What one machine has of two kinds of CPUs, or beside one that interrupts keep to, is no framework's doing."""
    pinned = launches[launches["cpus_found"].notna() & (launches["environment"] == "controlled")]
    kinds = pinned.groupby(["machine_sha256", "threads", "replicas"], dropna=False)["cpus_found"]
    found = [sorted(cpus.unique()) for _, cpus in kinds if cpus.nunique() > 1]
    if not found:
        return ""
    names = " and ".join(f"on CPU {cpus.replace(' ', ', ')}" for cpus in found[0])
    return f"OTHER CPUS: some launches ran {names}. CPUs of one machine may differ in speed: compare within one run."


def _inference(launches: pd.DataFrame) -> str:
    count = int(launches["latency_ms_p50"].notna().sum())
    if count in (0, len(launches)):
        return ""
    return (
        f"Inference, latency and the peak are of {count} of {len(launches)} launches: once they were known, rounds "
        "timed training alone."
    )


def _starts(launches: pd.DataFrame) -> str:
    """Of launches that took turns: older ones had no start-up, whoever was beside them."""
    turns = launches[launches["turn_step_us"].notna()]
    count = int(turns["start_up_s"].notna().sum())
    if count in (0, len(turns)):
        return ""
    return f"Start-up is of {count} of {len(turns)} launches: once it was known, launches started beside each other."
