"""A report for strangers: only what the comparison is made of. All else that a run recorded is left out, not masked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from harness.report.reading import Report
from harness.results.machines import PARTS

# Of environment.json. A list of what is shown: what a later version adds stays away until somebody has thought of it.
SHOWN = ("lenet_bench", "controls", "variables_set_aside")
LEFT_OUT = "left out of a shared report"


def for_strangers(report: Report) -> Report:
    """The report without paths, packages, the words of errors, and of the machine what the comparison needs alone."""
    environment = {key: value for key, value in report.environment.items() if key in SHOWN}
    environment["machine"] = {key: value for key, value in _part(report, "machine").items() if key in PARTS}
    launches = report.launches.assign(error=report.launches["error"].map(_kind, na_action="ignore").astype("string"))
    return replace(
        report,
        where=report.name,
        environment=environment,
        plan=replace(report.plan, data_dir=None) if report.plan else None,
        launches=launches,
    )


def _part(report: Report, name: str) -> dict[str, Any]:
    values = report.environment.get(name)
    return values if isinstance(values, dict) else {}


def _kind(error: Any) -> Any:
    """The class of an exception, if an error begins with one; its words may hold anything."""
    if pd.isna(error):
        return error
    first = str(error).partition(":")[0]
    known = first if first.isidentifier() and first.endswith(("Error", "Exception")) else "an error"
    return f"{known} (its words are {LEFT_OUT})"
