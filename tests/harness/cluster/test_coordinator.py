"""Who does which round: each once, whatever dies; like hardware together; what refuses, and what kills its nodes."""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.cluster import coordinator
from harness.cluster.coordinator import Answered, Coordinator, Event, Joined, Left, Work
from harness.errors import InputError
from harness.runs.plan import Plan

VERSION = {"lenet_bench": "1", "code": "c"}


def hello(machine: str, kind: str = "like", **changes: str) -> dict[str, str]:
    return VERSION | {"machine": machine, "machine_sha256": machine * 8, "kind": kind} | changes


@dataclass
class MadeUpNodes:
    """Nodes that answer in an order that a number decides; some die, and some refuse.

    Attributes:
        coming: what happens before anything is given out.
        deaths: how many of them die over a task, each followed by another.
        refuse: whether an address refuses a task.
        most_at_once: tasks that one address had at the same time.
    """

    coming: list[Event]
    deaths: int = 0
    seed: int = 0
    refuse: Callable[[str, dict[str, Any]], bool] = lambda address, task: False
    given: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    open: dict[str, dict[str, Any]] = field(default_factory=dict)
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.names = iter(range(1000, 9999))

    def begin(self, address: str, task: str) -> None:
        assert address not in self.open, "it has one already"
        self.open[address] = json.loads(task)
        self.given.append((address, self.open[address]))

    def wait(self, seconds: float) -> list[Event]:
        if self.coming:
            events, self.coming = self.coming, []
            return events
        if not self.open:
            return []
        address = self.random.choice(sorted(self.open))
        task = self.open.pop(address)
        if self.deaths and self.random.random() < 0.3:
            self.deaths -= 1
            name = f"n{next(self.names)}"
            # What a dead node answers is too late.
            return [Left(address), Answered(address, "{}"), Joined(name, hello(name))]
        if self.refuse(address, task):
            return [Answered(address, json.dumps({"refused": "not here"}))]
        return [Answered(address, json.dumps({"plan_round": task["plan_round"], "run": task["run"], "failures": {}}))]


class MadeUpRows:
    """Keeps what is written."""

    def __init__(self, refuse: str = "") -> None:
        self.written: Counter[tuple[str, int]] = Counter()
        self.runs: set[str] = set()
        self.ended: list[str] = []
        self.refuse = refuse

    def write(self, cell: str, answer: Mapping[str, Any]) -> None:
        if self.refuse and self.refuse in answer["run"]:
            raise InputError("other packages")
        self.written[cell, answer["plan_round"]] += 1
        self.runs.add(answer["run"])

    def end(self, cell: str) -> None:
        self.ended.append(cell)


@pytest.fixture
def work(make_plan: Callable[..., Plan]) -> Callable[..., list[Work]]:
    """Return a function that makes so many cells of so many rounds."""
    plan = make_plan("numpy", rounds=1)
    return lambda cells, rounds: [
        Work(f"c{number}", f"s-c{number}", plan, deque(range(1, rounds + 1))) for number in range(cells)
    ]


def carry_out(cells: list[Work], nodes: MadeUpNodes, rows: MadeUpRows) -> list[str]:
    said: list[str] = []
    Coordinator(cells, nodes, rows, version=VERSION, say=said.append).execute()
    return said


@pytest.mark.parametrize("seed", range(20))
def test_each_round_once_whatever_dies(work: Callable[..., list[Work]], seed: int) -> None:
    """Twenty nodes die over theirs; nobody has two at once, and late answers count nothing."""
    nodes = MadeUpNodes([Joined("a", hello("a")), Joined("b", hello("b"))], deaths=20, seed=seed)
    rows = MadeUpRows()

    cells = work(5, 40)
    carry_out(cells, nodes, rows)

    assert nodes.deaths == 0
    assert rows.written == Counter({(f"c{cell}", number): 1 for cell in range(5) for number in range(1, 41)})
    assert sorted(rows.ended) == [f"c{cell}" for cell in range(5)]
    assert not any(cell.fault for cell in cells)


def test_a_node_stays_with_its_cell(work: Callable[..., list[Work]]) -> None:
    """And helps others only when there is none left that nobody does."""
    nodes = MadeUpNodes([Joined("a", hello("a")), Joined("b", hello("b"))])
    carry_out(work(4, 10), nodes, MadeUpRows())

    shared = {
        cell: {address for address, task in nodes.given if task["run"].startswith(f"s-{cell}-")}
        for cell in ("c0", "c1")
    }
    assert shared == {"c0": {"a"}, "c1": {"b"}}
    assert all(task["run"].endswith(f"-on-{address * 8}") for address, task in nodes.given)


def test_unlike_hardware_shares_no_cell(work: Callable[..., list[Work]]) -> None:
    """As long as a node of the kind is there; once it is not, another kind goes on."""
    nodes = MadeUpNodes([Joined("a", hello("a")), Joined("b", hello("b", kind="other"))])
    carry_out(work(3, 20), nodes, MadeUpRows())
    assert all(len({a for a, task in nodes.given if task["run"].startswith(f"s-c{c}-")}) == 1 for c in range(3))

    nodes = MadeUpNodes([Joined("a", hello("a")), Joined("b", hello("b", kind="other"))])
    rows = MadeUpRows()
    begin = nodes.begin

    def lose_a(address: str, task: str) -> None:
        begin(address, task)
        if len(nodes.given) == 5:
            nodes.open.pop("a", None)
            nodes.coming = [Left("a")]

    nodes.begin = lose_a  # type: ignore[method-assign]
    carry_out(work(2, 10), nodes, rows)
    assert len(rows.written) == 20


