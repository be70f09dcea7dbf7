"""What people see: every figure, in 80 columns, and nothing that is not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.results.folder import frame_of
from harness.results.schema import SUMMARY
from harness.tables import run_tables
from tests.harness.tables.five_frameworks import (
    ENERGY,
    MISSED,
    REACHED,
    TABLES,
    cells,
    rows_of,
    shown,
    sweep_of,
    table_text,
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train_images_per_s": 216_140.0, "train_images_per_s_low": 209_540.0, "train_images_per_s_high": 222_940.0},
        ENERGY,
        REACHED,
        MISSED,
    ],
    ids=["plain", "fast machine", "energy", "target", "target missed"],
)
@pytest.mark.parametrize("name", TABLES)
def test_tables_of_five_frameworks_need_no_folding(name: str, changes: dict[str, Any]) -> None:
    """Each table looks in 80 columns as it does in any number of them: no cell is folded, none is cut."""
    summary = frame_of(rows_of(**changes), SUMMARY)

    wide = table_text(TABLES[name](summary), 400)

    assert table_text(TABLES[name](summary), 80) == wide
    assert max(map(len, wide)) <= 80
    assert len(wide) == 2 + (5 if name != "target" else int(summary["until"].notna().sum()))


@pytest.mark.parametrize("changes", [{}, ENERGY | MISSED, {"data_set": "drawn-digits", "unsteady": 2, "launches": 3}])
def test_everything_stays_within_80_columns(changes: dict[str, Any]) -> None:
    """Titles, tables and footnotes of five frameworks: no line is longer, and none is broken in two."""
    text = shown(rows_of(**changes))

    assert max(map(len, text.splitlines())) <= 80
    assert text == shown(rows_of(**changes), width=400)


def test_tables_of_two_runs_stay_within_80_columns() -> None:
    """Names with a run's letter may make a cell fold, but no line longer, and speeds and intervals stay whole."""
    names = ("2026-11-20T08-41-12-5-backends", "2026-11-20T08-42-39-5-backends")
    text = shown([row for name in names for row in rows_of(run=name)])

    assert max(map(len, text.splitlines())) <= 80
    for number in ("21,614", "20,533..22,695", "0.803..0.888", "10,500", "2.13.0+cpu"):
        assert sum(number in line for line in text.splitlines()) >= 1
    assert text.count("tensorflow A") == text.count("tensorflow B") >= 4


def test_long_names_fold_no_interval() -> None:
    """Where there is too little room, names are folded, and every interval can still be read."""
    lines = shown(rows_of(backend="tensorflow of the night", mode="compiled, max-autotune")).splitlines()

    assert max(map(len, lines)) <= 80
    for interval in ("20,533..22,695", "5,912..6,534", "0.803..0.888"):
        assert sum(interval in line for line in lines) == 1


def test_every_figure_is_shown() -> None:
    """Speed with its interval, ratio, verdict; start-up; latency and sweep; machine, memory, accuracy, launches."""
    text = shown(rows_of(**ENERGY | REACHED))

    speed = cells(text, "Training, steady")
    assert speed["torch"] == ["eager", "18,277", "17,363..19,191", "0.846", "0.803..0.888", "slower"]
    assert speed["tensorflow"] == ["graph", "21,614", "20,533..22,695", "1.000", "-", "-"]
    assert speed["jax"][-2:] == ["cannot", "tell"]
    start = cells(text, "Start-up: ")
    assert start["jax"][:5] == ["jit", "0.44", "±.02", "0.30", "±.02"]
    assert "9.89" in start["jax"]
    inference = cells(text, "Inference, images")
    assert inference["mxnet"] == ["hybrid", "0.171", "0.250", "1.234", "30,001", "30,008", "30,064", "30,500"]
    for figure in ("25.3", "31.2%", "+1,394", "1,694", "1.23", "99.03", "1.8", "0.7"):
        assert sum(figure in line.split() for line in text.split("Share of the machine")[1].splitlines()) == 5
    assert cells(text, "Time to 98.50% test accuracy")["paddle"] == ["dynamic", "5", "of", "5", "2", "12.34", "15.67"]


def test_images_until_a_late_start_is_made_up_are_shown() -> None:
    """A number, `never` for who starts later and is slower, a dash for who starts first."""
    start = cells(shown(rows_of()), "Start-up: ")

    assert "28,713" in start["tensorflow"]
    assert "1,234,567" in start["mxnet"]
    assert start["jax"][-1] == start["paddle"][-1] == "never"
    assert start["torch"][-1] == "-"


def test_first_steps_of_milliseconds_are_shown() -> None:
    """Two backends whose first steps are 14 and 22 ms do not look as if they took 10 and 20, or nothing."""
    start = cells(shown(rows_of()), "Start-up: ")

    assert any(figure.startswith("0.014") for figure in start["torch"])
    assert any(figure.startswith("0.022") for figure in start["paddle"])


def test_one_launch_shows_no_halves() -> None:
    """Without intervals there are the figures alone, and no ±."""
    missing = {name: None for name in SUMMARY if name.endswith(("_low", "_high"))}
    text = shown(rows_of(**missing, launches=1, train_images_per_s_cv=None, verdict="cannot tell"))

    assert cells(text, "Start-up: ")["tensorflow"][:3] == ["graph", "1.45", "0.30"]
    assert "±" not in text
    assert "nan" not in text
    assert "Under 4 rounds the verdict is always 'cannot tell'." in text


