"""The headline in formats of other programs: right figures, and no text that breaks out of its cell."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest

from harness.results.folder import RunFolder, read_table
from harness.results.schema import SUMMARY
from harness.tables.formats import as_csv, as_json, as_latex, as_markdown, caption, headline
from tests.harness.synthetic_run import write_run


@pytest.fixture
def summary(tmp_path: Path) -> pd.DataFrame:
    """Six entrants, fastest first; the second has never become steady at some figure, and is never overtaken."""
    frame = RunFolder(write_run(tmp_path / "run", entrants=6, rounds=5)).read("summary")
    frame.loc[1, "break_even_images"] = float("inf")
    frame.loc[1, "test_accuracy"] = pd.NA
    return frame


def test_headline_has_the_figures(summary: pd.DataFrame) -> None:
    """Speed, ratio and intervals as numbers people read; what is missing is a dash."""
    rows = headline(summary)

    first, second = rows.iloc[0], rows.iloc[1]
    assert first["images/s"] == f"{summary['train_images_per_s'].iloc[0]:,.0f}"
    assert (first["ratio"], first["its interval"], first["verdict"]) == ("1.000", "-", "-")
    assert second["ratio"] == f"{summary['ratio'].iloc[1]:.3f}"
    assert second["its interval"] == f"{summary['ratio_low'].iloc[1]:.3f}..{summary['ratio_high'].iloc[1]:.3f}"
    assert second["test accuracy"] == "-"
    assert len(rows) == 6


def test_headline_tells_entrants_apart_and_no_more(summary: pd.DataFrame) -> None:
    """A column stands there only where entrants differ in it; what is the same for all is in the caption."""
    assert "dtype" not in headline(summary)
    assert "float32" in caption(summary)
    summary.loc[0, "dtype"] = "float64"
    assert "dtype" in headline(summary)
    assert "float32" not in caption(summary)


def test_unpaired_ratio_is_called_so(summary: pd.DataFrame) -> None:
    """In every format the verdict on runs that were not measured together says it."""
    summary.loc[2, "paired"] = False
    assert headline(summary)["verdict"].iloc[2].endswith(" (unpaired)")
    assert not headline(summary)["verdict"].iloc[1].endswith(" (unpaired)")


def test_what_was_not_verified_is_called_so(summary: pd.DataFrame) -> None:
    """Tables that are pasted elsewhere carry the warning with them; rows of versions that did not know do not count."""
    assert "NOT VERIFIED" not in caption(summary)
    assert "NOT VERIFIED" not in caption(summary.assign(verified=summary["verified"].mask(summary["verified"])))
    summary.loc[3, "verified"] = False
    assert "NOT VERIFIED" in caption(summary)
    assert "NOT VERIFIED" in as_markdown(summary)


def test_caption_has_whatever_is_the_same(summary: pd.DataFrame) -> None:
    """A version that all share stands in the caption, not in a column that says the same in every row."""
    summary["variant"] = "0.10.1"
    assert "0.10.1" in caption(summary)
    assert "variant" not in headline(summary)


def test_csv_comes_back(summary: pd.DataFrame, tmp_path: Path) -> None:
    """The CSV is a summary.csv."""
    path = tmp_path / "summary.csv"
    path.write_text(as_csv(summary))
    pd.testing.assert_frame_equal(read_table(path, SUMMARY), summary)


def test_json_has_no_nan_and_no_infinity(summary: pd.DataFrame) -> None:
    """Strict JSON: null where there is nothing, `inf` as text for never, numbers with all their digits."""

    def refuse(text: str) -> None:
        raise AssertionError(text)

    rows = json.loads(as_json(summary), parse_constant=refuse)

    assert rows[1]["break_even_images"] == "inf"
    assert rows[1]["test_accuracy"] is None
    assert rows[2]["train_images_per_s"] == summary["train_images_per_s"].iloc[2]
    assert [set(row) for row in rows] == [{*SUMMARY, "conditions"}] * 6


HOSTILE = "a|b <script>alert(1)</script> `c` _d_ [e](http://f)\nnew"


def test_markdown_escapes_what_would_leave_its_cell(summary: pd.DataFrame) -> None:
    """A bar, a line break, HTML and links in a version change no other cell."""
    summary.loc[0, "framework_version"] = HOSTILE
    lines = as_markdown(summary).splitlines()

    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 6
    bars = {line.count("|") - line.count("\\|") for line in table}
    assert len(bars) == 1
    assert "<script>" not in "".join(lines)
    assert "[e]" not in "".join(lines).replace("\\[e\\]", "")


def test_markdown_is_read_back(summary: pd.DataFrame) -> None:
    """Split at its bars, the table has the headline's cells."""
    lines = as_markdown(summary).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:8]]

    assert cells[1][cells[0].index("images/s")] == "---:"
    unescaped = [[cell.replace("\\", "") for cell in row] for row in cells[2:]]
    assert unescaped == headline(summary).to_numpy().tolist()


