"""What stands behind each entrant's figures: verified or not when it ran, and the certificate where it is at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from harness.errors import LenetBenchError
from harness.proof import register
from harness.proof.proving import Subject
from harness.report.parts import Row, Table, number, text
from harness.report.reading import Report
from harness.results.folder import RunFolder
from harness.runs import code
from harness.worker.job import Entrant as Job

# Columns of verification.csv and of launches.csv that must agree. Feed and batch size change no formula.
SAME = ("backend", "framework_version", "network", "mode", "device", "dtype", "recipe")
HEADERS = ["framework", "version", "verified before it ran", "certificate", "worst share of a tolerance", "quantities"]


def verification(report: Report) -> Table:
    """A row an entrant. A share of a tolerance is at most 1 where everything passed."""
    found = _read_verifications(report.folder)
    rows = []
    firsts = {row["entrant"]: row for _, row in report.launches.drop_duplicates("entrant").iterrows()}
    verified_of = {number: values.dropna() for number, values in report.launches.groupby("entrant")["verified"]}
    # Entrants that differ in feed, threads or batch size share a certificate.
    kinds: dict[tuple[str, ...], tuple[str, float | None, int | None]] = {}
    for each in report.entrants:
        first = firsts[each.number]
        verified = verified_of[each.number]
        word = "not known" if verified.empty else "yes" if verified.all() else "no"
        kind = tuple(str(first[name]) for name in SAME)
        if kind not in kinds:
            kinds[kind] = _from_table(found, first) or _from_cache(report, first)
        certificate, worst, quantities = kinds[kind]
        cells = [text(first["framework_version"]), text(word), text(certificate), number(worst, ".2f"),
                 number(quantities, ",.0f")]  # fmt: skip
        rows.append(Row([text(each.label), *cells], each.number))
    return Table(HEADERS, rows, "Verification by entrant")


def _read_verifications(folder: Path) -> pd.DataFrame:
    """Rows of verification.csv, of the run's folder and those of `verify` beside it; unreadable ones prove nothing."""
    frames = []
    for place in (folder, *sorted(folder.resolve().parent.glob("*-verify"))):
        try:
            rows = RunFolder(place).read("verification")
        except LenetBenchError:
            continue
        frames.append(rows.assign(place=place.resolve().name))
    return pd.concat(frames, ignore_index=True)


def _from_table(found: pd.DataFrame, launch: pd.Series) -> tuple[str, float | None, int] | None:
    """The latest verification of exactly this, and its worst share; None where there is none."""
    same = pd.Series(True, index=found.index)
    for name in SAME:
        same &= (found[name] == launch[name]).fillna(False).astype(bool)
    rows = found[same]
    if rows.empty:
        return None
    latest = rows[rows["place"] == rows.sort_values("verified_utc")["place"].iloc[-1]]
    shares = (latest["error"] / latest["tolerance"]).astype("Float64")
    passed = "passed" if latest["passed"].fillna(False).all() else "FAILED"
    when = str(latest["verified_utc"].max())[:10]
    # A launch that failed has a row without a share.
    worst = None if shares.isna().all() else float(shares.max())
    return f"{passed} {when} ({latest['place'].iloc[0]}/verification.csv)", worst, len(latest)


def _from_cache(report: Report, launch: pd.Series) -> tuple[str, float | None, None]:
    """The certificate that this machine keeps for the code that is installed now."""
    missing = "none at hand: lenet-bench verify writes one"
    entrant = _job_of(report, launch)
    if report.plan is None or entrant is None:
        return missing, None, None
    now = code.digests(entrant.backend)
    key = register.key_of(
        Subject(entrant, report.plan.recipe), version=str(launch["framework_version"]),
        packages_sha256=str(launch["packages_sha256"]), code=now,
    )  # fmt: skip
    worst = register.kept(key)
    if worst is None:
        return missing, None, None
    return f"passed, for code {code.digest(entrant.backend)[:12]}", worst, None


def _job_of(report: Report, launch: pd.Series) -> Job | None:
    """The plan's entrant of a launch, fed as `certificates.require` verifies it."""
    for each in report.plan.entrants if report.plan else ():
        if all(getattr(each, name) == launch[name] for name in ("backend", "mode", "device", "dtype", "network")):
            return replace(each, feed="host")
    return None
