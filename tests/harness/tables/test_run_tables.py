"""What people see: every figure, in 80 columns, and nothing that is not there."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from rich.table import Table

from harness.results.folder import frame_of
from harness.results.schema import SCHEMA_VERSION, SUMMARY
from harness.tables import run_tables

# Backend, version, mode, images/s, import s, first step s, images until it overtakes.
FIVE = (
    ("tensorflow", "2.21.0", "graph", 21_614.0, 1.45, 0.279, 28_713.0),
    ("torch", "2.13.0+cpu", "eager", 18_277.0, 0.66, 0.014, None),
    ("mxnet", "1.9.1", "hybrid", 13_761.0, 0.58, 0.043, 1_234_567.0),
    ("jax", "0.10.2", "jit", 8_714.0, 0.44, 1.086, np.inf),
    ("paddle", "3.3.1", "dynamic", 6_223.0, 0.57, 0.022, np.inf),
)
VERDICTS = ("", "slower", "equivalent", "cannot tell", "slower")
SIZES = (1, 8, 64, 500)


def rows_of(**changes: Any) -> list[dict[str, Any]]:
    """A summary of five frameworks with figures as they come on one thread."""
    shared = {
        "schema_version": SCHEMA_VERSION, "run": "r", "network": "lenet5", "data_set": "mnist", "feed": "host",
        "device": "cpu", "dtype": "float32", "threads": 1, "batch_size": 64, "environment": "controlled",
        "launches": 5, "unsteady": 0, "train_images_per_s_cv": 0.018, "ratio_sd": 0.0071, "base": "tensorflow graph",
        "inference_images_per_s": 40_000.0, "latency_ms_p50": 0.171, "latency_ms_p95": 0.25, "latency_ms_p99": 1.234,
        "train_gflops": 25.31, "peak_share": 0.312, "rss_import_bytes": 300 * 2**20, "peak_rss_bytes": 1694 * 2**20,
        "epochs": 5, "test_accuracy": 0.99034,
    }  # fmt: skip
    return [shared | _own(number, *FIVE[number]) | changes for number in range(len(FIVE))]


def _own(number: int, *figures: Any) -> dict[str, Any]:
    backend, version, mode, speed, import_s, first_step_s, break_even = figures
    ratio = speed / FIVE[0][3]
    intervals = {
        "train_images_per_s": speed, "ratio": ratio, "import_s": import_s, "build_s": 0.304,
        "first_step_s": first_step_s, "first_epoch_s": 3 + 60_000 / speed,
    }  # fmt: skip
    row = {"backend": backend, "framework_version": version, "mode": mode, "break_even_images": break_even}
    for name, value in intervals.items():
        row |= {name: value, f"{name}_low": value * 0.95, f"{name}_high": value * 1.05}
    if number == 0:
        row |= {"ratio_low": None, "ratio_high": None}
    return row | {"verdict": VERDICTS[number] or None}


def sweep_of(entrants: int, sizes: tuple[int, ...] = SIZES) -> pd.DataFrame:
    """Images per second, ten thousand more with each entrant."""
    rates = [[10_000.0 * (number + 1) + size for size in sizes] for number in range(entrants)]
    return pd.DataFrame(rates, columns=list(sizes))


def shown(rows: list[dict[str, Any]], sweep: pd.DataFrame | None = None, *, width: int = 80) -> str:
    """The tables of a summary as they are printed, without the blanks at the ends of lines."""
    out = io.StringIO()
    summary = frame_of(rows, SUMMARY)
    sweep = sweep_of(len(rows)) if sweep is None else sweep
    run_tables.show_summary(Console(file=out, width=width, highlight=False), summary, sweep)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_conditions_stand_below_the_speeds() -> None:
    """What must be known of the speeds is read before the next table begins."""
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False)

    run_tables.show_summary(console, frame_of(rows_of(), SUMMARY), sweep_of(5), conditions=["A [quota] held it."])

    first, _ = out.getvalue().split("Start-up")
    assert first.rstrip().endswith("A [quota] held it.")


TABLES: dict[str, Callable[[pd.DataFrame], Table]] = {
    "speed": run_tables.speed_table,
    "start": run_tables.start_table,
    "inference": lambda summary: run_tables.inference_table(summary, sweep_of(len(summary))),
    "machine": run_tables.machine_table,
    "target": run_tables.target_table,
}


def table_text(table: Table, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def cells(text: str, title: str) -> dict[str, list[str]]:
    """The lines of the table below a title, split at blanks, by their first word."""
    lines = text.split(title)[1].split("\n\n")[0].splitlines()[2:]
    return {line.split()[0]: line.split()[1:] for line in lines}


TARGETS = {"until": 0.985, "seeds": 5, "seeds_reached": 5, "until_epochs": 2.0, "until_train_s": 12.34}
REACHED = TARGETS | {"until_total_s": 15.67}
MISSED = TARGETS | {"seeds_reached": 2, "until_epochs": np.inf, "until_train_s": np.inf, "until_total_s": np.inf}
ENERGY = {"energy_j_per_image": 0.0012345}


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
    assert len(wide) == 1 + (5 if name != "target" else int(summary["until"].notna().sum()))


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
    start = cells(text, "Start-up, seconds")
    assert start["jax"][:5] == ["jit", "0.44", "±.02", "0.30", "±.02"]
    assert "9.89" in start["jax"]
    inference = cells(text, "Inference, images")
    assert inference["mxnet"] == ["hybrid", "0.171", "0.250", "1.234", "30,001", "30,008", "30,064", "30,500"]
    for figure in ("25.3", "31.2%", "+1,394", "1,694", "1.23", "99.03", "1.8", "0.7"):
        assert sum(figure in line.split() for line in text.split("Share of the machine")[1].splitlines()) == 5
    assert cells(text, "Time to 98.50% test accuracy")["paddle"] == ["dynamic", "5", "of", "5", "2", "12.34", "15.67"]


def test_images_until_a_late_start_is_made_up_are_shown() -> None:
    """A number, `never` for who starts later and is slower, a dash for who starts first."""
    start = cells(shown(rows_of()), "Start-up, seconds")

    assert "28,713" in start["tensorflow"]
    assert "1,234,567" in start["mxnet"]
    assert start["jax"][-1] == start["paddle"][-1] == "never"
    assert start["torch"][-1] == "-"


def test_first_steps_of_milliseconds_are_shown() -> None:
    """Two backends whose first steps are 14 and 22 ms do not look as if they took 10 and 20, or nothing."""
    start = cells(shown(rows_of()), "Start-up, seconds")

    assert any(figure.startswith("0.014") for figure in start["torch"])
    assert any(figure.startswith("0.022") for figure in start["paddle"])


def test_one_launch_shows_no_halves() -> None:
    """Without intervals there are the figures alone, and no ±."""
    missing = {name: None for name in SUMMARY if name.endswith(("_low", "_high"))}
    text = shown(rows_of(**missing, launches=1, train_images_per_s_cv=None, verdict="cannot tell"))

    assert cells(text, "Start-up, seconds")["tensorflow"][:3] == ["graph", "1.45", "0.30"]
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


def test_runs_have_letters() -> None:
    """Each of several runs has a letter, in the order of their names, behind its backends and explained below."""
    text = shown(rows_of(run="second") + rows_of(run="first") + rows_of(run="third, [bold]"))
    lines = text.splitlines()

    assert lines[-3:] == ["A: first", "B: second", "C: third, [bold]"]
    order = [line.split()[1] for line in lines if line.startswith("paddle")]
    assert order[:3] == ["B", "A", "C"]
    assert "\nA: " not in shown(rows_of())


def test_unpaired_verdicts_are_marked() -> None:
    """A star behind the verdict, and a line that says what it means; none where all is paired or not known."""
    first, *others = rows_of(verdict="slower", paired=True)

    text = shown([first | {"paired": None}, *others[:1], others[1] | {"paired": False}, *others[2:]])

    assert text.count("slower *") == 1
    assert "* between runs: not paired, and the machine may have changed since." in text
    assert "between runs" not in shown(rows_of(verdict="slower", paired=True))
    assert "between runs" not in shown(rows_of())


def test_what_was_not_verified_is_said() -> None:
    """A table with rows that --unverified made says so; one of an older version, which does not know, says nothing."""
    assert "NOT VERIFIED" in shown(rows_of(verified=False))
    assert "NOT VERIFIED" not in shown(rows_of(verified=True))
    assert "NOT VERIFIED" not in shown(rows_of(verified=None))


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("variant", [None, "twin"], ["eager", "eager twin"]),
        ("threads", [1, 2], ["eager 1t", "eager 2t"]),
        ("batch_size", [64, 256], ["eager b64", "eager b256"]),
        ("feed", ["host", "device"], ["eager host", "eager device"]),
        ("launches", [5, 6], ["eager", "eager"]),
    ],
)
def test_what_tells_entrants_apart_is_shown(column: str, values: list[Any], expected: list[str]) -> None:
    """The mode is followed by what differs, and by nothing else; the title has what they share."""
    rows = [rows_of()[1] | {column: value} for value in values]
    out = io.StringIO()

    run_tables.show_summary(Console(file=out, width=200, highlight=False), frame_of(rows, SUMMARY), sweep_of(2))

    title, _, *lines = out.getvalue().splitlines()
    assert [line.split("torch")[1].split("18,277")[0].strip() for line in lines[:2]] == expected
    shared = {"threads": "1 thread", "batch_size": "batch 64", "feed": "host"}
    assert all((text in title) == (name != column) for name, text in shared.items())


def test_several_things_that_tell_entrants_apart_are_all_shown() -> None:
    """Threads and feed at once, in a fixed order."""
    rows = [rows_of()[1] | {"threads": t, "feed": f} for t in (1, 2) for f in ("host", "device")]

    text = shown(rows)

    for mode in ("eager 1t host", "eager 2t host", "eager 1t device", "eager 2t device"):
        assert mode in text
    assert "b64" not in text.split("Start-up")[0]


@pytest.mark.parametrize("name", TABLES)
def test_two_modes_of_one_backend_can_be_told_apart_in_every_table(name: str) -> None:
    """Of torch eager and torch compiled every table says which line is whose."""
    rows = [rows_of(**REACHED)[1] | {"mode": mode} for mode in ("eager", "compiled")]

    _, eager, compiled = table_text(TABLES[name](frame_of(rows, SUMMARY)), 80)

    assert "eager" in eager
    assert "compiled" in compiled


def test_footnotes_say_what_holds_together() -> None:
    """Three entrants share their intervals' 95 %; two do not."""
    assert "all of them hold together" in shown(rows_of())
    assert "all of them hold together" not in shown(rows_of()[:2])
    assert "Intervals are 95 %" in shown(rows_of()[:2])
    assert "Under 4 rounds" not in shown(rows_of())


def test_drawn_digits_are_said_aloud() -> None:
    """Accuracies of drawn digits are never taken for those of MNIST."""
    assert "DRAWN DIGITS, NOT MNIST" in shown(rows_of(data_set="drawn-digits"))
    assert "DRAWN" not in shown(rows_of())


def test_unsteady_launches_are_named() -> None:
    """Who never became steady, how often, and that it is kept; nobody else."""
    rows = rows_of()
    rows[3] |= {"unsteady": 2}

    notes = [line for line in shown(rows).splitlines() if "steady; kept" in line]

    assert notes == ["jax: 2 of 5 launches never became steady; kept."]


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
