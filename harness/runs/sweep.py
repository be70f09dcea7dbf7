"""A sweep: a run for each cell of a product of networks, batch sizes, threads, seeds; what each of them would do.

The entrants of a cell take turns and stay pairs, as those of any run. Cells are apart from each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import InputError, unknown
from harness.runs.entrants import limit_entrants, make_entrants, parse_backends, parse_versions
from harness.runs.plan import Plan
from harness.spec.recipe import Recipe
from harness.spec.recipes import choose
from harness.worker import catalogue
from harness.worker.job import FORMS, Entrant

# Keys of the product that makes cells, and of those that make a cell's entrants: options of `run`.
OF_CELLS = (
    "network", "recipe", "data-set", "device", "dtype", "environment", "threads", "replicas", "batch-size", "seed",
)  # fmt: skip
OF_ENTRANTS = ("backend", "mode", "feed", "versions")
USUAL: dict[str, Any] = {
    "network": "", "recipe": "", "data-set": "", "device": "cpu", "dtype": "float32", "environment": "controlled",
    "threads": 1, "replicas": 1, "seed": 0,
}  # fmt: skip
MOST_CELLS = 100_000


@dataclass(frozen=True)
class Exclusion:
    """What is left out of a sweep.

    Attributes:
        where: file and line, for messages.
        values: key -> the values that are meant; all keys must fit.
    """

    where: str
    values: Mapping[str, tuple[Any, ...]]

    def fits(self, fields: Mapping[str, Any]) -> bool:
        """Whether it leaves out what has these fields; not, where it asks for one that is not decided yet."""
        return all(key in fields and fields[key] in values for key, values in self.values.items())


@dataclass(frozen=True)
class Asked:
    """A sweep as its file has it.

    Attributes:
        where: file and line of [cells], for messages.
        cells: key of OF_CELLS -> its values; keys that are not there have the usual one.
        entrants: tables of keys of OF_ENTRANTS -> values, whose products are united; with file and line of each.
        limit: whether the machine's limit is timed in every cell.
    """

    where: str
    cells: Mapping[str, tuple[Any, ...]]
    entrants: Sequence[tuple[str, Mapping[str, tuple[Any, ...]]]]
    exclusions: Sequence[Exclusion]
    limit: bool = False


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        number: counted from 1.
        name: that tells it from the others: its number, and the values of what differs between cells.
    """

    number: int
    name: str
    plan: Plan


def make_cells(asked: Asked, make_plan: Callable[[list[Entrant], Recipe, Mapping[str, Any]], Plan]) -> list[Cell]:
    """The runs of a sweep, in the order of the file: the last key's values change fastest.

    Args:
        make_plan: of a cell's entrants, its recipe, and its values by key.

    Raises:
        InputError: nothing is left to run, an exclusion leaves nothing out, there are too many cells, or something in a
            cell cannot be run; with file and line.
    """
    used: set[int] = set()
    found = []
    for settings in _products(asked):
        if _excluded(settings, asked, used):
            continue
        try:
            recipe = choose(settings["network"], settings["recipe"])
        except InputError as error:
            raise InputError(f"{asked.where}{error}") from None
        values = settings | {"network": recipe.network, "recipe": recipe.name}
        values.setdefault("batch-size", recipe.batch_size)
        if _excluded(values, asked, used):
            continue
        entrants = _entrants(values, asked, used)
        if entrants:
            found.append((values, make_plan(entrants, recipe, values)))
    for number, each in enumerate(asked.exclusions):
        if number not in used:
            raise InputError(f"{each.where}this [[exclude]] leaves nothing out. Mend its values, or take it out.")
    if not found:
        raise InputError("Nothing is left to run: every entrant of every cell is excluded. Take an [[exclude]] out.")
    places = len(str(len(found)))
    return [
        Cell(number, "-".join([f"{number:0{places}d}", *_name_parts(values, asked)]), plan)
        for number, (values, plan) in enumerate(found, start=1)
    ]


