"""`run sweep.toml --cluster`: the rounds of a sweep's cells on the nodes of a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import harness
from harness.cluster import dask_nodes, node
from harness.cluster.coordinator import Coordinator, Work
from harness.cluster.rows import Rows
from harness.commands import signals
from harness.errors import InputError, WorkerFailed
from harness.results.sweep_folder import SweepFolder
from harness.runs import code
from harness.runs.sweep import Cell


def check(cells: Sequence[Cell]) -> None:
    """Refuse plans that nodes cannot share.

    Raises:
        InputError: rounds would be added until all is precise, which nobody can tell before they are all there.
    """
    for cell in cells:
        if cell.plan.most_rounds != cell.plan.rounds and len(cell.plan.entrants) > 1:
            raise InputError(
                "--cluster needs a number of rounds, which are shared out. Write rounds = 8 in [run], say."
            )


def carry_out(where: str, folder: SweepFolder, cells: Sequence[Cell], *, say: Callable[[str], None]) -> int:
    """Carry out what is missing of these cells; return the exit code.

    Raises:
        InputError: as `dask_nodes.connected`, or nobody is there.
    """
    faults: list[str] = []

    def ended(work: Work) -> None:
        say(f"{work.name} has ended." if not work.fault else f"{work.name} was given up: {work.fault}")
        faults.extend([work.fault] * bool(work.fault))
        for label, error in work.failures.items():
            faults.append(error)
            say(f"{work.name}: {label} failed: {error}")
        if not work.fault and not work.failures:
            folder.end(work.name)

    plans, sweep = {cell.name: cell.plan for cell in cells}, folder.read().name
    backends = {each.backend for plan in plans.values() for each in plan.entrants}
    digests = {backend: code.digest(backend) for backend in backends}
    with Rows(folder, plans) as rows:
        work = [
            Work(
                cell.name, f"{sweep}-{cell.name}", cell.plan, deque(rows.missing(cell.name)),
                code={each.backend: digests[each.backend] for each in cell.plan.entrants}, kind=rows.kind(cell.name),
            )
            for cell in cells
        ]  # fmt: skip
        version = {"lenet_bench": harness.__version__, "code": node.code_digest()}
        try:
            with dask_nodes.connected(where) as nodes:
                Coordinator(work, nodes, rows, version=version, say=say, ended=ended).execute()
        except KeyboardInterrupt:
            signals.taken()
            return signals.INTERRUPTED
        finally:
            for each in work:
                rows.end(each.name)
    return WorkerFailed.exit_code if faults else 0
