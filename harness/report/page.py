"""The page: one file with all it needs in it, which asks for nothing, and shows every name as the text that it is."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

import harness
from harness.analysis.comparison import KEY
from harness.report import facts, first_screen, names
from harness.report.parts import ROW, Figure
from harness.report.reading import Entrant, Report
from harness.report.sections import first_figure, sections
from harness.visible import visible

FOLDER = Path(__file__).parent
# Stands in the head of every report, and tells one from any other file.
MARK = '<meta name="generator" content="lenet-bench report">'
# A page says that it is ours in its first lines.
HEAD = 4096
TITLES = {"backend": "framework", "framework_version": "version", "data_set": "data set", "batch_size": "batch size"}


@dataclass(frozen=True)
class Shell:
    """What stands around the contents of a page of ours.

    Attributes:
        mark: the element by which the page is known as ours.
        plotly: where its script is; empty for inside of the page.
    """

    title: str
    mark: Markup
    policy: str
    style: Markup
    data: Markup
    scripts: list[Markup]
    plotly: str


def shell(title: str, mark: str, figures: Iterable[Figure], entrants: list[dict[str, str]], plotly: str = "") -> Shell:
    """The shell of a page with these figures; `entrants` are what it filters by, in their order."""
    data = {"row": ROW, "figures": {figure.name: _spec(figure) for figure in figures}, "entrants": entrants}
    scripts = [*([] if plotly else [plotly_script()]), (FOLDER / "page.js").read_text(encoding="utf-8")]
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    return Shell(
        title=f"{title} – lenet-bench",  # noqa: RUF001
        mark=Markup(mark),
        policy=policy(scripts, beside=bool(plotly)),
        style=Markup(style),
        data=Markup(as_json(data)),
        scripts=[Markup(script) for script in scripts],
        plotly=plotly,
    )


def plotly_script() -> str:
    """Plotly, as it may stand in a page."""
    return get_plotlyjs().replace("\r\n", "\n")


def environment() -> Environment:
    """What makes pages of templates."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # No line begins with the sign for per cent. Not where text is copied from.
    made.filters["tight"] = lambda text: text.replace(" %", "\u00a0%")
    return made


def render(report: Report, *, home: str = "", plotly: str = "") -> str:
    """The whole page.

    Args:
        home: the page that it is one of several of, as this one links to it.
        plotly: as `Shell.plotly`.
    """
    made, first = sections(report), first_figure(report)
    drawn = [*([first] if first else []), *(figure for each in made for figure in each.figures)]
    entrants = [{"label": each.label, **_filtered_by(report, each)} for each in report.entrants]
    return environment().get_template("template.html.j2").render(
        shell=shell(report.name, MARK, drawn, entrants, plotly),
        report=report,
        home=home,
        heading=first_screen.title(report),
        subtitle=first_screen.subtitle(report),
        warnings=first_screen.warnings(report),
        lead=first_screen.answer(report),
        first=first,
        headline=facts.headline(report).filled(),
        notes=first_screen.notes(report),
        failures=facts.failures(report),
        sections=made,
        facets=_facets(report),
        version=harness.__version__,
    )  # fmt: skip


def is_ours(path: Path, mark: str) -> bool:
    """Whether a file is a page with this mark."""
    try:
        with path.open(encoding="utf-8") as file:
            return mark in file.read(HEAD)
    except (OSError, UnicodeDecodeError):
        return False


def _shown(value: Any) -> Any:
    """Text that is no markup of ours, with nothing in it that does something without being seen."""
    return visible(value) if type(value) is str else value


def as_json(values: Any) -> str:
    """JSON that may stand inside of a script element: no `</script>`, no `<!--`, whatever the names are."""
    dumped = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return dumped.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def policy(scripts: list[str], *, beside: bool = False) -> str:
    """A Content-Security-Policy under which nothing is fetched and only these scripts are run.

    Args:
        beside: whether scripts from where the page itself is are run too.

    Styles may be inline because Plotly sets them; images may be data, which is how it saves a figure as a file.
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join([*(["'self'"] if beside else []), *(f"'sha256-{digest}'" for digest in digests)])
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
            pairs = [(value, names.value(name, value)) for value in values]
            found.append({"name": name, "title": TITLES.get(name, name), "values": pairs})
    return found
