"""What a node does with a task: the rows of one round, or a refusal with its reason. Who writes these rows, once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.cluster import node
from harness.cluster.rows import Rows
from harness.errors import InputError
from harness.results.folder import RunFolder
from harness.results.sweep_folder import State, SweepFolder
from harness.runs import code, orphans
from harness.runs.plan import Plan
from harness.runs.resume import plan_of


@pytest.fixture(autouse=True)
def fresh_node(made_up: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A node that has made nothing ready; this process adopts nobody."""
    monkeypatch.setattr(orphans, "adopt", lambda: None)
    yield
    if node._last is not None:
        node._last.ending.close()
    node._last = None


@pytest.fixture
def plan(make_plan: Callable[..., Plan]) -> Plan:
    """Two entrants, seven rounds, timed, with a training behind them."""
    return make_plan("numpy", "twin", rounds=7, timing=True, epochs=1, seeds=1)


@pytest.fixture
def task(plan: Plan) -> Callable[..., str]:
    """Return a function that makes a task."""

    def make(plan_round: int = 1, run: str = "s-1-on-aa", **changes: Any) -> str:
        backends = {each.backend: code.digest(each.backend) for each in plan.entrants}
        own = {"lenet_bench": harness.__version__, "code": node.code_digest(), "backends": backends}
        return json.dumps({"plan": plan.as_dict(), "plan_round": plan_round, "run": run} | own | changes)

    return make


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[SweepFolder]:
    """A sweep's folder, s."""
    with SweepFolder.begin(tmp_path, "s", "", State("", "1"), numbered=False) as folder:
        yield folder


def test_a_round_is_of_all_entrants(task: Callable[..., str], made_up: Any) -> None:
    """Its rows are text, with what environment.json needs; late rounds time no inference."""
    first, late, training = (json.loads(node.carry_out(task(number))) for number in (1, 6, -1))

    assert made_up.launched[:2] in (["numpy eager", "twin eager"], ["twin eager", "numpy eager"])
    assert first["tables"]["launches"].count("s-1-on-aa") == 2
    assert "inference" in first["tables"]
    assert "inference" not in late["tables"]
    assert "epochs" in training["tables"]
    assert first["environment"]["packages"]["numpy"] == ["made-up==1.0"]
    assert first["failures"] == {}
    assert any("1,000 images/s training" in line for line in first["said"])


def test_a_launch_that_fails_is_told(task: Callable[..., str], made_up: Any) -> None:
    """The round is there all the same."""
    made_up.failing = {"twin eager": 1}
    answer = json.loads(node.carry_out(task()))
    assert answer["failures"] == {"twin eager": "twin eager has had enough"}
    assert answer["tables"]["launches"].count("failed") == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lenet_bench": "9"}, "it has lenet-bench .*, here is 9. Install the same there."),
        ({"code": "x"}, "has other code than the one here"),
        ({"backends": {"numpy": "x"}}, "its backend numpy is not the one here"),
        ({"backends": {"corp": "x"}}, "its backend corp is not the one here"),
        ({"plan": {}}, "lacks the key 'entrants'"),
    ],
)
def test_what_it_cannot_do_it_refuses(task: Callable[..., str], made_up: Any, changes: Any, words: str) -> None:
    """Without a launch."""
    assert re.search(words, json.loads(node.carry_out(task(**changes)))["refused"])
    assert made_up.jobs == []


def test_rows_are_written_once(task: Callable[..., str], plan: Plan, sweep: SweepFolder) -> None:
    """Each node's in a folder of its own, numbered there; what is left to do is what no node has done."""
    with Rows(sweep, {"1": plan}) as rows:
        assert rows.missing("1") == [1, 2, 3, 4, 5, 6, 7, -1]
        assert rows.kind("1") == ""
        for number, run in ((2, "s-1-on-aa"), (1, "s-1-on-bb"), (5, "s-1-on-aa")):
            rows.write("1", json.loads(node.carry_out(task(number, run))))
        rows.end("1")
    with Rows(sweep, {"1": plan}) as rows:
        assert rows.missing("1") == [3, 4, 6, 7, -1]
        assert rows.kind("1") == json.loads(node.hello())["kind"]

    found = {path.name: RunFolder(path) for path in sweep.runs()}
    assert list(found) == ["s-1-on-aa", "s-1-on-bb"]
    launches = found["s-1-on-aa"].read("launches")
    assert sorted(set(zip(launches["round"], launches["plan_round"]))) == [(1, 2), (2, 5)]
    assert len(found["s-1-on-aa"].read_counted("blocks")) == 4 * 5
    # A run like any: its plan is the cell's, with the CPUs that the node has chosen.
    assert replace(plan_of(found["s-1-on-aa"]), cpus=()) == replace(plan, cpus=())


