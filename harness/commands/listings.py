"""The commands that show what there is: data sets, backends, networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.commands.options import DataDir
from harness.data.sources import describe_datasets, load_dataset
from harness.errors import InputError
from harness.files import in_checkout
from harness.runs import interpreters
from harness.spec import operations
from harness.spec.networks import NETWORKS, get_network
from harness.spec.recipes import recipe_for
from harness.tables import layout
from harness.tables.layout import make_columns, make_table
from harness.tables.network_table import show_network
from harness.worker import catalogue


def data(
    get: Annotated[
        str | None,
        typer.Option(
            "--get", metavar="NAME", help="Find or download this data set, check it, and keep it in the cache."
        ),
    ] = None,
    data_dir: DataDir = None,
    contact_sheet: Annotated[
        Path | None, typer.Option(help="Write a picture of 100 drawn digits to this file.")
    ] = None,
) -> None:
    """Show which data sets are here, get one, or draw a picture of the drawn digits.

    Examples:

    - `lenet-bench data`
    - `lenet-bench data --get mnist`
    - `lenet-bench data --contact-sheet digits.png`
    """
    folder = Path(data_dir) if data_dir else None
    console = layout.stdout()
    if get:
        dataset = load_dataset(get, data_dir=folder)
        console.print(f"{dataset.name}: {len(dataset.train_labels):,} + {len(dataset.test_labels):,} images, verified")
        console.print(f"from {dataset.source}", soft_wrap=True, markup=False)
    elif contact_sheet:
        from harness.data.contact_sheet import contact_sheet as draw

        dataset = load_dataset("drawn-digits")
        draw(contact_sheet, images=dataset.train_images, labels=dataset.train_labels)
        console.print(f"Wrote {contact_sheet}", markup=False, soft_wrap=True)
    else:
        table = make_table()
        make_columns(table, ["name"], ["train\nimages", "test\nimages"], "here")
        table.add_column("where")
        for row in describe_datasets(folder):
            place = Text(row.place)
            table.add_row(row.name, f"{row.train:,}", f"{row.test:,}", "yes" if row.present else "no", place)
        console.print(table)


def list_(
    network: Annotated[str | None, typer.Option("--network", help="Print this network's layer table.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print which Python runs which backend, as JSON.")] = False,
) -> None:
    """Show backends with versions and modes, networks and data sets.

    Examples:

    - `lenet-bench list`
    - `lenet-bench list --network lenet5`
    """
    console = layout.stdout()
    if network:
        show_network(console, get_network(network))
    elif as_json:
        print(json.dumps(interpreters.read_map(), indent=1, sort_keys=True))
    else:
        _list_backends(console)
        console.print()
        _list_networks(console)
        console.print("\nMflop: training, for an image. Layer by layer: lenet-bench list --network NAME.")
        recipes = "Recipes: docs/recipes.md. " if in_checkout() else ""
        console.print(f"{recipes}Data sets: lenet-bench data.")
        console.print(f"interpreters: {interpreters.map_path()}", markup=False, soft_wrap=True)


def _list_networks(console: Console) -> None:
    table = make_table()
    make_columns(table, ["network"], ["parameters", "Mflop"], "recipe")
    for header in ("data set", "optimizer"):
        table.add_column(header)
    for network in NETWORKS.values():
        recipe = recipe_for(network.name)
        table.add_row(
            network.name, f"{network.parameters:,}", f"{operations.training(network).total / 1e6:,.2f}",
            recipe.name, recipe.data_set, recipe.optimizer,
        )  # fmt: skip
    console.print(table)


def _list_backends(console: Console) -> None:
    """A line a backend, and below it its modes, each with a sentence that is folded under its own beginning."""
    facts = {name: catalogue.facts(name) for name in catalogue.names()}
    longest = max((len(mode) for each in facts.values() for mode in each.MODES), default=0)
    missing = False
    for name, each in facts.items():
        try:
            version = interpreters.find(name).version
        except InputError:
            version, missing = "none", True
        console.print(Text(f"{name} {version}, runs on {', '.join(each.DEVICES)}", style="bold"))
        modes = Table.grid(padding=(0, 2, 0, 0))
        modes.add_column(min_width=longest)
        modes.add_column()
        for mode, sentence in each.MODES.items():
            modes.add_row(Text(mode), Text(sentence))
        console.print(Padding(modes, (0, 0, 0, 2)))
    if missing:
        console.print(f"none: {interpreters.install_command('NAME')} installs one.")
