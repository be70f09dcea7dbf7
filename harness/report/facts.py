"""Tables of facts: the headline, final accuracies, failed launches, machine, versions, controls."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.analysis.comparison import SPEED
from harness.analysis.limit import limit_shares
from harness.analysis.summary import accuracy_spread
from harness.report.parts import MISSING, Cell, Row, Table, interval, number, text
from harness.report.reading import Entrant, Report
from harness.results.changes import records
from harness.runs.resume import without_part
from harness.worker.job import installation

HEADLINE = ["entrant", "images/s", "95 % interval", "ratio", "interval", "verdict", "first epoch s", "accuracy %",
            "latency ms", "peak MiB", "launches"]  # fmt: skip


def headline(report: Report) -> Table:
    """Fastest first; behind them what was only trained, or failed."""
    shares = limit_shares(report.summary)
    limited = bool(shares.notna().any())
    rows = [
        Row([text(each.label), *_with_speed(row), *_of_limit(share, limited)], each.number)
        for each, (_, row), share in zip(report.entrants, report.summary.iterrows(), shares)
    ]
    for each in report.entrants[len(report.summary) :]:
        rows.append(Row([text(each.label), *_without_speed(report, each), *_of_limit(None, limited)], each.number))
    headers = [WRITTEN.get(name, name) for name in HEADLINE] + ["% of limit"] * limited
    return Table(headers, rows, "Training speed, and what comes with it; fastest first")


def _with_speed(row: pd.Series) -> list[Cell]:
    return [
        number(row[SPEED], ",.0f"),
        interval(row[f"{SPEED}_low"], row[f"{SPEED}_high"], ",.0f"),
        number(row["ratio"], ".3f"),
        interval(row["ratio_low"], row["ratio_high"], ".3f"),
        text("base" if row["base"] and pd.isna(row["verdict"]) else row["verdict"]),
        number(row["first_epoch_s"], ".2f"),
        number(row["test_accuracy"], ".2f", scale=100),
        number(row["latency_ms_p50"], ".3f"),
        number(row["peak_rss_bytes"], ",.0f", scale=2**-20),
        number(row["launches"], ".0f"),
    ]


def _of_limit(share: float | None, limited: bool) -> list[Cell]:
    return [number(share, ".1f", scale=100)] if limited else []


def _without_speed(report: Report, each: Entrant) -> list[Cell]:
    launches = report.launches[report.launches["entrant"] == each.number]
    good = launches[launches["status"] == "ok"]
    word = text("not timed") if len(good) else text("failed")
    accuracy = number(good["test_accuracy"].mean() if len(good) else None, ".2f", scale=100)
    nothing = Cell(MISSING)
    return [*[nothing] * 4, word, nothing, accuracy, nothing, nothing, number(len(good), ".0f")]


def failures(report: Report) -> Table | None:
    """Launches that failed, with their errors; None where none did."""
    failed = report.launches[report.launches["status"] == "failed"]
    rows = [
        Row(
            [text(report.entrants[row["entrant"]].label), number(row["round"], ".0f"), text(row["error"])],
            row["entrant"],
        )
        for _, row in failed.iterrows()
    ]
    return Table(["framework", "round", "error"], rows, "Launches that failed") if rows else None


def seeds(report: Report) -> tuple[Table, str] | None:
    """Final accuracies by entrant over seeds, and a sentence on what separates them; None under two seeds."""
    spread = accuracy_spread(report.epochs) if len(report.epochs) else None
    if spread is None:
        return None
    percent = spread.by_seed * 100
    columns = {"mean": percent.mean(), "sd": percent.std(ddof=1), "least": percent.min(), "most": percent.max()}
    rows = []
    for label in percent.columns:
        found = _named(report, str(label))
        name = str(label) if found is None else report.entrants[found].label
        cells = [number(values[label], ".3f") for values in columns.values()]
        rows.append(Row([text(name), *cells, number(percent[label].count(), ".0f")], found))
    between = number(spread.between_backends, ".3f", scale=100).text
    sentence = (
        f"The standard deviation between seeds of one entrant is {spread.between_seeds * 100:.3f} points, between "
        f"entrants from one seed {between}."
    )
    return Table(
        ["framework", "mean, %", "sd, points", "least, %", "most, %", "seeds"], rows, "Final accuracy over seeds"
    ), sentence


def _named(report: Report, label: str) -> int | None:
    """The entrant that `accuracy_spread` calls so: by its label, or by its backend where that has one entrant."""
    found = [each.number for each in report.entrants if label in (each.called, each.fields["backend"])]
    return found[0] if len(found) == 1 else None


# As people write them. Of the two intervals the first is the speed's.
WRITTEN = {"entrant": "framework (mode)", "ratio": "ratio to the base", "interval": "its interval",
           "first epoch s": "first epoch, s", "accuracy %": "accuracy, %", "latency ms": "latency, ms",
           "peak MiB": "memory, MiB"}  # fmt: skip


def machine(report: Report) -> Table:
    """The machine as environment.json has it."""
    details = report.environment.get("machine")
    first = report.launches.iloc[0]
    rows = {"machine": first["machine"]} | (details if isinstance(details, dict) else {})
    # Runs of before version 6 name their host, which is nobody's business.
    rows.pop("host", None)
    return _facts(rows, "Machine")


def versions(report: Report) -> Table:
    """What was installed: the frameworks, their interpreters, and what the backends said of themselves."""
    interpreters = report.environment.get("interpreters")
    headers = ["backend", "version", "Python", "threads found", "compiler or kernels", "fast math", "interpreter"]
    rows = []
    keys = ["backend", "framework_version", "variant"]
    for (backend, version, variant), group in report.launches.groupby(keys, dropna=False, sort=False):
        said = [text(", ".join(dict.fromkeys(str(value) for value in group[name].dropna())))
                for name in ("python_version", "threads_found", "compiler", "fast_math")]  # fmt: skip
        paths = interpreters if isinstance(interpreters, dict) else {}
        asked = without_part(variant) if isinstance(variant, str) else ""
        path = paths.get(installation(str(backend), asked), paths.get(backend))
        rows.append(Row([text(backend), text(version), *said, text(path)]))
    return Table(headers, rows, "Versions", marked=False)


def packages(report: Report) -> Table:
    """`pip freeze` of every worker."""
    rows = []
    for record in records(report.environment):
        found, until = record.get("packages"), record.get("until_round")
        # Entrants of before it went on with others (`run --anew-from-here`).
        part = f", until round {until}" if until else ""
        for backend, names in found.items() if isinstance(found, dict) else ():
            rows.append(Row([text(f"{backend}{part}"), text(_plain(names))]))
    return Table(["backend", "pip freeze"], rows, "Packages of every worker", marked=False)


def controls(report: Report) -> Table:
    """What the launches were controlled by, each once, with the entrants that it is of where they differ."""
    asked = report.environment.get("controls")
    asked = asked if isinstance(asked, dict) else {}
    values: dict[tuple[str, str], list[str]] = {}
    called = {each.called: each.label for each in report.entrants}
    for label, control in asked.items():
        if isinstance(control, dict):
            variables = control.get("environment") or {}
            pairs = {**(variables if isinstance(variables, dict) else {}), "CPUs": control.get("cpus")}
            for name, value in pairs.items():
                values.setdefault((str(name), _plain(value)), []).append(called.get(str(label), str(label)))
    rows = [
        Row([text(name), text(value), text("all" if len(labels) == len(asked) else ", ".join(labels))])
        for (name, value), labels in values.items()
    ]
    aside = report.environment.get("variables_set_aside") or []
    rows.append(Row([text("set aside"), text(_plain(aside) or "nothing"), text("all")]))
    return Table(["control", "value", "entrants"], rows, "Controls", marked=False)


def settings(report: Report) -> Table:
    """What was run: network, recipe, data, rounds."""
    first = report.launches.iloc[0]
    source = report.environment.get("data_set")
    plan = report.plan
    rows: dict[str, Any] = {
        name: first[name] for name in ("network", "recipe", "data_set", "device", "dtype", "environment")
    }
    rows |= {
        "data from": source.get("source") if isinstance(source, dict) else None,
        "data SHA-256": first["data_sha256"],
    }
    started = report.launches["started_utc"].dropna()
    rows |= {
        "first launch": started.min() if len(started) else None,
        "last launch": started.max() if len(started) else None,
    }
    rows |= {"rounds": report.rounds, "launches": len(report.launches) - report.trainings}
    if report.trainings:
        rows["trainings after these"] = report.trainings
    if report.uncounted:
        rows["launches that do not count"] = f"{report.uncounted}, of rounds that were cut off"
    if report.halved:
        rows["whole rounds"] = "none: these launches are of a round that was cut off"
    rows["lenet-bench"] = report.environment.get("lenet_bench")
    if plan:
        rows |= {"epochs": plan.epochs, "seeds": plan.seeds, "steady training, s": plan.steady_s,
                 "precision asked for": f"{plan.precision:.2%}" if plan.precision else "none",
                 "budget, s": plan.budget_s or "none", "optimizer": plan.recipe.optimizer,
                 "learning rate": f"{plan.recipe.learning_rate:g}"}  # fmt: skip
    return _facts(rows, "What was run")


def _facts(values: dict[str, Any], caption: str) -> Table:
    rows = [Row([text(str(name).replace("_", " ")), text(_plain(value))]) for name, value in values.items()]
    return Table(["what", "value"], rows, caption, marked=False)


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None or value is pd.NA else str(value)