def test_a_cell_that_was_begun_stays_with_its_kind(work: Callable[..., list[Work]]) -> None:
    """Though a node of another kind came first."""
    nodes = MadeUpNodes([Joined("a", hello("a")), Joined("b", hello("b", kind="other"))])
    cells = work(1, 3)
    cells[0].kind = "other"
    carry_out(cells, nodes, MadeUpRows())
    assert [address for address, _ in nodes.given] == ["b"] * 3


def test_a_round_that_kills_its_nodes_is_given_up(work: Callable[..., list[Work]]) -> None:
    """After five; the other cells end."""
    nodes, rows = MadeUpNodes([Joined("a", hello("a"))]), MadeUpRows()
    wait = nodes.wait

    def kill(seconds: float) -> list[Event]:
        for address, task in list(nodes.open.items()):
            if task["run"].startswith("s-c0-"):
                del nodes.open[address]
                name = f"n{next(nodes.names)}"
                return [Left(address), Joined(name, hello(name))]
        return wait(seconds)

    nodes.wait = kill  # type: ignore[method-assign]
    cells = work(2, 3)
    said = carry_out(cells, nodes, rows)

    assert cells[0].fault == "5 workers have died over round 1. Has it too little memory?"
    assert {cell for cell, _ in rows.written} == {"c1"}
    assert sum("It is done again" in each for each in said) == 5


def test_who_refuses_a_cell_does_others(work: Callable[..., list[Work]]) -> None:
    """And a cell that all refuse is given up with the reason."""
    rows = MadeUpRows()
    nodes = MadeUpNodes(
        [Joined("a", hello("a")), Joined("b", hello("b"))],
        refuse=lambda address, task: (address == "a" and task["run"].startswith("s-c0-")) or "c1" in task["run"],
    )
    cells = work(3, 4)
    carry_out(cells, nodes, rows)

    assert [cell.fault for cell in cells] == ["", "No worker can do it. not here", ""]
    assert rows.written == Counter({(cell, number): 1 for cell in ("c0", "c2") for number in range(1, 5)})


def test_what_its_own_kind_refuses_another_kind_does(work: Callable[..., list[Work]]) -> None:
    """A cell waits for no node of its kind that will not do it."""
    rows = MadeUpRows()
    nodes = MadeUpNodes(
        [Joined("a", hello("a")), Joined("b", hello("b", kind="other"))],
        refuse=lambda address, task: address == "a" and task["run"].startswith("s-c0-"),
    )
    cells = work(2, 3)
    carry_out(cells, nodes, rows)

    assert [cell.fault for cell in cells] == ["", ""]
    assert rows.written == Counter({(cell, number): 1 for cell in ("c0", "c1") for number in range(1, 4)})


def test_rows_that_cannot_stand_beside_the_others_are_done_again(work: Callable[..., list[Work]]) -> None:
    """By another node; the one with other packages is told so."""
    rows, nodes = MadeUpRows(refuse="aaaa"), MadeUpNodes([Joined("a", hello("a")), Joined("b", hello("b"))])
    said = carry_out(work(1, 4), nodes, rows)

    assert len(rows.written) == 4
    assert "The worker a takes no part in c0: other packages" in said


def test_nobody_waits_for_the_disk(work: Callable[..., list[Work]]) -> None:
    """While rows are written their node is at work again; the last are written before their cell ends."""
    nodes, rows = MadeUpNodes([Joined("a", hello("a")), Joined("b", hello("b"))]), MadeUpRows()
    at_work, write = [], rows.write

    def look(cell: str, answer: Mapping[str, Any]) -> None:
        at_work.append(len(nodes.open))
        assert cell not in rows.ended
        write(cell, answer)

    rows.write = look  # type: ignore[method-assign]
    carry_out(work(2, 4), nodes, rows)

    assert at_work == [2] * 6 + [1, 0]
    assert rows.ended


def test_another_lenet_bench_takes_no_part(work: Callable[..., list[Work]]) -> None:
    """Named, with what to do; where nobody else comes, that is the end."""
    events: list[Event] = [
        Joined("a", hello("a", lenet_bench="0.9")), Joined("b", hello("b", code="d")), Joined("c", {}, "no resource"),
    ]  # fmt: skip
    said: list[str] = []
    nodes = MadeUpNodes(events)
    with pytest.raises(InputError, match="No worker of the cluster can take part, and none has come for 120 s"):
        Coordinator(work(1, 1), nodes, MadeUpRows(), version=VERSION, say=said.append).execute()

    assert said == [
        "The worker a takes no part: it has lenet-bench 0.9, here is 1. Install the same there.",
        "The worker b takes no part: its lenet-bench 1 has other code than the one here. Install the same there.",
        "The worker c takes no part: no resource",
    ]
    assert nodes.given == []


def test_what_nobody_can_do_ends_a_cell_at_once(work: Callable[..., list[Work]]) -> None:
    """A failed verification is no node's fault."""
    nodes = MadeUpNodes([Joined("a", hello("a"))])
    nodes.wait = lambda seconds: (  # type: ignore[method-assign]
        (nodes.coming and [nodes.coming.pop()]) or [Answered("a", '{"failed": "wrong gradients", "exit_code": 1}')]
    )
    cells = work(1, 3)
    carry_out(cells, nodes, MadeUpRows())
    assert (cells[0].fault, len(nodes.given)) == ("wrong gradients", 1)


def test_nothing_to_do_needs_nobody(work: Callable[..., list[Work]]) -> None:
    """A sweep that has all its rows."""
    rows = MadeUpRows()
    carry_out(work(2, 0), MadeUpNodes([]), rows)
    assert rows.ended == ["c0", "c1"]
    assert coordinator.PATIENCE_S > coordinator.GRACE_S
