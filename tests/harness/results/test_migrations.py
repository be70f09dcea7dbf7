"""Runs that older versions of lenet-bench wrote, real ones, are read, compared and gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from harness.analysis import joining
from harness.analysis.summary import summarise
from harness.errors import InputError
from harness.results.folder import TABLES, RunFolder, read_table
from harness.results.migrations import ADDED, KNOWN
from harness.results.schema import SCHEMA_VERSION

# `run -b torch,mxnet --rounds 2 --epochs 1` of the last commit of each version, on real MNIST.
OLD = Path(__file__).parents[1] / "old_results"
every_version = pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))


@every_version
def test_old_runs_are_read(version: int) -> None:
    """Every cell that is in the file is read as it stands there; columns that came later are empty."""
    folder = OLD / f"version-{version}"
    for path in folder.glob("*.csv"):
        raw = pd.read_csv(path, dtype="string", keep_default_na=False, na_values=[""])
        assert set(raw["schema_version"]) == {str(version)}

        found = RunFolder(folder).read(path.stem)

        assert set(found["schema_version"]) == {SCHEMA_VERSION}
        assert len(found) == len(raw) >= 2
        for name in set(raw.columns) - {"schema_version"}:
            assert list(found[name].isna()) == list(raw[name].isna()), (path, name)
        later = set(found.columns) - set(raw.columns)
        assert later == {
            name
            for came, names in ADDED.get(path.stem, {}).items()
            if came > version
            for name in names.split()
            if name not in raw
        }
        for name in later - set(KNOWN):
            assert found[name].isna().all(), (path, name)


@every_version
def test_old_runs_are_compared(version: int, tmp_path: Path) -> None:
    """The summary that this version makes of an old run has the speeds that the old one wrote."""
    shutil.copytree(OLD / f"version-{version}", tmp_path / "run")
    before = RunFolder(tmp_path / "run").read("summary").set_index("backend")

    runs = joining.load_runs([tmp_path / "run"])
    found = summarise(runs.launches, runs.epochs).set_index("backend")

    assert found.loc["torch", "train_images_per_s"] == pytest.approx(before.loc["torch", "train_images_per_s"])
    assert found.loc["mxnet", "test_accuracy"] == before.loc["mxnet", "test_accuracy"]
    assert found["ratio"].notna().all()


@every_version
def test_what_was_known_is_filled_in(version: int) -> None:
    """Nothing was slowed down on purpose in any of them."""
    assert (RunFolder(OLD / f"version-{version}").read("launches")["slowdown"] == 0).all()


def test_going_on_with_an_old_run_writes_the_new_columns(tmp_path: Path) -> None:
    """`--resume` first brings the tables up to this version, so that new rows fit below the old ones."""
    shutil.copytree(OLD / "version-2", tmp_path / "run")
    folder = RunFolder(tmp_path / "run")

    folder.drop_unended_launches()

    for table in ("launches", "epochs", "blocks", "inference"):
        header = (folder.path / f"{table}.csv").read_text().splitlines()[0].split(",")
        assert header == list(TABLES[table])


@pytest.mark.parametrize("cell", ["", "two", "0", "1.5"])
def test_version_that_is_none_is_named(tmp_path: Path, cell: str) -> None:
    """A file without a version in its rows is refused with its row."""
    lines = (OLD / "version-1" / "epochs.csv").read_text().splitlines()
    path = tmp_path / "epochs.csv"
    path.write_text("\n".join([lines[0], *(f"{cell}{line[1:]}" for line in lines[1:])]) + "\n")

    with pytest.raises(InputError, match=r"epochs\.csv, row 2, column schema_version: .* is no version"):
        read_table(path, TABLES["epochs"])


def test_column_that_no_version_explains_is_missed(tmp_path: Path) -> None:
    """An old file that lacks a column which it should have had is refused by that column."""
    frame = pd.read_csv(OLD / "version-1" / "launches.csv").drop(columns=["seed"])
    frame.to_csv(tmp_path / "launches.csv", index=False)

    with pytest.raises(InputError, match=r"lacks the columns seed\."):
        read_table(tmp_path / "launches.csv", TABLES["launches"])
