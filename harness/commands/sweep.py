"""`lenet-bench run sweep.toml`: many runs by one file, one after the other, with one table at the end."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.text import Text

import harness
from harness.analysis.conditions import spoiling
from harness.analysis.expected import Earlier, Expectation, Planned, expect, read_earlier
from harness.analysis.sweep_rows import read_cells
from harness.commands import cluster, signals, sweep_file
from harness.commands.sweep_file import SweepFile
from harness.errors import InputError, LenetBenchError
from harness.proof import register
from harness.results.folder import RunFolder
from harness.results.sweep_folder import FILE, State, SweepFolder
from harness.runs.display import Display
from harness.runs.machine import this_machine
from harness.runs.plan import Plan
from harness.runs.planning import plan_from
from harness.runs.preparation import find_interpreters, load_for_plan
from harness.runs.privacy import hide_path
from harness.runs.run import name_of
from harness.runs.sweep import Cell, make_cells
from harness.spec.recipe import Recipe
from harness.tables import layout, sweep_tables
from harness.worker import catalogue
from harness.worker.job import Entrant

# What `run` has where [run] of the file says nothing.
USUAL: dict[str, Any] = {
    "preset": "standard", "base": "", "until": None, "launch_timeout": 900.0, "audit_batches": False,
    "precision": None, "budget": None, "rounds": None, "epochs": None, "seeds": None, "steady_s": None,
    "inference_sizes": None, "unverified": False,
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One call of `run` with a sweep.

    Attributes:
        command: `run`, as typer has it.
        start: carries out a plan in a new folder (`harness.commands.run.new_run`).
        go_on: the same of one that was begun (`resume_run`).
        cluster: on whose nodes (`harness.cluster.dask_nodes.connected`); empty for here.
    """

    command: Any
    results: Path
    pythons: dict[str, str]
    data_dir: str | None
    strict: bool
    name: str | None
    unverified: bool
    start: Callable[..., int]
    go_on: Callable[..., int]
    cluster: str = ""

    def carry_out(self, path: Path | None, begun: Path | None, *, dry_run: bool) -> int:
        """Carry out a file, or go on with the folder of one; return the exit code."""
        if path:
            return self.begin(path, dry_run=dry_run)
        assert begun is not None
        return self.resume(begun, dry_run=dry_run)

    def begin(self, path: Path, *, dry_run: bool) -> int:
        """Carry out a file in a new folder; return the exit code.

        Raises:
            InputError: something in the file cannot be done; nothing is written then.
        """
        if not path.exists() and str(path) in (*catalogue.names(), "all"):
            raise InputError(f"There is no file {path}. A backend is given with -b: lenet-bench run -b {path}")
        file = sweep_file.read(path, self.command)
        cells = cells_of(file, data_dir=self.data_dir, unverified=self.unverified)
        if dry_run:
            return show_plan(cells, self.results)
        if self.cluster:
            cluster.check(cells)
        else:
            self._check(cells)
        hidden = hide_path(self.data_dir) if self.data_dir else None
        state = State("", harness.__version__, hidden, unverified=self.unverified)
        own = self.name or name_of((), path.stem)
        with SweepFolder.begin(self.results, own, file.text, state, numbered=not self.name) as folder:
            return self._carry_out(folder, cells, file)

    def resume(self, path: Path, *, dry_run: bool) -> int:
        """Go on with a sweep by its own file; return the exit code."""
        folder = SweepFolder(path)
        state = folder.read()
        file = sweep_file.read(path / FILE, self.command)
        cells = cells_of(file, data_dir=self.data_dir or state.data_dir, unverified=state.unverified)
        if dry_run:
            return show_plan([cell for cell in cells if cell.name not in state.ended], path.parent)
        if self.cluster:
            cluster.check(cells)
        with folder.lock():
            return self._carry_out(folder, cells, file)

    def _check(self, cells: Sequence[Cell]) -> None:
        """Refuse what a cell needs and is not here, before the first of them is begun."""
        looked_for, loaded = set(), set()
        with Display() as display:
            for plan in (cell.plan for cell in cells):
                needs = frozenset((each.installation, each.device, each.cpus) for each in plan.entrants)
                if needs not in looked_for:
                    find_interpreters(plan, self.pythons, display)
                    looked_for.add(needs)
                takes = (plan.recipe.network, plan.recipe.batch_size, plan.recipe.data_set_asked, plan.data_set)
                if takes not in loaded:
                    load_for_plan(plan, display)
                    loaded.add(takes)

    def _carry_out(self, folder: SweepFolder, cells: Sequence[Cell], file: SweepFile) -> int:
        state, begun, codes = folder.read(), time.monotonic(), [0]
        earlier = read_earlier(folder.path.parent, this_machine().sha256) if file.budget_s else Earlier()
        left = [cell for cell in cells if cell.name not in state.ended]
        if self.cluster:
            code = cluster.carry_out(self.cluster, folder, left, say=lambda text: _say(text, ""))
            return self._end(folder, cells, code)
        for cell in left:
            # The first of a call is begun in any case, or a budget that is too short would never let anything be done.
            late = "" if cell is left[0] else _late(folder, cell, file, earlier, time.monotonic() - begun)
            if late:
                _say(late, "yellow")
                break
            _say(f"cell {cell.number} of {len(cells)}: {cell.name}", "bold")
            codes.append(self._carry_out_cell(folder, cell, state.name))
            if codes[-1] == signals.INTERRUPTED:
                break
            if codes[-1] == 0:
                folder.end(cell.name)
            for path in folder.runs_of(cell.name):
                earlier.add(RunFolder(path).read("launches"))
        return self._end(folder, cells, max(codes))

    def _carry_out_cell(self, folder: SweepFolder, cell: Cell, sweep: str) -> int:
        name, plan = f"{sweep}-{cell.name}", cell.plan
        options: dict[str, Any] = {"pythons": self.pythons, "tables": False, "strict": self.strict}

        def before() -> None:
            if plan.verified:
                register.require(plan, pythons=self.pythons)

        try:
            if (folder.path / name / "environment.json").exists():
                return self.go_on(folder.path / name, data_dir=plan.data_dir, **options)
            return self.start(plan, results=folder.path, name=name, before=before, **options)
        except KeyboardInterrupt:
            # Before its first launch: nothing of it is there yet.
            signals.taken()
            return signals.INTERRUPTED
        except LenetBenchError as error:
            _say(f"{cell.name}: {error} The other cells go on.", "bold red")
            return error.exit_code

    def _end(self, folder: SweepFolder, cells: Sequence[Cell], code: int) -> int:
        console, place = layout.stdout(), shlex.quote(str(folder.path))
        rows = read_cells(folder, [cell.name for cell in cells])
        sweep_tables.show_sweep(console, rows, conditions=_conditions(folder))
        ended = len(folder.read().ended)
        console.print(f"{ended} of {len(cells)} cells have ended. Results: {folder.path}", soft_wrap=True)
        if ended < len(cells):
            console.print(f"next: lenet-bench run --resume {place}", soft_wrap=True)
        else:
            console.print(f"next: lenet-bench compare {place} --by COLUMN", soft_wrap=True)
        return code


