"""How an entrant looks in every figure: a colour of its framework, a marker and a dash of its own.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people with any of the common colour
visions can tell apart; markers and dashes tell entrants apart without any colour, in print too.
"""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.worker import catalogue, facts

# For backends whose facts name none, or one that is taken; the eighth colour of Okabe and Ito, yellow, cannot be seen
# on white. Behind these, hues are a golden angle apart, so that each is far from those before it.
OTHER_COLOURS = ("#cc79a7", "#7f5539", "#6a4c93", "#5f6b00")
GOLDEN_TURN = 0.618034
# The same shapes as paths of an SVG, 8 units wide around the middle of a box of 28 x 14.
PATHS = {
    "circle": "M18 7a4 4 0 1 1-8 0a4 4 0 1 1 8 0z", "square": "M10 3h8v8h-8z", "diamond": "M14 2l5 5-5 5-5-5z",
    "triangle-up": "M14 2.5l4.6 8H9.4z", "cross": "M12.5 3h3v2.5H18v3h-2.5V11h-3V8.5H10v-3h2.5z",
    "x": "M10 4.5l1.5-1.5L14 5.5l2.5-2.5L18 4.5 15.5 7 18 9.5 16.5 11 14 8.5 11.5 11 10 9.5 12.5 7z",
    "triangle-down": "M14 11.5l4.6-8H9.4z",
    "star": "M14 1.8l1.5 3.3 3.6.4-2.7 2.4.8 3.6-3.200-1.8-3.200 1.8.8-3.6-2.7-2.4 3.6-.4z",
}  # fmt: skip
SHAPES = tuple(PATHS)
STROKES = {"solid": "", "dash": "5 3", "dot": "1.5 2.5", "dashdot": "5 2 1.5 2", "longdash": "8 3",
           "longdashdot": "8 2 1.5 2"}  # fmt: skip
DASHES = tuple(STROKES)
# Steps from dark to light of cividis (Nuñez, Anderton and Renslow 2018), made for colour-blind readers; as dark to
# light in print. No hatching: printed to PDF, a browser turns each hatch into a bitmap of megabytes.
PHASES = {"import": "#00224e", "build the network": "#434e6c", "compile (first step)": "#7d7c78",
          "warm up": "#bcaf6f", "train one epoch": "#fee838"}  # fmt: skip
MEMORY = {"once imported": "#434e6c", "up to the peak": "#bcaf6f"}


@dataclass(frozen=True)
class Mark:
    """Colour (#rrggbb), marker and dash, as Plotly calls them."""

    colour: str
    symbol: str
    dash: str

    @property
    def path(self) -> str:
        """The marker as an SVG path."""
        return PATHS[self.symbol.removesuffix("-open")]

    @property
    def filled(self) -> bool:
        """Whether the marker is filled."""
        return not self.symbol.endswith("-open")

    @property
    def stroke(self) -> str:
        """The dash as SVG's stroke-dasharray."""
        return STROKES[self.dash]


def marks_of(backends: Sequence[str]) -> list[Mark]:
    """The marks of entrants, of which these are the backends, in their order.

    Within a framework the first sixteen have a marker each. Frameworks begin with different markers and dashes, so that
    one entrant of each can be told apart without colour.
    """
    colours = colours_of(backends)
    symbols = [*SHAPES, *(f"{shape}-open" for shape in SHAPES)]
    starts = {name: number for number, name in enumerate(colours)}
    seen: dict[str, int] = {}
    found = []
    for name in backends:
        seen[name] = seen.get(name, -1) + 1
        place = starts[name] + seen[name]
        found.append(Mark(colours[name], symbols[place % len(symbols)], DASHES[place % len(DASHES)]))
    return found


def colours_of(backends: Sequence[str]) -> dict[str, str]:
    """The colours (#rrggbb) of the backends of this repository, then of these others, each one of its own."""
    colours: dict[str, str] = dict(facts.ours("COLOUR"))
    others = [name for name in dict.fromkeys(backends) if name not in colours]
    stated = {name: facts.get(name, "COLOUR", "") if name in catalogue.names() else "" for name in others}
    for name in others:
        if stated[name] in colours.values():
            stated[name] = ""
        colours[name] = stated[name] or next(
            each for each in _spare_colours() if each not in {*colours.values(), *stated.values()}
        )
    return colours


def _spare_colours() -> Iterator[str]:
    yield from OTHER_COLOURS
    for number in itertools.count():
        # Dark and light by turns, as two hues may look alike to some.
        light = (0.34, 0.52)[number % 2]
        parts = colorsys.hls_to_rgb(number * GOLDEN_TURN % 1, light, 0.6)
        yield "#" + "".join(f"{round(255 * part):02x}" for part in parts)
