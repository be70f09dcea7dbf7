"""The table of a sweep on nodes: like hardware in one row, unlike never; each node's rounds weigh together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.analysis.comparison import SPEED
from harness.analysis.sweep_rows import read_cells
from harness.results.folder import RunFolder, write_table
from harness.results.sweep_folder import State, SweepFolder


@pytest.fixture
def add_node(finished_run: Path, tmp_path: Path) -> Callable[..., None]:
    """Return a function that adds a node's run to the sweep s: numpy and its twin, two rounds, so fast, so accurate."""

    def add(name: str, *, faster: float = 1.0, twin: float = 1.0, cpus: str = "", accuracy: float = 0.5) -> None:
        path = tmp_path / "s" / f"s-1-on-{name}"
        shutil.copytree(finished_run, path)
        for file in path.glob("*.csv"):
            if file.stem in ("launches", "epochs", "blocks", "inference", "latency"):
                rows = RunFolder(path).read(file.stem).assign(run=path.name)
                if file.stem == "launches":
                    is_twin = (rows["backend"] == "twin").to_numpy(bool)
                    steady = (
                        np.where(is_twin, 1000.0 * twin, 1000.0) * faster * (1 + 0.01 * rows["round"].to_numpy(float))
                    )
                    steady = np.where(rows[SPEED].isna().to_numpy(bool), np.nan, steady)
                    rows["test_accuracy"] = rows["test_accuracy"].where(rows["test_accuracy"].isna(), accuracy)
                    rows = rows.assign(machine_sha256=name * 32, turn_step_us=None, **{SPEED: steady})
                write_table(file, rows)
        environment = json.loads((path / "environment.json").read_text())
        environment["machine"] |= {"cpus": cpus} if cpus else {}
        (path / "environment.json").write_text(json.dumps(environment | {"run": path.name}))
        (path / "summary.csv").unlink()

    return add


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    """The folder of the sweep s."""
    with SweepFolder.begin(tmp_path, "s", "", State("", "1"), numbered=False) as folder:
        return folder


def test_like_nodes_are_one_row(sweep: SweepFolder, add_node: Callable[..., None]) -> None:
    """The geometric mean of both; ratios are within a node, whatever they differ by in speed."""
    add_node("aa", faster=1.0, twin=1.2, accuracy=0.2)
    add_node("bb", faster=4.0, twin=1.2, accuracy=0.6)

    rows = read_cells(sweep, ["1"])

    assert rows["label"].tolist() == ["twin eager b8", "numpy eager b8"]
    assert rows["nodes"].tolist() == [2, 2]
    assert rows["launches"].tolist() == [4, 4]
    assert rows[SPEED].tolist() == pytest.approx([2 * 1.2 * 1015, 2 * 1015], rel=1e-3)
    assert rows["test_accuracy"].tolist() == pytest.approx([0.4, 0.4])
    assert rows["ratio"].tolist() == pytest.approx([1.0, 1 / 1.2])
    assert rows["ratio_high"].iloc[1] == pytest.approx(1 / 1.2)
    assert (pd.isna(rows["verdict"].iloc[0]), rows["verdict"].iloc[1]) == (True, "slower")
    assert not rows["differ"].any()


def test_nodes_that_differ_are_told(sweep: SweepFolder, add_node: Callable[..., None]) -> None:
    """A ratio that one node does not share with the other."""
    add_node("aa", twin=1.2)
    add_node("bb", twin=1.5)
    rows = read_cells(sweep, ["1"])
    assert rows["differ"].tolist() == [False, True]
    assert rows["ratio"].iloc[1] == pytest.approx(1 / np.sqrt(1.2 * 1.5))


def test_unlike_hardware_is_another_row(sweep: SweepFolder, add_node: Callable[..., None]) -> None:
    """Of the same cell."""
    add_node("aa", faster=1.0)
    add_node("bb", faster=4.0, cpus="512")
    add_node("cc", faster=1.0)

    rows = read_cells(sweep, ["1", "2"])

    assert rows["nodes"].tolist() == [2, 2, 1, 1]
    assert rows["hardware"].nunique() == 2
    assert rows[SPEED].max() == pytest.approx(4 * 1015, rel=1e-3)