def test_latex_escapes(summary: pd.DataFrame) -> None:
    """What TeX would take for a command or a comment is escaped, in cells, headers and caption."""
    summary.loc[0, "framework_version"] = r"1_0 & 50% \input{x} $y$ ~ ^"
    text = as_latex(summary)

    assert r"1\_0 \& 50\% \textbackslash{}input\{x\} \$y\$ \textasciitilde{} \textasciicircum{}" in text
    assert r"framework\_version" in text
    assert text.count(r"\\") == 1 + 6
    body = text[text.index("\\midrule") : text.index("\\bottomrule")]
    assert {line.count(" & ") for line in body.splitlines()[2:]} - {0} == {headline(summary).shape[1] - 1}


@pytest.mark.parametrize(
    "text", ["=cmd()", "+1+cmd()", "-1+cmd()", "@SUM(A1)", "\t=cmd()", "\r=cmd()", "\n=cmd()", "'=cmd()", '=cmd(),"']
)
def test_exported_text_is_no_formula(summary: pd.DataFrame, text: str) -> None:
    """Whatever an entrant, a version or a machine is called: no cell of the CSV begins as what a spreadsheet computes,
    also one in quotation marks, and numbers are left to be numbers."""
    for name in ("variant", "framework_version", "machine"):
        summary.loc[0, name] = text
    cells = next(csv.DictReader(io.StringIO(as_csv(summary), newline="")))

    for name in ("variant", "framework_version", "machine"):
        # What a terminal would obey is written out: \\r.
        assert cells[name][0] in "'\\", cells[name]
    assert not any(cell.startswith(tuple("=+@\t\r\n")) for cell in cells.values())
    assert float(cells["train_images_per_s"]) == summary["train_images_per_s"].iloc[0]


def test_whole_summary_survives_a_spreadsheet(summary: pd.DataFrame) -> None:
    """No cell begins like a formula, and no cell is longer than a spreadsheet takes."""
    raw = pd.read_csv(io.StringIO(as_csv(summary)), dtype=str, keep_default_na=False)
    for name in raw:
        assert not raw[name].str.match(r"[=+@]").any(), name
        assert (raw[name].str.len() < 32767).all(), name


def test_what_disturbed_the_timing_is_in_every_format(summary: pd.DataFrame) -> None:
    """Below a table, in a caption, beside every row of JSON; CSV has columns alone, and `compare` says it elsewhere."""
    said = ["BUSY MACHINE: other programs used 1.5 of 2 CPUs."]

    assert as_markdown(summary, said).endswith("**BUSY MACHINE\\: other programs used 1.5 of 2 CPUs.**\n")
    assert "BUSY MACHINE: other programs" in as_latex(summary, said)
    assert [row["conditions"] for row in json.loads(as_json(summary, said))] == [said] * 6
    assert as_csv(summary, said) == as_csv(summary)


def test_share_of_the_limit(summary: pd.DataFrame) -> None:
    """A column of the headline in every format, where there is a limit."""
    assert "of limit" not in headline(summary)
    summary.loc[0, "backend"] = "numba"
    share = summary["train_images_per_s"].iloc[1] / summary["train_images_per_s"].iloc[0]

    assert headline(summary)["of limit"].tolist()[:2] == ["100.0%", f"{share:.1%}"]
    assert "| of limit |" in as_markdown(summary)
    assert "of limit" in as_latex(summary)
