"""The figure of docs/limit.md: a bar for each entrant, made of the parts of its step."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from benchmarks.layers.networks import PARTS
from harness.report.export import BROWSER, WIDTH, find_browser
from harness.report.marks import PHASES


def draw(times: pd.DataFrame, target: Path) -> None:
    """Write it.

    Args:
        times: microseconds; an entrant a row, PARTS the columns.
        target: an SVG.

    Raises:
        InputError: there is no browser to draw with.
    """
    import plotly.graph_objects as go
    import plotly.io as pio

    os.environ[BROWSER] = find_browser()
    pio.defaults.mathjax = None
    steps = times.sum(axis=1).sort_values(ascending=False)
    figure = go.Figure(layout={
        "barmode": "stack", "template": "plotly_white", "width": WIDTH, "height": 120 + 36 * len(steps),
        "font": {"size": 14, "color": "#000000"}, "margin": {"l": 10, "r": 70, "t": 10, "b": 50},
        "xaxis": {"title": {"text": "microseconds of a training step"}, "tickformat": ",", "automargin": True},
        "yaxis": {"automargin": True},
        "legend": {"orientation": "h", "traceorder": "normal", "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
    })  # fmt: skip
    for place, (part, colour) in enumerate(zip(PARTS, PHASES.values(), strict=True)):
        # Parts of nearly nothing come out below zero here and there.
        values = times.loc[steps.index, part].clip(lower=0)
        figure.add_bar(
            name=PARTS[part], orientation="h", x=values.round(1), y=list(steps.index), uid=f"{place:06d}",
            marker={"color": colour, "line": {"width": 0.5}},
            text=[f"{share:.0%}" if share >= 0.08 and steps[name] > 2500 else ""
                  for name, share in (values / steps).items()],
            textposition="inside", insidetextanchor="middle", textangle=0,
        )  # fmt: skip
    for name, step in steps.items():
        figure.add_annotation(x=step, y=name, text=f"{step:,.0f}", xanchor="left", showarrow=False, xshift=4)
    target.parent.mkdir(parents=True, exist_ok=True)
    pio.write_image(figure, target, width=WIDTH, height=figure.layout.height)