def _conditions(folder: SweepFolder) -> list[str]:
    launches = [RunFolder(path).read_counted("launches") for path in folder.runs()]
    timed = pd.concat(launches, ignore_index=True) if launches else pd.DataFrame()
    return spoiling(timed[timed["train_images_per_s"].notna()]) if len(timed) else []


def _late(folder: SweepFolder, cell: Cell, file: SweepFile, earlier: Earlier, spent_s: float) -> str:
    """Why a cell is not begun: it would end after the sweep's budget, as far as is known; empty where it is."""
    if not file.budget_s or spent_s + _expect(earlier, cell.plan).least_s <= file.budget_s:
        return ""
    return (
        f"The sweep's budget of {file.budget_s:g} s is over for this call: {cell.name} would end later. Go on: "
        f"lenet-bench run --resume {shlex.quote(str(folder.path))}"
    )


def cells_of(file: SweepFile, *, data_dir: str | None, unverified: bool) -> list[Cell]:
    """The runs that a file asks for.

    Raises:
        InputError: as `make_cells`, or [run] asks for what no cell has.
    """
    options = USUAL | dict(file.options)
    unverified, base = options.pop("unverified") or unverified, options.pop("base")
    options["budget_s"] = options.pop("budget")
    bases = set()

    def make_plan(entrants: list[Entrant], recipe: Recipe, values: Mapping[str, Any]) -> Plan:
        # A cell that the base is excluded from has its fastest for one.
        there = any(each.label.split()[: len(base.split())] == base.split() for each in entrants)
        bases.add(there)
        try:
            return plan_from(
                entrants, recipe, data_set=values["data-set"], data_dir=data_dir, seed=values["seed"],
                base=base if there else "", unverified=unverified, **options,
            )  # fmt: skip
        except InputError as error:
            raise InputError(f"{file.where}{error}") from None

    cells = make_cells(file.asked, make_plan)
    if base and True not in bases:
        labels = ", ".join(dict.fromkeys(each.label for cell in cells for each in cell.plan.entrants))
        raise InputError(f"{file.where}base = {base!r} of [run] is in no cell. There are: {labels}.")
    return cells


def show_plan(cells: Sequence[Cell], results: Path) -> int:
    """Print what would be done, and how long it would take by earlier results; return the exit code."""
    earlier = read_earlier(results, this_machine().sha256)
    sweep_tables.show_plan(layout.stdout(), [_planned(cell, earlier) for cell in cells])
    return 0


def _planned(cell: Cell, earlier: Earlier) -> Planned:
    plan, labels = cell.plan, tuple(each.label for each in cell.plan.entrants)
    more = plan.most_rounds > plan.rounds and len(labels) > 1
    return Planned(cell.name, labels, plan.rounds, more, _expect(earlier, plan))


def _expect(earlier: Earlier, plan: Plan) -> Expectation:
    return expect(
        earlier, [each.label for each in plan.entrants], rounds=plan.rounds, most_rounds=plan.most_rounds,
        budget_s=plan.budget_s, epochs=plan.epochs, seeds=plan.seeds,
    )  # fmt: skip


def _say(text: str, style: str) -> None:
    layout.stderr().print(Text(text, style=style), soft_wrap=True)
