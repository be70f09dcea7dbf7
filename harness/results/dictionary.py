"""The data dictionary, made from the schema: `python -m harness.results.dictionary > docs/results.md`."""

from __future__ import annotations

from harness.results.migrations import ADDED
from harness.results.schema import FILES, SCHEMA_VERSION, Column
from harness.results.validation import KEYS

KINDS = {"string": "text", "Int64": "integer", "Float64": "real", "boolean": "True/False"}
READING = """```python
import pandas as pd

launches = pd.read_csv("results/<run>/launches.csv")
launches.groupby(["backend", "mode"])["train_images_per_s"].describe()
```

```sql
-- DuckDB
SELECT backend, mode, median(train_images_per_s) FROM 'results/<run>/launches.csv' GROUP BY ALL;
```

To open a file in a spreadsheet, say that it is CSV with a comma between cells and a point in numbers. A text that a
spreadsheet would compute has an apostrophe before it. lenet-bench reads tables that a spreadsheet saved again
(semicolons, decimal commas, `TRUE`). It refuses them where the spreadsheet rounded a whole number. It cannot see that a
spreadsheet has changed a version such as `2.10`.
`lenet-bench export RUN` writes the same tables as Parquet, each column with its unit and meaning in its metadata."""


def as_markdown(columns: dict[str, Column]) -> str:
    """The columns as a Markdown table."""
    rows = [f"| `{c.name}` | {KINDS[c.dtype]} | {c.unit} | {c.meaning} |" for c in columns.values()]
    return "\n".join(["| column | type | unit | meaning |", "| --- | --- | --- | --- |", *rows])


def document() -> str:
    """All files with their columns, keys and versions, as docs/results.md has them (a test holds the two together)."""
    parts = []
    for name, (columns, what) in FILES.items():
        table = name.rpartition("/")[2].removesuffix(".csv")
        key = f"\nOne row for each {', '.join(f'`{each}`' for each in KEYS[table])}.\n" if table in KEYS else ""
        parts.append(f"## `{name}`\n\n{what[0].upper()}{what[1:]}.\n{key}\n{as_markdown(columns)}\n")
    intro = f"""# Result files

After reading this page you can read every file of a run with any program: which columns it has, in which unit, and what
they mean. Words such as *launch* and *entrant* are in the [glossary](glossary.md).

Files are CSV in UTF-8 with a header. The decimal point is `.`. An empty cell says that there is no value, and `inf`
means *never*. Truth is `True` or `False`. Units stand in the column's name, or in its row on this page. This page is
made by `python -m harness.results.dictionary > docs/results.md`.

{READING}
"""
    return "\n".join([intro, *parts, _versions()])


def _versions() -> str:
    lines = [
        f"- {version}, {table}.csv: {', '.join(f'`{name}`' for name in names.split())}"
        for version in range(SCHEMA_VERSION, 1, -1)
        for table, added in ADDED.items()
        for names in [added.get(version)]
        if names
    ]
    return f"""## Versions

`schema_version` is {SCHEMA_VERSION}. Rows of older versions are read: the columns that came later are empty in them,
and `slowdown` is 0. Rows of a newer one are refused. What came with which version:

{chr(10).join(lines)}
"""


if __name__ == "__main__":
    print(document(), end="")
