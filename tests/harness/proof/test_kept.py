"""Problems that are posed once: the same as posed anew, and never taken from a file that is not exactly theirs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.sources import Dataset
from harness.proof import kept, posing, rounding
from harness.proof.problem import Problem
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
from harness.worker.quantities import STEPS

LENET = get_network("lenet5")
Pose = Callable[..., Problem]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pose(cache: Path, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Pose:
    """Return a function that poses a small problem with two orders; keywords are those of `kept.pose`."""
    monkeypatch.setattr(posing, "BATCH", 4)
    monkeypatch.setattr(rounding, "ORDERS", 2)
    weights = initial_weights(LENET, seed=0)
    return lambda recipe=LENET5, data=tiny_dataset, **more: kept.pose(LENET, recipe, data, weights, **more)


@pytest.fixture
def pose_quickly(pose: Pose, monkeypatch: pytest.MonkeyPatch) -> Pose:
    """The same with made-up images, answer and tolerances: of what is kept, nothing depends on their values."""
    shown = np.zeros((max(STEPS) + 1, 4, 1, 1, 1))

    def answer(network, recipe, dataset, weights, chosen, *, dtype: str) -> Problem:
        expected = {"logits": np.ones(3), "loss": np.ones(())}
        return Problem(network, recipe, dtype, weights, shown, chosen.astype(np.int32), expected, {}, False)

    monkeypatch.setattr(posing, "choose", lambda *_: np.arange(4 * len(shown)).reshape(-1, 4))
    monkeypatch.setattr(posing, "answer", answer)
    monkeypatch.setattr(rounding, "measure", lambda *_, **__: {"logits": 1.5e-05, "loss": 2.5e-06})
    return pose


@pytest.fixture
def nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is chosen or measured from here on."""
    for module, name in ((posing, "choose"), (rounding, "measure")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("it was made anew"))


def same(one: Problem, other: Problem) -> bool:
    arrays = [
        (one.images, other.images),
        (one.labels, other.labels),
        *zip(one.expected.values(), other.expected.values()),
    ]
    return one.tolerances == other.tolerances and all(np.array_equal(a, b) for a, b in arrays)


def test_second_time_is_the_first(pose: Pose, request: pytest.FixtureRequest) -> None:
    """Images, labels, answer and tolerances to the last bit; and every piece of work is ticked off."""
    first = pose()
    request.getfixturevalue("nothing_new")
    ticks: list[None] = []

    again = pose(tick=lambda: ticks.append(None))

    assert same(first, again)
    assert len(ticks) == rounding.ORDERS + 1


def test_kept_is_as_posed(pose: Pose, tiny_dataset: Dataset) -> None:
    """What is kept is what `posing.pose` makes."""
    assert same(pose(), posing.pose(LENET, LENET5, tiny_dataset, initial_weights(LENET, seed=0)))


@pytest.mark.parametrize("change", ["recipe", "data", "dtype", "batch", "orders", "margins", "code"])
def test_anything_else_is_another_problem(
    pose_quickly: Pose, cache: Path, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Another recipe, data set, precision, batch, number of orders, margin or line of code finds nothing there."""
    pose_quickly()
    before = set(cache.glob("problems/*"))
    more: dict[str, Any] = {}
    if change == "recipe":
        more = {"recipe": replace(LENET5, momentum=0.8)}
    elif change == "data":
        more = {"data": replace(tiny_dataset, sha256="1" * 64)}
    elif change == "dtype":
        more = {"dtype": "float64"}
    elif change == "code":
        monkeypatch.setattr(kept.code, "digest", lambda backend: "another")
    else:
        module, name, value = {
            "batch": (posing, "BATCH", 5), "orders": (rounding, "ORDERS", 3),
            "margins": (rounding, "MARGINS", {"sgd": 17.0, "adam": 32.0}),
        }[change]  # fmt: skip
        monkeypatch.setattr(module, name, value)

    pose_quickly(**more)

    assert set(cache.glob("problems/*")) > before


def _with(found: Any) -> Callable[[str], str]:
    """Something else was found, and the digest was made to fit."""

    def damage(text: str) -> str:
        return json.dumps(json.loads(text) | {"found": found, "sha256": kept._digest(found)})

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"code": "', '"code": "x'),
        lambda text: text.replace("e-0", "e+0").replace("[[", "[[1"),
        _with(None),
        _with([[10**9]] * 101),
        _with([[1.5, "a"]]),
        _with({"logits": 1.0}),
    ],
    ids=["empty", "half", "a list", "code", "edited", "nothing", "no such image", "no choice", "one tolerance"],
)
def test_damaged_files_are_made_anew(pose_quickly: Pose, cache: Path, damage: Callable[[str], str]) -> None:
    """Whatever is wrong with the files, the problem is as it was, and so are they afterwards."""
    first = pose_quickly()
    files = {path: path.read_text() for path in cache.glob("problems/*.json")}
    for path, text in files.items():
        path.write_text(damage(text))

    assert same(pose_quickly(), first)
    assert {path: path.read_text() for path in files} == files


def test_cache_that_cannot_be_written_costs_time_alone(
    pose_quickly: Pose, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the folder should be: the problem is posed, and a line says that it is not kept."""
    cache.write_text("in the way")

    problem = pose_quickly()

    assert set(problem.tolerances) == set(problem.expected)
    assert "Not kept for the next time" in capsys.readouterr().err
