"""Which node does which round, of which cell; what becomes of it where the node dies. Knows no scheduler.

A node does one round at a time, and has its next before the rows of the last are written. A cell stays with nodes of
one kind of hardware, as long as there is one that can do it, and with as few of them as keep all at work: so few
environments are made ready, and each node has rounds enough to be told apart from the others. A round whose node dies
is done again, whole, by whoever is free.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from harness.cluster.node import version_fault
from harness.errors import InputError
from harness.results.sweep_folder import ON
from harness.runs.plan import Plan

# A round that has lost so many nodes is given up: most likely it kills them.
MOST_LOSSES = 5
# How long nobody may be there before it is the end, and nobody who can do a cell before it is given up, s.
PATIENCE_S, GRACE_S = 120.0, 15.0


@dataclass(frozen=True)
class Joined:
    """A node has come; `fault` is why it cannot take part, empty where it can."""

    address: str
    hello: Mapping[str, str]
    fault: str = ""


@dataclass(frozen=True)
class Left:
    """A node has gone."""

    address: str


@dataclass(frozen=True)
class Answered:
    """A node has answered a task."""

    address: str
    answer: str


Event = Joined | Left | Answered


class Nodes(Protocol):
    """What carries tasks to nodes."""

    def begin(self, address: str, task: str) -> None:
        """Let a node carry out a task (`harness.cluster.node.carry_out`); it has none yet."""

    def wait(self, seconds: float) -> list[Event]:
        """What has happened, in order, asleep until something has; nothing after so many seconds."""


class Writer(Protocol):
    """Where rows go."""

    def write(self, cell: str, answer: Mapping[str, Any]) -> None:
        """Write what a round came to; raises InputError where its rows cannot stand beside those that are there."""

    def end(self, cell: str) -> None:
        """No more rows of a cell will come."""


@dataclass
class Work:
    """A cell that is under way.

    Attributes:
        rounds: of the plan that are to be done, in order.
        code: backend -> digest of its code, and of all that its proof rests on (`harness.runs.code`).
        at_work: rounds that a node has now, or whose rows are not written yet.
        kind: of the hardware that it stays with.
        nodes: that have been given a round of it.
        refused_by: addresses of nodes that cannot do it, with their reasons.
        failures: label of an entrant -> why a launch of it failed. It does not leave: another node may do better.
        losses: round of the plan -> how many nodes have died over it.
        fault: why it was given up; empty while it was not.
    """

    name: str
    run: str
    plan: Plan
    rounds: deque[int]
    code: Mapping[str, str] = field(default_factory=dict)
    at_work: set[int] = field(default_factory=set)
    kind: str = ""
    nodes: set[str] = field(default_factory=set)
    refused_by: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    losses: dict[int, int] = field(default_factory=dict)
    fault: str = ""

    @cached_property
    def plan_values(self) -> dict[str, Any]:
        """The plan, for JSON."""
        return self.plan.as_dict()

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to do, or under way."""
        return not self.at_work and (not self.rounds or bool(self.fault))

    @property
    def wants_node(self) -> bool:
        """Whether a round of it waits for a node."""
        return bool(self.rounds) and not self.fault


