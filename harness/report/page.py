"""The page: one file with all it needs in it, which asks for nothing, and shows every name as the text that it is."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

import harness
from harness.analysis.comparison import KEY
from harness.analysis.conditions import conditions
from harness.report import facts
from harness.report.parts import ROW, Figure
from harness.report.reading import Entrant, Report
from harness.report.sections import sections
from harness.visible import visible

FOLDER = Path(__file__).parent
# Stands in the head of every report, and tells one from any other file.
MARK = '<meta name="generator" content="lenet-bench report">'
TITLES = {"framework_version": "version", "data_set": "data set", "batch_size": "batch size"}


def render(report: Report) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = sections(report)
    scripts = [get_plotlyjs().replace("\r\n", "\n"), (FOLDER / "page.js").read_text(encoding="utf-8")]
    data = {"row": ROW, "figures": {figure.name: _spec(figure) for each in made for figure in each.figures},
            "entrants": [{"label": each.label, **_filtered_by(report, each)} for each in report.entrants]}  # fmt: skip
    return environment.get_template("template.html.j2").render(
        report=report,
        mark=Markup(MARK),
        policy=policy(scripts),
        title=f"{report.name} – lenet-bench",  # noqa: RUF001
        subtitle=_subtitle(report),
        warnings=_warnings(report),
        lead=_lead(report),
        headline=facts.headline(report),
        failures=facts.failures(report),
        sections=made,
        facets=_facets(report),
        version=harness.__version__,
        style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
        data=Markup(as_json(data)),
        scripts=[Markup(script) for script in scripts],
    )


def _shown(value: Any) -> Any:
    """Text that is no markup of ours, with nothing in it that does something without being seen."""
    return visible(value) if type(value) is str else value


def as_json(values: Any) -> str:
    """JSON that may stand inside of a script element: no `</script>`, no `<!--`, whatever the names are."""
    dumped = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return dumped.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def policy(scripts: list[str]) -> str:
    """A Content-Security-Policy under which nothing is fetched and only these scripts are run.

    Styles may be inline because Plotly sets them; images may be data, which is how it saves a figure as a file.
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _spec(figure: Figure) -> dict[str, Any]:
    return {"traces": figure.traces, "layout": figure.layout, "rows": figure.rows,
            "title": html.unescape(figure.layout["xaxis"]["title"]["text"])}  # fmt: skip


def _filtered_by(report: Report, each: Entrant) -> dict[str, str]:
    verdict = "not timed"
    if each.number < len(report.summary):
        found = report.summary["verdict"].iloc[each.number]
        verdict = found if isinstance(found, str) and found else "base"
    return {**each.fields, "verdict": verdict}


def _facets(report: Report) -> list[dict[str, Any]]:
    """What entrants differ in, with its values; not what tells apart the same ones as another does."""
    entrants = [_filtered_by(report, each) for each in report.entrants]
    found: list[dict[str, Any]] = []
    seen: set[tuple[int, ...]] = set()
    for name in [*(key for key in KEY if key != "framework_version"), "framework_version", "verdict"]:
        values = list(dict.fromkeys(each[name] for each in entrants))
        parts = tuple(values.index(each[name]) for each in entrants)
        if len(values) > 1 and (parts not in seen or name == "mode"):
            seen.add(parts)
            values.sort(key=lambda value: (not value.isdigit(), int(value) if value.isdigit() else 0, value))
            found.append({"name": name, "title": TITLES.get(name, name), "values": values})
    return found


def _subtitle(report: Report) -> str:
    first = report.launches.iloc[0]
    parts = [str(first[name]) for name in ("network", "data_set", "device", "dtype")]
    launches = len(report.launches) - report.trainings
    parts.append(f"{len(report.entrants)} entrant(s), {report.rounds} round(s), {launches} launch(es)")
    parts += [f"{report.trainings} training(s)"] if report.trainings else []
    return f"{', '.join(parts)}. {first['machine']}."


def _warnings(report: Report) -> list[str]:
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
            f"{failed} launch(es) failed; what they were of left the run then. Their errors are below the table."
        )
    if (report.launches["verified"] == False).fillna(False).any():  # noqa: E712
        found.append("NOT VERIFIED: run with --unverified, so nothing says that these compute the same.")
    if (report.launches["environment"] == "native").any():
        found.append("Native environment: threads, allocator and CPUs were not controlled.")
    unsteady = int((~report.timed["steady"].astype("boolean").fillna(True)).sum())
    if unsteady:
        found.append(f"{unsteady} of {len(report.timed)} timed launches never became steady; they are kept.")
    return found + conditions(report.timed)


def _lead(report: Report) -> str:
    """The result in a sentence."""
    if report.summary.empty:
        return "Nothing was timed in this run: it has accuracies alone."
    first, labels = report.summary.iloc[0], [each.label for each in report.entrants]
    sentence = f"Fastest in training: {labels[0]}, {first['train_images_per_s']:,.0f} images/s"
    counts = report.summary["verdict"].dropna().value_counts()
    others = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"{sentence}. Against the base {first['base']}: {others}." if others else f"{sentence}."
