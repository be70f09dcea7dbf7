"""`run sweep.toml`: the product of cells, what is refused with line and key, the plan, going on, one table, columns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.commands import sweep
from harness.results.folder import RunFolder
from harness.results.sweep_folder import SweepFolder

Call = Callable[..., tuple[int, str, str]]

SWEEP = """# two networks, two seeds
[cells]
batch-size = [32, 64]
seed = [0, 1]

[[entrants]]
backend = ["numpy", "twin"]

[[exclude]]
backend = "twin"
batch-size = 32
seed = 1

[run]
rounds = 1
epochs = 0
base = "twin"
"""


def write(text: str, path: str = "sweep.toml") -> None:
    Path(path).write_text(text, encoding="utf-8")


def cells(results: str = "results/s") -> dict[str, pd.DataFrame]:
    return {path.name: RunFolder(path).read("launches") for path in SweepFolder(Path(results)).runs()}


def test_every_cell_is_a_run_of_its_own(call: Call, made_up: Any) -> None:
    """With the entrants that are left of it, its own seed and batch size, and a table of all at the end."""
    write(SWEEP)

    code, out, err = call("run", "sweep.toml", "--name", "s")

    assert code == 0
    found = cells()
    assert list(found) == ["s-1-b32-seed0", "s-2-b32-seed1", "s-3-b64-seed0", "s-4-b64-seed1"]
    assert [sorted(set(rows["backend"])) for rows in found.values()] == [
        ["numpy", "twin"], ["numpy"], ["numpy", "twin"], ["numpy", "twin"],
    ]  # fmt: skip
    assert [(set(rows["seed"]), set(rows["batch_size"])) for rows in found.values()] == [
        ({0}, {32}), ({1}, {32}), ({0}, {64}), ({1}, {64}),
    ]  # fmt: skip
    # One table, not four.
    assert out.count("verdict") == 1
    assert "4 of 4 cells have ended. Results: results/s" in out
    assert "cell 4 of 4: 4-b64-seed1" in err


def test_the_base_is_of_the_cells_that_have_it(call: Call, made_up: Any) -> None:
    """The others have their fastest; a base of no cell is refused."""
    write(SWEEP)
    assert call("run", "sweep.toml", "--name", "s")[0] == 0
    bases = [RunFolder(path).read("summary")["base"].iloc[0] for path in SweepFolder(Path("results/s")).runs()]
    assert bases == ["twin eager b32", "numpy eager b32", "twin eager", "twin eager"]

    write(SWEEP.replace('base = "twin"', 'base = "torch"'))
    code, _, err = call("run", "sweep.toml")
    assert (code, "line 14: base = 'torch' of [run] is in no cell. There are: numpy eager b32" in err) == (2, True)


def test_one_that_is_interrupted_goes_on(call: Call, made_up: Any) -> None:
    """Cells that ended are left alone, the one that was cut goes on, each row is there once."""
    write(SWEEP)
    made_up.interrupted = 3

    code, out, _ = call("run", "sweep.toml", "--name", "s")
    assert (code, "1 of 4 cells have ended" in out) == (130, True)
    assert "next: lenet-bench run --resume results/s" in out
    before = cells()["s-1-b32-seed0"]

    made_up.interrupted = 0
    code, out, _ = call("run", "--resume", "results/s")

    assert (code, "4 of 4 cells have ended" in out) == (0, True)
    after = cells()
    assert after["s-1-b32-seed0"].equals(before)
    for rows in after.values():
        counted = rows[rows["counted"].fillna(True)]
        assert not counted.duplicated(["backend", "plan_round"]).any()
        assert set(counted["plan_round"]) == {1}


def test_a_cell_that_fails_is_no_end_of_the_others(call: Call, made_up: Any) -> None:
    """The exit code says so, and the next call tries it again."""
    write(SWEEP)
    made_up.failing = {"numpy eager b32": 1}

    code, out, _ = call("run", "sweep.toml", "--name", "s")

    assert (code, "3 of 4 cells have ended" in out) == (3, True)
    assert json.loads(Path("results/s/sweep.json").read_text())["ended"] == [
        "2-b32-seed1",
        "3-b64-seed0",
        "4-b64-seed1",
    ]
    made_up.failing = {}
    assert call("run", "--resume", "results/s")[0] == 0


def test_the_plan_is_printed_and_nothing_done(call: Call, made_up: Any) -> None:
    """First without any earlier launch, then with the time that the like of them took."""
    write(SWEEP)
    code, out, _ = call("run", "sweep.toml", "--dry-run")
    assert code == 0
    assert "4 cell(s), 7 timed launches at least: 0:00" in out
    assert "? No earlier launch tells how long these take: numpy eager, numpy eager b32, twin eager" in out
    assert not Path("results").exists()
    assert made_up.jobs == []

    assert call("run", "sweep.toml", "--name", "s")[0] == 0
    jobs = len(made_up.jobs)
    code, out, _ = call("run", "sweep.toml", "--dry-run")
    # Each launch took ten seconds.
    assert (code, "7 timed launches at least: 1:10, at most 1:10" in out, "?" in out) == (0, True, False)
    assert len(made_up.jobs) == jobs
    assert "0 cell(s)" in call("run", "--resume", "results/s", "--dry-run")[1]


def test_a_plain_run_has_a_plan_too(call: Call, made_up: Any) -> None:
    """Where rounds are added, with a most."""
    assert call("run", "-b", "numpy,twin", "--rounds", "1", "--epochs", "0")[0] == 0
    code, out, _ = call("run", "-b", "numpy,twin", "--epochs", "0", "--dry-run", "--budget", "150")
    assert (code, "lenet5 numpy eager, twin eager 5+ 1:40 2:30" in out) == (0, True)


def test_the_budget_begins_no_cell_that_would_end_later(call: Call, made_up: Any, monkeypatch: Any) -> None:
    """By what the cells so far have taken; another call has it anew."""
    write(SWEEP + "[sweep]\nbudget = 25\n")
    monkeypatch.setattr("harness.commands.sweep.time.monotonic", lambda: made_up.now)

    code, out, err = call("run", "sweep.toml", "--name", "s")

    # The first took 20 s, the second would take 10.
    assert (code, "1 of 4 cells have ended" in out) == (0, True)
    assert "budget of 25 s is over for this call: 2-b32-seed1 would end later. Go on: lenet-bench run --resume" in err
    assert "2 of 4 cells have ended" in call("run", "--resume", "results/s")[1]


def test_the_first_of_a_call_is_begun_in_any_case(call: Call, made_up: Any, monkeypatch: Any) -> None:
    """However long it will take, and however long earlier results took to read."""
    write(SWEEP + "[sweep]\nbudget = 5\n")
    assert call("run", "sweep.toml", "--name", "earlier")[0] == 0
    monkeypatch.setattr("harness.commands.sweep.time.monotonic", lambda: made_up.now)
    read = sweep.read_earlier

    def read_slowly(*values: Any) -> Any:
        made_up.now += 3
        return read(*values)

    monkeypatch.setattr(sweep, "read_earlier", read_slowly)
    assert "1 of 4 cells have ended" in call("run", "sweep.toml", "--name", "s")[1]


def test_todays_readers_take_the_folder(call: Call, made_up: Any) -> None:
    """A sweep stands for its runs: compare, history; a run of it has a report of its own."""
    write(SWEEP.replace("seed = [0, 1]", "seed = 0").replace("seed = 1\n", ""))
    assert call("run", "sweep.toml", "--name", "s")[0] == 0

    assert call("compare", "results/s", "--apart")[0] == 0
    code, out, _ = call("compare", "results/s", "--by", "batch_size", "--format", "csv")
    assert code == 0
    assert "numpy eager,batch_size,32" in out
    code, _, err = call("compare", "results/s", "--by", "batch_size", "--base", "numpy", "--apart")
    assert (code, "--by has the smallest value for a base" in err, "got --base and --apart." in err) == (2, True, True)
    code, out, _ = call("history", "results")
    assert (code, "s-1-b32" in out) == (0, True)
    assert call("report", "results/s/s-1-b32")[0] == 0


MANY = f"[cells]\nseed = {list(range(1001))}\nthreads = {list(range(1, 101))}\n[[entrants]]\nbackend = 'numpy'\n"
OTHER = "[[entrants]]\nbackend = 'numpy'\n"
WRONG = {
    "no TOML": ("[cells\n", "sweep.toml is no TOML: "),
    "a table": ("[cell]\n" + SWEEP, "sweep.toml, line 1: There is no table 'cell'"),
    "a key": (SWEEP.replace("seed = [", "sed = [", 1), "line 4: [cells]: There is no key 'sed'"),
    "its place": (SWEEP + "threads = 1\n", "line 18: threads does not stand in [run]. Put it under [cells]."),
    "of a call": (SWEEP + "name = 'x'\n", "line 18: name belongs to one call: give --name"),
    "an empty list": (SWEEP.replace("[0, 1]", "[]"), "line 4: seed of [cells] is an empty list"),
    "a kind": (SWEEP.replace("[0, 1]", "['a']"), "line 4: seed of [cells] takes a whole number, or a list"),
    "a value": (SWEEP.replace("[32, 64]", "[32, 0]"), "line 3: batch-size: a whole number from 1 up is wanted, got 0"),
    "a list of lists": (SWEEP.replace("[0, 1]", "[[0]]"), "line 4: seed of [cells] takes a whole number"),
    "nobody": ("[run]\nrounds = 1\n", "sweep.toml has no [[entrants]]"),
    "no backend": (SWEEP + "[[entrants]]\nmode = 'eager'\n", "line 18: this [[entrants]] names no backend"),
    "a backend": (SWEEP.replace('["numpy", "twin"]', '"nump"'), "line 6: There is no backend 'nump'"),
    "a mode": (SWEEP + OTHER + "mode = 'eagr'\n", "line 18: There is no mode of numpy 'eagr'"),
    "no network": (SWEEP.replace("seed = [0, 1]", "network = 'lenet'"), "line 2: There is no network 'lenet'"),
    "no preset": (SWEEP + "preset = 'x'\n", "line 14: There is no preset 'x'"),
    "a vain exclusion": (SWEEP.replace("size = 32\n", "size = 33\n"), "line 9: this [[exclude]] leaves nothing"),
    "an empty exclusion": (SWEEP + "[[exclude]]\n", "line 18: this [[exclude]] names nothing"),
    "nothing left": (OTHER + "[[exclude]]\nbackend = 'numpy'\n", "Nothing is left to run"),
    "no table": ("cells = 3\n" + OTHER, "line 1: cells is a table. Write [cells]"),
    "a budget": (SWEEP + "[sweep]\nbudget = -1\n", "line 19: budget: a positive number of seconds"),
    "too many": (MANY, "has 100,100 cells, and 100,000 are the most"),
    "too many threads": ("[cells]\nthreads = 4000\n" + OTHER, "--threads 4000 asks for more CPUs"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(call: Call, made_up: Any, name: str) -> None:
    """With line and key, before anything is written."""
    text, words = WRONG[name]
    write(text)

    code, _, err = call("run", "sweep.toml")

    assert code == 2
    assert words in err
    assert not Path("results").exists()


def test_what_is_excluded_need_not_be_possible(call: Call, made_up: Any) -> None:
    """The limit has one thread; elsewhere it is refused."""
    text = "[cells]\nthreads = [1, 2]\n[[entrants]]\nbackend = ['numba', 'numpy']\n"
    write(text)
    code, _, err = call("run", "sweep.toml", "--dry-run")
    assert (code, "line 3: numba computes with one thread at the most, got" in err) == (2, True)

    write(text + "[[exclude]]\nbackend = 'numba'\nthreads = 2\n")
    code, out, _ = call("run", "sweep.toml", "--dry-run")
    assert (code, "2-2t numpy eager 2t" in out) == (0, True)


def test_options_beside_a_file_are_refused(call: Call, made_up: Any) -> None:
    """But for what the file does not say; keys of lenet-bench.toml that belong to other runs are set aside."""
    write(SWEEP)
    code, _, err = call("run", "sweep.toml", "--rounds", "3", "-b", "numpy")
    assert code == 2
    assert "--backend, --rounds cannot be given beside a sweep's file" in err
    code, _, err = call("run", "--resume", "results/s", "sweep.toml")
    assert (code, "a sweep's file cannot change" in err) == (2, True)
    write("[run]\nbackend = 'torch'\nresults-dir = 'mine'\nrounds = 99\n", "lenet-bench.toml")
    code, _, err = call("run", "sweep.toml", "--name", "s")
    assert (code, set(cells("mine/s")["s-1-b32-seed0"]["plan_round"])) == (0, {1})
    assert "From lenet-bench.toml: results-dir; set aside by options: backend, rounds." in err


def test_a_backend_is_no_file(call: Call) -> None:
    """Whoever forgets -b is told."""
    code, _, err = call("run", "torch")
    assert (code, "There is no file torch. A backend is given with -b: lenet-bench run -b torch" in err) == (2, True)
    code, _, err = call("run", "none.toml")
    assert (code, "There is no file none.toml." in err) == (2, True)


def test_a_spoilt_state_is_named(call: Call, made_up: Any) -> None:
    """With its file and key."""
    Path("s").mkdir()
    Path("s/sweep.json").write_text('{"name": 3, "lenet_bench": "1"}')
    code, _, err = call("run", "--resume", "s")
    assert (code, "s/sweep.json.name must be text; found 3. Restore the file, or start a new sweep." in err) == (
        2,
        True,
    )