@pytest.mark.parametrize(("entrants", "first"), [(3, ["seed", "torch mode0"]), (12, ["entrant", "mean"])])
def test_accuracies_fit_eighty_columns(entrants: int, first: list[str]) -> None:
    """A few entrants have a column each; many have a line each, without the single seeds."""
    labels = [f"torch mode{number}" for number in range(entrants)]
    by_seed = pd.DataFrame([[0.99] * entrants, [0.98] * entrants], columns=labels)

    table = run_tables.accuracy_table(by_seed)

    text = table_text(table, 80)
    assert [str(column.header) for column in table.columns][:2] == first
    assert text == table_text(table, 400)
    assert sum("98.500" in line for line in text) == (1 if entrants == 3 else 12)


def test_energy_has_a_column_only_where_there_is_energy() -> None:
    """Millijoules per image, under their header; no column of dashes where nothing could be read."""
    plain, metered = (run_tables.machine_table(frame_of(rows_of(**each), SUMMARY)) for each in ({}, ENERGY))
    place = next(n for n, column in enumerate(metered.columns) if column.header == "mJ/image")

    assert len(plain.columns) == len(metered.columns) - 1
    assert list(metered.columns[place].cells) == ["1.23"] * 5
    rest = [column for n, column in enumerate(metered.columns) if n != place]
    for without, with_energy in zip(plain.columns, rest, strict=True):
        assert list(map(str, without.cells)) == list(map(str, with_energy.cells))


def test_energy_of_some_entrants_leaves_dashes() -> None:
    """Where only some launches could be metered, the others have a dash."""
    rows = rows_of()
    rows[2] |= ENERGY

    columns = {str(c.header): list(c.cells) for c in run_tables.machine_table(frame_of(rows, SUMMARY)).columns}

    assert columns["mJ/image"] == ["-", "-", "1.23", "-", "-"]


def test_time_to_accuracy_only_where_there_is_a_target() -> None:
    """No target, no table; with one, those that were trained for it, and `not reached` for who did not."""
    rows = rows_of()
    rows[0] |= REACHED
    rows[3] |= MISSED

    assert "Time to" not in shown(rows_of())
    found = cells(shown(rows), "Time to 98.50% test accuracy")

    assert found == {
        "tensorflow": ["graph", "5", "of", "5", "2", "12.34", "15.67"],
        "jax": ["jit", "2", "of", "5", *["not", "reached"] * 3],
    }


def test_half_epochs_are_not_rounded() -> None:
    """The median of an even number of seeds may lie between two epochs: 2.5 is neither 2 nor 3."""
    found = cells(shown(rows_of(**REACHED | {"seeds": 4, "seeds_reached": 4, "until_epochs": 2.5})), "Time to")

    assert found["torch"][4] == "2.5"


def test_targets_of_several_runs_are_told_apart() -> None:
    """Runs with different targets are not listed under one of them."""
    text = shown(rows_of(**REACHED, run="a") + rows_of(**REACHED | {"until": 0.97}, run="b"))

    assert "98.5" in text
    assert "97.0" in text


def test_inference_is_left_out_where_it_was() -> None:
    """A run without inference has no table of dashes; sizes that an entrant lacks are dashes."""
    gaps = sweep_of(5)
    gaps.loc[1, 8] = np.nan

    without = shown(rows_of(latency_ms_p50=None, latency_ms_p95=None, latency_ms_p99=None), sweep_of(5, ()))
    with_gap = cells(shown(rows_of(), gaps), "Inference, images")

    assert "Inference" not in without
    assert with_gap["torch"][4:] == ["20,001", "-", "20,064", "20,500"]


def test_share_of_the_peak_says_what_it_counts() -> None:
    """Counted operations may be more than were executed; where no peak is known, nothing is said of it."""
    said = "GFLOP/s, of peak: counted operations, not executed ones"

    assert said in shown(rows_of())
    assert said not in shown(rows_of(peak_share=None))


def test_share_of_the_limit_stands_beside_the_speeds() -> None:
    """In 80 columns, with a line that says of what; without a limit there is neither."""
    limit = rows_of()[0] | {
        "backend": "numba", "mode": "kernels", "train_images_per_s": 59_000.0, "train_images_per_s_low": 57_001.0,
        "train_images_per_s_high": 61_002.0, "ratio": 2.73, "ratio_low": 2.701, "ratio_high": 2.752,
        "verdict": "faster",
    }  # fmt: skip

    with_it, without = shown([limit, *rows_of()]), shown(rows_of())

    assert "numba      kernels   59,000 57,001..61,002  100% 2.730 2.701..2.752 faster" in with_it
    assert "torch      eager     18,277 17,363..19,191   31% 0.846 0.803..0.888 slower" in with_it
    assert "limit: share of what kernels made for this machine reach (docs/limit.md)." in with_it
    assert max(map(len, with_it.splitlines())) <= 80
    assert "limit" not in without
