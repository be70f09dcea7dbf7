"""Reading a CSV of lenet-bench, as it was written or as a spreadsheet has saved it again, cell by cell and exactly.

People pass these files on, so a file is bounded before it is read: `MAX_BYTES` of it, `MAX_HEADER` of a first line, and
`csv.field_size_limit` (131,072 characters) of a cell. Reading takes at most about eight times a file's bytes of memory.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from harness.errors import InputError
from harness.files import read_regular
from harness.results.migrations import upgrade
from harness.results.schema import SCHEMA_VERSION, Column
from harness.visible import unquoted

# An hour of a run gives about 25 MB of blocks.csv.
MAX_BYTES = 256 * 2**20
MAX_HEADER = 2**16
# What spreadsheets put between cells, by the settings of their country.
DELIMITERS = (",", ";", "\t")
AGAIN = "Take the file as lenet-bench wrote it."
_WHOLE = re.compile(r"[+-]?\d{1,19}([.,]0+)?")
_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_ROUNDED = re.compile(r"[+-]?\d([.,]\d+)?[eE]\+?\d+")
_BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
_LARGEST = 2**63


def read_table(
    path: Path, columns: dict[str, Column], *, version: int = SCHEMA_VERSION, table: str = ""
) -> pd.DataFrame:
    """Read a CSV that `write_table` wrote, in this version or an older one.

    Also one that a spreadsheet has saved again, as far as nothing in it is lost: with a byte order mark, semicolons or
    tabs, decimal commas, TRUE, other line ends, empty columns and rows at the end.

    Args:
        version: of this lenet-bench's columns; rows of older ones are brought up to it (harness/results/migrations.py).
        table: what kind of table it is; as the file is called, where that is not said.

    Raises:
        InputError: no such file, no such table, or a cell that is not of its column's dtype, with its place.
    """
    content = read_regular(path, most=MAX_BYTES)
    try:
        header, delimiter = read_header(path, content)
        _check_rows_whole(path, content, delimiter)
        raw = pd.read_csv(
            io.BytesIO(content), dtype="string", keep_default_na=False, na_values=[""], sep=delimiter,
            encoding="utf-8-sig", index_col=False,
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV table: {str(error).strip()}. {AGAIN}") from None
    if len(raw.columns) > len(header):
        raw = raw.iloc[:, : len(header)]
    raw.columns = pd.Index(header)
    if raw.iloc[:, 0].isna().any():
        raw = raw.dropna(how="all")
    raw = upgrade(raw, table=table or path.stem, version=version, path=path)
    missing = [name for name in columns if name not in raw.columns]
    if missing:
        raise InputError(f"{path} lacks the columns {', '.join(missing)}. Is it a table of lenet-bench?")
    quoted = b"'" in content
    # Arrays, not series: of a hundred columns, each with an index, pandas would first compare all the indexes.
    cells = {name: _typed(raw[name].array, column, path, delimiter, quoted) for name, column in columns.items()}
    return pd.DataFrame(cells, index=raw.index, copy=False)


def read_header(path: Path, content: bytes) -> tuple[list[str], str]:
    """Return the names of the columns, and what stands between cells.

    Raises:
        InputError: a workbook, another encoding, a first line that is too long, or a name that is there twice.
        csv.Error, UnicodeDecodeError, pandas' EmptyDataError: there is none.
    """
    if content.startswith(b"PK\x03\x04"):
        raise InputError(f"{path} is a spreadsheet's workbook, not a CSV. {AGAIN}")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(
            f"{path} is not a CSV table in UTF-8: a spreadsheet has saved it as UTF-16. Save it as CSV UTF-8."
        )
    first = re.split(rb"[\r\n]", content[: MAX_HEADER + 1], maxsplit=1)[0]
    if len(first) > MAX_HEADER:
        raise InputError(f"{path} is not a CSV table: its first line has more than {MAX_HEADER:,} bytes. {AGAIN}")
    line = first.decode("utf-8-sig")
    delimiter = max(DELIMITERS, key=line.count)
    cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    while cells and not cells[-1].strip():
        cells.pop()
    if not cells:
        raise pd.errors.EmptyDataError("No columns to parse from file")
    twice = sorted({name for name in cells if cells.count(name) > 1})
    if twice:
        raise InputError(f"{path} has the column {twice[0]!r} twice. {AGAIN}")
    return cells, delimiter


def _check_rows_whole(path: Path, content: bytes, delimiter: str) -> None:
    """Refuse rows that have lost cells: pandas would take what is left of them and call the rest missing."""
    if content and content[-1:] not in (b"\n", b"\r"):
        raise InputError(f"{path} does not end with the end of a line. Is it cut off?")
    with io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="") as text:
        rows = csv.reader(text, strict=True, delimiter=delimiter)
        width = len(next(rows, []))
        for number, row in enumerate(rows, start=2):
            # An empty line is no row.
            if row and len(row) != width:
                raise InputError(
                    f"{path}, row {number}: {len(row)} cells, but the header has {width}. Is the file cut off?"
                )


def _typed(values: ExtensionArray, column: Column, path: Path, delimiter: str, quoted: bool) -> ExtensionArray:
    """The cells of a column as what they are; `quoted` is whether any of the file's may be (`harness.visible`)."""
    if column.dtype == "string":
        if not quoted:
            return values
        return pd.array([unquoted(cell) if isinstance(cell, str) else cell for cell in values], dtype="string")
    # A column has few different cells, or they are worth their time one by one.
    codes, different = values.factorize()
    cells = different.tolist()
    read: dict[str, Callable[[str], bool | int | float | None]] = {
        "boolean": _BOOLEANS.get, "Int64": _whole, "Float64": _real if delimiter == "," else _real_with_comma,
    }  # fmt: skip
    found = [read[column.dtype](cell) for cell in cells]
    if None in found:
        row = int((codes == found.index(None)).argmax())
        raise InputError(f"{path}, row {row + 2}, column {column.name}: {_why(str(values[row]), column.dtype)}")
    if column.dtype == "Float64":
        _check_one_point(path, column.name, cells)
    kinds = {"boolean": bool, "Int64": np.int64, "Float64": np.float64}
    data = np.array([*found, 0], dtype=kinds[column.dtype])[codes]
    made = {"boolean": pd.arrays.BooleanArray, "Int64": pd.arrays.IntegerArray, "Float64": pd.arrays.FloatingArray}
    return made[column.dtype](data, codes == -1)


