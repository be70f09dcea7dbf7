"""A table that fits its terminal: a row is one line, a figure is whole, and what is cut stands whole below.

Where a table is too wide, this is tried in turn: the columns that name a row become one; names and words are cut and
get a mark, `…3`; and figures without room go into a second part below, behind the same names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from harness.visible import visible

# So much of a line may be names, where there is not enough for all; and so little is left for words.
NAMES_SHARE = 0.4
LEAST_WORDS = 20
_ONE_LINE = str.maketrans({"\n": "\\n", "\t": "\\t"})


class Marks:
    """Texts that were cut: each has a number, and stands whole below the tables."""

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}

    def cut(self, text: Text, room: int) -> Text:
        """The text in at most `room` columns of a terminal: whole, or its beginning and a mark."""
        if text.cell_len <= room:
            return text
        mark = f"…{self._texts.setdefault(text.plain, len(self._texts) + 1)}"
        short = text.copy()
        short.truncate(max(room - cell_len(mark), 0))
        return short.append(mark)

    def below(self) -> Iterator[Text]:
        """A line for each text that was cut, as `…3: the text`."""
        for text, number in self._texts.items():
            yield Text(f"…{number}: {text}")


@dataclass(frozen=True)
class _Column:
    """A column as it is laid out; `whole` for figures, which are never cut."""

    header: Text
    cells: tuple[Text, ...]
    right: bool
    whole: bool

    @cached_property
    def width(self) -> int:
        """Columns of a terminal."""
        lines = [*self.header.split("\n"), *self.cells]
        return max((line.cell_len for line in lines), default=0)

    def within(self, room: int, marks: Marks) -> _Column:
        """This column in so much room, its header too."""
        if self.width <= room:
            return self
        header = Text("\n").join(marks.cut(line, room) for line in self.header.split("\n"))
        return replace(self, header=header, cells=tuple(marks.cut(cell, room) for cell in self.cells))


class FittingTable(Table):
    """A table that lays itself out for the width that it is printed in.

    Attributes:
        keys: how many of its first columns name the row. Each part of the table begins with them.
        marks: of what was cut, where several tables say it once; None: the table says it below itself.
    """

    def __init__(self) -> None:
        super().__init__(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        self.keys = 1
        self.marks: Marks | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Table | Text]:
        marks = self.marks or Marks()
        for part in _parts(self._columns(), self.keys, options.max_width, marks):
            yield self._printed(part)
        if self.marks is None:
            yield from marks.below()

    def _columns(self) -> list[_Column]:
        return [
            _Column(
                header=_text(column.header),
                cells=tuple(_one_line(cell) for cell in column.cells),
                right=column.justify == "right",
                whole=column.justify == "right" or column.no_wrap,
            )
            for column in self.columns
        ]

    def _printed(self, part: list[_Column]) -> Table:
        table = Table(box=None, pad_edge=False, padding=self.padding, header_style=self.header_style)
        for column in part:
            table.add_column(column.header, justify="right" if column.right else "left", no_wrap=True)
        for row, cells in zip(self.rows, zip(*(column.cells for column in part)), strict=True):
            table.add_row(*cells, style=row.style)
        return table


def _parts(columns: list[_Column], keys: int, width: int, marks: Marks) -> list[list[_Column]]:
    """The columns as one table or several, none of them wider than `width`."""
    names, rest = columns[:keys], columns[keys:]
    narrow = list(map(_narrowest, rest))
    for others in (rest, narrow):
        for named in (names, [_joined(names)]):
            if _total([*named, *others]) <= width:
                return [[*named, *_filled(rest, width - _total(named) - 1, marks)]]
    least = int(width * NAMES_SHARE) if rest else width
    name = _joined(names).within(max(least, width - _total(narrow) - 1), marks)
    room = width - name.width - 1
    parts, taken = [list[_Column]()], -1
    for column, short in zip(rest, narrow, strict=True):
        if parts[-1] and taken + 1 + short.width > room:
            parts.append([])
            taken = -1
        parts[-1].append(column)
        taken += 1 + short.width
    return [[name, *_filled(part, room, marks)] for part in parts]


def _filled(part: list[_Column], room: int, marks: Marks) -> list[_Column]:
    """The columns of one part in the room that they have: words get what figures leave."""
    filled = list(map(_narrowest, part))
    for number, column in enumerate(part):
        left = room - _total(filled) + filled[number].width
        filled[number] = column.within(left, marks)
    return filled


def _narrowest(column: _Column) -> _Column:
    """The least that a column takes: a figure all that it has, words some of it."""
    return column if column.whole else column.within(LEAST_WORDS, Marks())


def _joined(keys: list[_Column]) -> _Column:
    """Those columns that name a row as one."""
    if len(keys) == 1:
        return keys[0]
    header = Text(", ".join(" ".join(column.header.plain.split()) for column in keys if column.header.plain))
    cells = tuple(Text(" ").join(filter(None, cells)) for cells in zip(*(column.cells for column in keys)))
    return _Column(header, cells, right=False, whole=False)


def _total(columns: list[_Column]) -> int:
    """Width of a table of these columns."""
    return sum(column.width for column in columns) + max(len(columns) - 1, 0)


def _text(value: object) -> Text:
    return value if isinstance(value, Text) else Text(str(value))


def _one_line(value: object) -> Text:
    """The cell as it is shown, which may be longer than it is: on one line, with all that is silent as its escape."""
    made = _text(value)
    shown = visible(made.plain).translate(_ONE_LINE)
    return made if shown == made.plain else Text(shown, style=made.style)