def _products(asked: Asked) -> Iterator[dict[str, Any]]:
    usual = {key: (value,) for key, value in USUAL.items()} | dict(asked.cells)
    count = 1
    for values in usual.values():
        count *= len(values)
    if count > MOST_CELLS:
        raise InputError(
            f"The product of [cells] has {count:,} cells, and {MOST_CELLS:,} are the most. Split the file."
        )
    keys = [key for key in OF_CELLS if key in usual]
    for values in itertools.product(*(usual[key] for key in keys)):
        yield dict(zip(keys, values))


def _excluded(fields: Mapping[str, Any], asked: Asked, used: set[int]) -> bool:
    fitting = {number for number, each in enumerate(asked.exclusions) if each.fits(fields)}
    used |= fitting
    return bool(fitting)


def _entrants(values: Mapping[str, Any], asked: Asked, used: set[int]) -> list[Entrant]:
    """The entrants of one cell, each once."""
    settings: dict[str, Any] = dict(values)
    alike: dict[str, Any] = {
        "threads": (values["threads"],), "batch_sizes": (values["batch-size"],), "device": values["device"],
        "dtype": values["dtype"], "network": values["network"], "environment": values["environment"],
    }  # fmt: skip
    found: dict[Entrant, None] = {}
    for where, table in asked.entrants:
        try:
            for raw, mode in _raw_entrants(table, values["device"]):
                # What is excluded need not be possible.
                if _excluded(settings | raw, asked, used):
                    continue
                made = make_entrants(
                    [raw["backend"]], modes=mode or None, feeds=(raw["feed"],),
                    versions={raw["backend"]: (raw["versions"],)}, replicas=(values["replicas"],), **alike,
                )  # fmt: skip
                found |= dict.fromkeys(each for each in made if not _excluded(settings | _fields(each), asked, used))
        except InputError as error:
            raise InputError(f"{where}{error}") from None
    if asked.limit and found:
        found |= dict.fromkeys(limit_entrants(feeds=("host",), **alike))
    return list(found)


def _raw_entrants(table: Mapping[str, tuple[Any, ...]], device: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Each combination: what is decided of backend, mode, feed and version; its mode, "" for the default, or `all`."""
    backends = parse_backends(list(table["backend"]))
    versions = parse_versions(table.get("versions", ()), backends)
    modes = [mode.strip() for value in table.get("mode", ()) for mode in value.split(",")]
    known = {backend: catalogue.modes(backend, device) for backend in backends}
    for mode in modes:
        owner, colon, name = mode.rpartition(":")
        if colon and owner not in backends:
            raise unknown(f"backend in this table for the mode {mode}", owner, backends)
        if name != "all" and not any(name in known[each] for each in ([owner] if colon else backends)):
            raise unknown(f"mode of {owner or ', '.join(backends)}", name, {*itertools.chain(*known.values()), "all"})
    feeds = [feed.strip() for value in table.get("feed", ("host",)) for feed in value.split(",")]
    for backend in backends:
        for mode, feed, version in itertools.product(
            _modes_of(backend, modes, known[backend]), feeds, versions.get(backend, ("",))
        ):
            decided = {} if mode in ("", "all") else {"mode": mode}
            yield {"backend": backend, "feed": feed, "versions": version} | decided, mode


def _modes_of(backend: str, asked: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    """Those of a table's modes that a backend has; "" for its default one where the table names none."""
    if not asked:
        return [""]
    mine = [mode.rpartition(":")[2] for mode in asked if ":" not in mode or mode.startswith(f"{backend}:")]
    found = [mode for mode in dict.fromkeys(mine) if mode == "all" or mode in known]
    if not found:
        raise InputError(
            f"{backend} has none of the modes {', '.join(asked)}. It has: {', '.join(known)}. Name one of these, or "
            "give it a table of its own."
        )
    return found


def _fields(entrant: Entrant) -> dict[str, Any]:
    return {"backend": entrant.backend, "mode": entrant.mode, "feed": entrant.feed, "versions": entrant.version}


def _name_parts(values: Mapping[str, Any], asked: Asked) -> Iterator[str]:
    """What tells a cell from the others, for its name."""
    forms = {key.replace("_", "-"): form for key, form in FORMS.items()} | {"seed": "seed{}"}
    for key in OF_CELLS:
        if len(asked.cells.get(key, ())) > 1:
            yield forms.get(key, "{}").format(values[key])
