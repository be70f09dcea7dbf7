"""How the entrants of a run stand after a round, for whoever watches it."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from harness.analysis.comparison import Comparison
from harness.analysis.statistics import Interval, width
from harness.runs.pace import Pace


def line(pace: Pace, left: str) -> str:
    """All of it, for a log.

    Args:
        left: how long the run may still take, for people; empty where nobody knows.
    """
    parts = [*map(_ratio_of, pace.found), *_reasons(pace), *[left] * bool(left)]
    return f"after {pace.rounds} round(s): {'; '.join(parts)}"


def title(pace: Pace) -> str:
    """What stands above the table: rounds so far, how wide intervals are, why there will be more."""
    return ": ".join([f"after {pace.rounds} round(s)", *["; ".join(_reasons(pace))] * bool(_reasons(pace))])


def _reasons(pace: Pace) -> list[str]:
    wanted = f", {pace.plan.precision:.1%} wanted" if pace.plan.precision else ""
    widest = f"widest interval {pace.widest:.1%}{wanted}" if pace.widest < float("inf") else ""
    return [each for each in (widest, pace.waits_for()) if each]


def table(found: list[Comparison], title: str) -> Table:
    """A row for each entrant: its speed, and its ratio with interval and width where there is something to compare."""
    table = Table(title=Text(title, style="italic"), title_justify="left", box=None, pad_edge=False)
    for header in ("", "images/s", *(("ratio", "interval", "width") if len(found) > 1 else ("interval",))):
        table.add_column(header, justify="right" if header else "left", no_wrap=True)
    for each in found:
        ratio = each.ratio
        cells: tuple[str, ...] = ("base", "", "")
        if ratio is not None:
            cells = (f"{ratio.estimate:.3f}", _limits(ratio), _width(ratio))
        elif len(found) == 1:
            cells = (f"{each.speed.low:,.0f}..{each.speed.high:,.0f}" if each.speed.low == each.speed.low else "-",)
        table.add_row(Text(each.label), f"{each.speed.estimate:,.0f}", *cells)
    return table


def _ratio_of(each: Comparison) -> str:
    if each.ratio is None:
        return f"{each.label} {each.speed.estimate:,.0f} images/s"
    known = each.ratio.low == each.ratio.low
    return f"{each.label} x {each.ratio.estimate:.3f} ({_limits(each.ratio) if known else 'no interval yet'})"


def _limits(interval: Interval) -> str:
    return f"{interval.low:.3f}..{interval.high:.3f}" if interval.low == interval.low else "-"


def _width(interval: Interval) -> str:
    return f"{width(interval):.1%}" if interval.low == interval.low else "-"
