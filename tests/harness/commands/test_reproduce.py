"""Published beside measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.commands import reproduce
from harness.errors import InputError
from harness.results.folder import frame_of, read_table
from harness.results.schema import DOCUMENTS, SCHEMA_VERSION
from harness.runs import preparation
from harness.runs.plan import default_plan
from harness.spec.published import FIGURES, FRAMEWORKS, any_train_accuracy
from harness.spec.recipes import RECIPES
from harness.tables.layout import stdout
from harness.worker import catalogue

DOCUMENTS_CSV = Path(__file__).resolve().parents[3] / "results" / "documents.csv"


@pytest.fixture
def trained(
    mutants: Path, tiny_dataset: Any, make_entrant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pd.DataFrame:
    """Rows of two epochs of folk in NumPy, on tiny data."""
    monkeypatch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
    plan = default_plan(
        [make_entrant("numpy", network="lenet-linear")], recipe=RECIPES["folk"], data_set="", data_dir=None, rounds=1,
        most_rounds=1, seeds=1, seed=0, epochs=2, timing=False, train_accuracy=True,
    )  # fmt: skip
    return reproduce.train_recipe(plan, results=tmp_path, pythons={})


def test_figures_are_the_documents() -> None:
    """Ten epochs of folk, one of gluon; recipes and frameworks are there."""
    folk = FIGURES["folk"]

    assert [folk[epoch].loss for epoch in (1, 2, 10)] == [0.39701, 0.10656, 0.03946]
    assert folk[10].train_accuracy == pytest.approx(0.9875)
    assert len(folk) == 10
    assert (FIGURES["gluon"][100].test_accuracy, FIGURES["gluon"][100].loss) == (0.9112, 0.166341)
    assert set(FIGURES) == set(FRAMEWORKS) <= set(RECIPES)
    assert any_train_accuracy("folk")
    assert not any_train_accuracy("gluon")


def test_committed_trainings_reach_the_published_figures() -> None:
    """In all five frameworks, training accuracy is within 0.3 points of folk's from the second epoch on."""
    rows = read_table(DOCUMENTS_CSV, DOCUMENTS)
    folk = rows[(rows["recipe"] == "folk") & (rows["epoch"] > 1)]
    difference = (folk["train_accuracy"] - folk["published_train_accuracy"]).abs()

    assert folk.groupby("backend").size().to_dict() == dict.fromkeys(catalogue.FRAMEWORKS, 9)
    assert (difference <= 0.003).all()
    assert set(rows["recipe"]) == set(FIGURES)


def test_training_gives_rows_with_what_was_published(trained: pd.DataFrame) -> None:
    """A row an epoch with loss, both accuracies, and the document's figures beside them."""
    assert list(trained["epoch"]) == [1, 2]
    assert trained["published_loss"].tolist() == [0.39701, 0.10656]
    assert trained["published_train_accuracy"].tolist() == pytest.approx([0.8757, 0.9669])
    assert trained["published_test_accuracy"].isna().all()
    assert trained["train_accuracy"].between(0, 1).all()
    assert trained["train_loss"].iloc[1] < trained["train_loss"].iloc[0]
    assert set(trained["recipe"]) == {"folk"}


def test_training_accuracy_is_of_the_weights_before_each_step(trained: pd.DataFrame) -> None:
    """The first epoch of a network that learns is right less often than its test after it, the loss agrees."""
    assert trained["train_accuracy"].iloc[0] < trained["test_accuracy"].iloc[1]


def test_table_has_published_and_measured(trained: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    """Both columns for training accuracy and loss, a row an epoch; what was not published is a dash."""
    reproduce.show(stdout(), trained)
    out = capsys.readouterr().out

    assert re.search(r"epoch +published +numpy", out)
    assert re.search(r"1 +87\.57 +\d+\.\d\d", out)
    assert re.search(r"2 +0\.10656 +\d\.\d{5}", out)
    assert re.search(r"1 +- +\d+\.\d\d", out)


def test_record_replaces_an_earlier_training_of_the_same(trained: pd.DataFrame, tmp_path: Path) -> None:
    """Rows of the same recipe, backend, mode and seed are replaced, others stay; order is by epoch."""
    path = tmp_path / "table" / "documents.csv"
    other = trained.assign(backend="torch")
    reproduce.record(trained, path)
    reproduce.record(other, path)
    reproduce.record(trained.assign(train_loss=0.5), path)

    kept = read_table(path, DOCUMENTS)

    assert list(zip(kept["backend"], kept["epoch"])) == [("numpy", 1), ("numpy", 2), ("torch", 1), ("torch", 2)]
    assert kept.loc[kept["backend"] == "numpy", "train_loss"].tolist() == [0.5, 0.5]


def test_long_trainings_are_shown_every_tenth_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    """The first, every tenth and the last of 25 epochs."""
    rows = [
        {
            "schema_version": SCHEMA_VERSION,
            "recipe": "gluon",
            "backend": "mxnet",
            "epoch": epoch,
            "train_loss": 1 / epoch,
        }
        for epoch in range(1, 26)
    ]

    reproduce.show(stdout(), frame_of(rows, DOCUMENTS))

    shown = [int(epoch) for epoch in re.findall(r"^(\d+) ", capsys.readouterr().out, re.MULTILINE)]
    assert shown == [1, 10, 20, 25]


def test_a_file_that_is_no_such_table_is_refused(trained: pd.DataFrame, tmp_path: Path) -> None:
    """It is named, and not overwritten."""
    path = tmp_path / "documents.csv"
    path.write_text("a,b\n1,2\n")

    with pytest.raises(InputError, match="lacks the columns"):
        reproduce.record(trained, path)

    assert path.read_text() == "a,b\n1,2\n"
