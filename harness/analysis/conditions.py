"""What the machine did to launches that whoever reads a speed must know: a quota, and other runs beside them."""

from __future__ import annotations

import pandas as pd

# Of a group's periods; fewer are chance, and cost less than the intervals are wide.
THROTTLED_SHARE = 0.01


def conditions(launches: pd.DataFrame) -> list[str]:
    """Sentences for below the table of speeds; none where launches had their CPUs to themselves, as far as is known.

    Args:
        launches: timed rows of launches.csv. What an older lenet-bench did not note down is not known.
    """
    return [sentence for sentence in (_quota(launches), _others(launches)) if sentence]


def is_throttled(launches: pd.DataFrame) -> pd.Series:
    """Of each launch, whether its control group's limit was met in more than a few of its periods."""
    return (launches["throttled_share"] > THROTTLED_SHARE).fillna(False).astype(bool)


def _quota(launches: pd.DataFrame) -> str:
    short = (launches["cpu_quota"] < launches["threads"]).fillna(False).astype(bool)
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
