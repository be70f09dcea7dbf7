"""The table of one network: shapes, parameters, operations and their shares."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from harness.spec import operations
from harness.spec.network import Network
from harness.spec.operations import LayerOperations
from harness.tables.fitting import FittingTable
from harness.tables.layout import make_table

# As people say them, in the order of the totals.
KINDS = {"conv": "convolution", "dense": "dense"}


def show_network(console: Console, network: Network) -> None:
    """Print the layer table, with the operations of the forward pass and of training for one image."""
    console.print(Text(f"{network.name}: {network.source}", style="bold"))
    console.print(network_table(network))
    console.print("Mflop: 10^6 operations an image; a multiply and an add are two.")


def network_table(network: Network) -> FittingTable:
    """A row a layer, then convolution, dense and all; shares are of all."""
    table = make_table()
    for header in ("layer", "kind", "output"):
        # A name may be cut, there is no limit to how long it is; a shape that is cut cannot be read.
        table.add_column(header, no_wrap=header != "layer")
    for header in ("parameters", "forward\nMflop", "forward\nshare", "training\nMflop", "training\nshare"):
        table.add_column(header, justify="right")
    counted = {each.name: each for each in operations.by_layer(network)}
    table.add_row("input", "", _shape(network.input_shape))
    for row in network.summary():
        name = row.layer.name
        cells = _operations(network, [counted[name]]) if name in counted else []
        own = f"{row.parameters:,}" if row.parameters else ""
        # Text, not markup: a name may contain brackets.
        table.add_row(Text(name), type(row.layer).__name__, _shape(row.output_shape), own, *cells)
    by_kind = {title: [each for each in counted.values() if each.kind == kind] for kind, title in KINDS.items()}
    for title, layers in (by_kind | {"all": list(counted.values())}).items():
        names = {each.name for each in layers}
        # Of all, those of layers that multiply nothing too: trainable subsampling has some.
        layers_meant = [row for row in network.summary() if title == "all" or row.layer.name in names]
        parameters = sum(row.parameters for row in layers_meant)
        table.add_row(title, "", "", f"{parameters:,}", *_operations(network, layers), style="bold")
    return table


def _operations(network: Network, layers: list[LayerOperations]) -> list[str]:
    """Forward and training of some layers together, each in 10^6 operations and as a share of the network's."""
    forward, training = sum(each.forward for each in layers), sum(each.training for each in layers)
    cells = []
    for part, whole in ((forward, operations.forward(network).total), (training, operations.training(network).total)):
        cells += [f"{part / 1e6:,.3f}", f"{part / whole:.1%}"]
    return cells


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