def test_a_cell_that_has_ended_is_held_no_longer(task: Callable[..., str], plan: Plan, sweep: SweepFolder) -> None:
    """Or the command would run out of open files; its summary is there, and is written once."""
    with Rows(sweep, {"1": plan, "2": plan}) as rows:
        for cell in ("1", "2"):
            rows.write(cell, json.loads(node.carry_out(task(1, f"s-{cell}-on-aa"))))
        rows.end("1")
        assert [path.parent.name for path in sweep.path.glob("*/.lock")] == ["s-2-on-aa"]
        summary = sweep.path / "s-1-on-aa" / "summary.csv"
        summary.write_text("as it was")
        rows.end("1")
        assert summary.read_text() == "as it was"
    assert not list(sweep.path.glob("*/.lock"))


def test_a_killed_writer_leaves_nothing_half(task: Callable[..., str], plan: Plan, sweep: SweepFolder) -> None:
    """Rows of launches that have none of their own go; a round without all entrants is done again."""
    with Rows(sweep, {"1": plan}) as rows:
        rows.write("1", json.loads(node.carry_out(task(1))))
        rows.write("1", json.loads(node.carry_out(task(2))))
    file = sweep.path / "s-1-on-aa" / "launches.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))

    with Rows(sweep, {"1": plan}) as rows:
        assert rows.missing("1") == [2, 3, 4, 5, 6, 7, -1]
        rows.write("1", json.loads(node.carry_out(task(2))))
        assert 2 not in rows.missing("1")
    counted = RunFolder(file.parent).read_counted("launches")
    assert counted.groupby(["plan_round", "backend"]).size().eq(1).all()
    assert set(counted["plan_round"]) == {1, 2}


def test_a_failed_round_is_tried_again(task: Callable[..., str], plan: Plan, sweep: SweepFolder, made_up: Any) -> None:
    """By the next call; the better one counts."""
    made_up.failing = {"twin eager": 1}
    with Rows(sweep, {"1": plan}) as rows:
        rows.write("1", json.loads(node.carry_out(task(1))))
        assert 1 in rows.missing("1")
        rows.write("1", json.loads(node.carry_out(task(1))))
        assert 1 not in rows.missing("1")
    counted = RunFolder(sweep.path / "s-1-on-aa").read_counted("launches")
    assert counted["status"].tolist() == ["ok", "ok"]


def change(answer: dict[str, Any], table: str, old: str, new: str) -> dict[str, Any]:
    return answer | {"tables": answer["tables"] | {table: answer["tables"][table].replace(old, new)}}


def test_what_cannot_stand_beside_the_others_is_refused(
    task: Callable[..., str], plan: Plan, sweep: SweepFolder
) -> None:
    """Other packages, other images, no rows, rows that cannot have been measured: nothing of it is written."""
    with Rows(sweep, {"1": plan}) as rows:
        rows.write("1", json.loads(node.carry_out(task(1))))
        good = json.loads(node.carry_out(task(2, "s-1-on-bb")))
        packages = good["environment"] | {"packages": {"numpy": ["made-up==2.0"]}}
        for answer, words in (
            (good | {"environment": packages}, "numpy is not what the first worker had: made-up 1.0 → 2.0"),
            (
                change(good, "launches", "0" * 64, "1" * 64),
                "its images are drawn-digits, those of the others drawn-digits",
            ),
            (good | {"tables": {}}, "it has no launch"),
            (change(good, "launches", "ok", "fine"), "fine"),
            (good | {"environment": {"packages": 3}}, "packages must be an object"),
        ):
            with pytest.raises(InputError, match=words):
                rows.write("1", answer)
    assert [path.name for path in sweep.runs()] == ["s-1-on-aa"]