def _whole(cell: str) -> int | None:
    """A whole number, by no way over a real one, which would hold 53 of its 64 bits."""
    cell = cell.strip()
    if not _WHOLE.fullmatch(cell):
        return None
    number = int(re.split("[.,]", cell)[0])
    return number if -_LARGEST <= number < _LARGEST else None


def _real(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    # No cell says "nan": what is missing is empty. Python would take 1_000 for a number.
    return None if number != number or "_" in cell else number


def _real_with_comma(cell: str) -> float | None:
    return _real(cell.strip().replace(",", ".") if _COMMA.fullmatch(cell.strip()) else cell)


def _check_one_point(path: Path, name: str, cells: list[str]) -> None:
    """Refuse a column with decimal points and commas: 1,234 may be either, and its spreadsheet was of two minds."""
    with_comma = [cell for cell in cells if "," in cell]
    with_point = [cell for cell in cells if "." in cell]
    if with_comma and with_point:
        raise InputError(
            f"{path}, column {name}: {with_comma[0]!r} has a comma and {with_point[0]!r} a point, so a spreadsheet may "
            f"have changed either. {AGAIN}"
        )


def _why(cell: str, dtype: str) -> str:
    """Why a cell is not of its column's dtype, as far as that can be seen."""
    shown = repr(cell if len(cell) <= 60 else f"{cell[:60]}...")
    if dtype == "Int64" and _ROUNDED.fullmatch(cell):
        return f"{shown} is a whole number that a spreadsheet has rounded. {AGAIN}"
    if dtype == "Int64" and re.fullmatch(r"[+-]?\d+", cell):
        return f"{shown} does not fit into 64 bits. {AGAIN}"
    if dtype != "boolean" and re.fullmatch(r"[+-]?\d{1,3}([.,' ]\d{3})+([.,]\d+)?", cell):
        return f"{shown} is not {dtype}: a spreadsheet has put marks between its thousands. {AGAIN}"
    if dtype == "Float64" and _COMMA.fullmatch(cell):
        return f"{shown} is not {dtype}: a decimal comma, in a file whose cells are separated by commas. {AGAIN}"
    return f"{shown} is not {dtype}."
