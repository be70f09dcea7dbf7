"""A results store: what compare makes of it is what it makes of the runs; what is wrong with it is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.analysis.by_column import by_column
from harness.analysis.conditions import conditions
from harness.analysis.joining import read_runs
from harness.analysis.of_store import by_column_of
from harness.results import store_writing
from harness.results.folder import RunFolder, write_table
from harness.results.migrations import ADDED
from harness.results.schema import SCHEMA_VERSION
from harness.results.store import VERSION_KEY
from tests.harness.synthetic_run import write_run

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of the same entrants; some launches of the first had disturbed turns, one failed, one does not count."""
    place = tmp_path_factory.mktemp("runs")
    paths = [write_run(place / name, entrants=2, rounds=4, seed=seed, epochs=0) for seed, name in enumerate("ab")]
    launches = RunFolder(paths[0]).read("launches")
    launches.loc[2:4, "disturbed_turns"] = ["none", "1 2 60", " ".join(map(str, range(1, 65)))]
    launches.loc[6, "status"] = "failed"
    launches.loc[7, "counted"] = False
    write_table(paths[0] / "launches.csv", launches)
    return paths


@pytest.fixture
def store(call: Call, runs: list[Path], tmp_path: Path) -> Path:
    """A store with the second run."""
    assert call("export", str(runs[1]), "--store", str(tmp_path / "store"))[0] == 0
    return tmp_path / "store"


def file_of(store: Path) -> Path:
    return next((store / "launches").glob("*.parquet"))


def test_it_compares_as_its_runs(call: Call, runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paired or not, to the last digits, though each run is read by itself; with the sentences that go with it."""
    monkeypatch.setattr(store_writing, "GROUP_ROWS", 1)
    monkeypatch.setattr(RunFolder, "has_ended", lambda self, timed: True)
    store = tmp_path / "store"
    code, out, _ = call("export", *map(str, runs), "--store", str(store))
    assert (code, out.count("Wrote")) == (0, 3)
    assert pq.ParquetFile(file_of(store)).num_row_groups == 2

    timed = read_runs(runs).timed
    for column in ("backend", "run"):
        found, told = by_column_of(store, column)
        pd.testing.assert_frame_equal(found, by_column(timed, column), rtol=1e-9, check_dtype=False)
        assert set(found["paired"].dropna()) == {column == "backend"}
    assert told.conditions == conditions(timed)
    assert "DISTURBED TURNS" in " ".join(told.conditions)
    _, shown, err = call("compare", str(store), "--by", "backend")
    assert ("Training, steady, by" in shown, "DISTURBED TURNS" in err) == (True, True)


def test_runs_are_added_once(call: Call, runs: list[Path], store: Path) -> None:
    """One that is there stays as it is; one that has not ended is left out; both are told."""
    before = sorted(store.rglob("*.parquet"))
    code, out, err = call("export", *map(str, runs), "--store", str(store))

    assert (code, out, sorted(store.rglob("*.parquet"))) == (0, "", before)
    assert "b is in" in err
    assert "a has not ended" in err
    assert not [path for path in store.rglob("*") if path.name.startswith(".")]


def test_a_run_that_cannot_be_read_leaves_nothing(
    call: Call, runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of what is asked for is added, or none."""
    monkeypatch.setattr(store_writing, "GROUP_ROWS", 1)
    shutil.copytree(runs[1], tmp_path / "b")
    damaged = write_run(tmp_path / "c", entrants=2, rounds=1, epochs=0) / "inference.csv"
    damaged.write_bytes(damaged.read_bytes()[:-5])
    code, _, err = call("export", str(tmp_path / "b"), str(tmp_path / "c"), "--store", str(tmp_path / "store"))

    assert (code, "inference.csv" in err) == (2, True)
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_rows_of_an_older_version(call: Call, store: Path) -> None:
    """What came later is missing in them, and their store is read."""
    file = file_of(store)
    table = pq.read_table(file).drop_columns(ADDED["launches"][7].split())
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: "6"}), file)

    assert call("compare", str(store), "--by", "backend")[0] == 0


def changed(file: Path, name: str, cells: Any) -> None:
    table = pq.read_table(file)
    pq.write_table(table.set_column(table.schema.get_field_index(name), name, cells(table[name])), file)


def test_what_is_wrong_is_named(call: Call, store: Path) -> None:
    """File, what is wrong with it, and what to do; one after the other, the file being as it was before each."""
    file = file_of(store)
    content = file.read_bytes()

    def cases() -> Any:
        newer = pq.read_table(file).replace_schema_metadata({VERSION_KEY: str(SCHEMA_VERSION + 1)})
        yield lambda: file.write_bytes(content[:-100]), "is no Parquet file, or is cut off or damaged"
        yield lambda: file.write_bytes(content[:4] + b"\0" * 20_000 + content[20_004:]), "is cut off or damaged"
        yield lambda: pq.write_table(newer, file), f"has schema_version {SCHEMA_VERSION + 1}; this lenet-bench reads"
        yield lambda: pq.write_table(pa.table({"run": ["a"]}), file), "has no version"
        yield lambda: changed(file, "train_images_per_s", lambda cells: cells.cast(pa.string())), "it is string, and"
        yield (
            lambda: changed(file, "train_images_per_s", lambda cells: pa.array([-1.0] * len(cells))),
            "a speed is none",
        )
        yield lambda: changed(file, "run", lambda cells: pa.nulls(len(cells), pa.string())), "a row has no run"
        yield lambda: shutil.copy(file, file.with_name("copy.parquet")), "has rows of the run b, and so has"
        yield lambda: [path.unlink() for path in file.parent.iterdir()], "has no Parquet file in launches/"

    for damage, words in cases():
        damage()
        code, _, err = call("compare", str(store), "--by", "backend")
        assert (code, words in err) == (2, True), (words, err)
        assert str(store) in err
        file.write_bytes(content)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compare", "STORE"], "is compared by a column. Give --by"),
        (["compare", "STORE", "RUN", "--by", "backend"], "is compared by itself"),
        (["compare", "STORE", "--by", "backend", "--entrant", "torch"], "--entrant is for runs"),
        (["compare", "STORE", "--by", "launch_s"], "There is no column to compare by 'launch_s'"),
        (["compare", "STORE", "--by", "seed"], "there is nothing to compare. In seed there is: 0."),
        (["export", "RUN", "RUN"], "Several runs make a results store"),
        (["export", "RUN", "--store", "STORE", "--output", "x"], "are two places"),
        (["export", "STORE", "--store", "STORE"], "is not a run"),
    ],
)
def test_what_it_is_not_for(call: Call, runs: list[Path], store: Path, arguments: list[str], words: str) -> None:
    """Refused with what to do."""
    places = {"STORE": str(store), "RUN": str(runs[1])}
    code, _, err = call(*(places.get(each, each) for each in arguments))
    assert (code, words in " ".join(err.split())) == (2, True), err