class Coordinator:
    """Gives rounds to nodes until all are done.

    Attributes:
        losses: how many rounds were lost with their nodes.
    """

    def __init__(
        self,
        cells: Sequence[Work],
        nodes: Nodes,
        writer: Writer,
        *,
        version: Mapping[str, str],
        say: Callable[[str], None],
        ended: Callable[[Work], None] = lambda cell: None,
    ) -> None:
        """Begin with nobody there.

        Args:
            version: `lenet_bench` and `code` that every node must have.
            say: takes sentences for people.
            ended: called with every cell that is over.
        """
        self.losses = 0
        self._open = list(cells)
        self._nodes, self._writer, self._version = nodes, writer, version
        self._say, self._ended = say, ended
        # Address -> what its node said; the round that it is at work on; the cell of the one before.
        self._known: dict[str, Mapping[str, str]] = {}
        self._busy: dict[str, tuple[Work, int]] = {}
        self._last: dict[str, Work] = {}
        # Of those that are known, who has nothing to do.
        self._idle: dict[str, None] = {}
        # Rounds whose rows are to be written, with who did them: nobody waits for the disk with nothing to do.
        self._unwritten: deque[tuple[str, Work, int, Mapping[str, Any]]] = deque()

    def execute(self) -> None:
        """Give out rounds until every cell is over.

        Raises:
            InputError: no node that can take part has been there for `PATIENCE_S`.
        """
        waited_s = 0.0
        self._close(self._open)
        while self._open:
            self._give_out()
            if self._unwritten:
                self._write()
                continue
            events = self._nodes.wait(GRACE_S)
            for event in events:
                self._take_in(event)
            if events or self._busy:
                waited_s = 0.0
            elif self._known:
                self._give_up()
                self._close(self._open)
            else:
                waited_s += GRACE_S
                if waited_s >= PATIENCE_S:
                    raise InputError(
                        f"No worker of the cluster can take part, and none has come for {PATIENCE_S:g} s. Start some: "
                        "python -m harness.cluster.worker ADDRESS (docs/scale.md). Rows so far are kept."
                    )

    def _take_in(self, event: Event) -> None:
        if isinstance(event, Joined):
            self._join(event)
        elif isinstance(event, Left):
            self._lose(event.address)
        elif event.address in self._busy:
            cell, plan_round = self._busy.pop(event.address)
            self._idle[event.address] = None
            self._answer(event.address, cell, plan_round, json.loads(event.answer))

    def _join(self, event: Joined) -> None:
        fault = event.fault or version_fault(event.hello, self._version)
        if fault:
            self._say(f"The worker {event.address} takes no part: {fault}")
            return
        self._known[event.address] = event.hello
        self._idle[event.address] = None
        self._say(f"The worker {event.address} takes part: {event.hello['machine']}.")

    def _lose(self, address: str) -> None:
        self._idle.pop(address, None)
        self._last.pop(address, None)
        if self._known.pop(address, None) is None:
            return
        if address not in self._busy:
            self._say(f"The worker {address} has gone.")
            return
        cell, plan_round = self._busy.pop(address)
        self.losses += 1
        cell.losses[plan_round] = cell.losses.get(plan_round, 0) + 1
        self._say(f"The worker {address} has gone, and round {plan_round} of {cell.name} with it. It is done again.")
        if cell.losses[plan_round] >= MOST_LOSSES:
            cell.fault = f"{MOST_LOSSES} workers have died over round {plan_round}. Has it too little memory?"
        self._put_back(cell, plan_round)

    def _answer(self, address: str, cell: Work, plan_round: int, answer: Mapping[str, Any]) -> None:
        for line in answer.get("said", ()):
            self._say(f"{cell.name}, {address}: {line}")
        if "failed" in answer:
            cell.fault = str(answer["failed"])
            self._put_back(cell, plan_round)
        elif refused := str(answer.get("refused", "")):
            self._refuse(address, cell, refused)
            self._put_back(cell, plan_round)
        else:
            self._unwritten.append((address, cell, plan_round, answer))

    def _write(self) -> None:
        """Write the rows of the round that has waited longest."""
        address, cell, plan_round, answer = self._unwritten.popleft()
        try:
            self._writer.write(cell.name, answer)
        except InputError as error:
            self._refuse(address, cell, str(error))
            self._put_back(cell, plan_round)
            return
        cell.failures |= answer["failures"]
        cell.at_work.discard(plan_round)
        self._close([cell])

    def _refuse(self, address: str, cell: Work, reason: str) -> None:
        """Give this node no more of a cell. One whose rows were refused may have begun another round by then."""
        if address not in cell.refused_by:
            self._say(f"The worker {address} takes no part in {cell.name}: {reason}")
        cell.refused_by[address] = reason

    def _put_back(self, cell: Work, plan_round: int) -> None:
        """Have a round done again."""
        cell.at_work.discard(plan_round)
        cell.rounds.appendleft(plan_round)
        self._close([cell])

    def _give_out(self) -> None:
        if not any(cell.wants_node for cell in self._open):
            return
        for address in list(self._idle):
            cell = self._choose(address)
            if cell is not None:
                self._begin(address, cell)

    def _choose(self, address: str) -> Work | None:
        """The cell of which a free node does the next round; None where nothing is left for it."""
        last = self._last.get(address)
        if last is not None and last.wants_node and address not in last.refused_by:
            return last
        kind = self._known[address]["kind"]
        fit = [
            cell
            for cell in self._open
            if cell.wants_node
            and address not in cell.refused_by
            and (cell.kind in ("", kind) or not self._keeps_kind(cell))
        ]
        own = [cell for cell in fit if address in cell.nodes]
        fresh = [cell for cell in fit if not cell.nodes]
        # Of those that others are at work on, the one with most left to do.
        return next(iter([*own, *fresh, *sorted(fit, key=lambda cell: -len(cell.rounds))]), None)

    def _keeps_kind(self, cell: Work) -> bool:
        """Whether a node of its kind of hardware is there that has not refused it."""
        return any(
            hello["kind"] == cell.kind and address not in cell.refused_by for address, hello in self._known.items()
        )

    def _begin(self, address: str, cell: Work) -> None:
        plan_round = cell.rounds.popleft()
        cell.at_work.add(plan_round)
        cell.nodes.add(address)
        cell.kind = self._known[address]["kind"]
        self._busy[address] = (cell, plan_round)
        self._last[address] = cell
        del self._idle[address]
        run = f"{cell.run}{ON}{self._known[address]['machine_sha256'][:8]}"
        task = {"plan": cell.plan_values, "plan_round": plan_round, "run": run, "backends": cell.code}
        self._nodes.begin(address, json.dumps(task | dict(self._version)))

    def _give_up(self) -> None:
        """Nobody is at work, so whoever is there has refused what is left."""
        for cell in self._open:
            cell.fault = cell.fault or f"No worker can do it. {next(reversed(cell.refused_by.values()))}"

    def _close(self, cells: Sequence[Work]) -> None:
        """Of these, end those that are over."""
        for cell in [each for each in cells if each.is_over]:
            self._open.remove(cell)
            self._writer.end(cell.name)
            self._ended(cell)
