"""The command line: options, help, exit codes. Standard output has results, standard error has progress."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer
from rich.text import Text

import harness
from harness.commands import baseline
from harness.commands.compare import compare
from harness.commands.doctor import doctor
from harness.commands.export import export
from harness.commands.gate import gate
from harness.commands.history import history
from harness.commands.listings import data, list_
from harness.commands.report import report
from harness.commands.reproduce import reproduce
from harness.commands.run import INTERRUPTED, run
from harness.commands.selftest import selftest
from harness.commands.verify import verify
from harness.errors import LenetBenchError
from harness.tables import layout

app = typer.Typer(
    name="lenet-bench",
    help="The identical LeNet-5 in five frameworks: proven identical, timed alike.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """The identical LeNet-5 in five frameworks: proven identical, timed alike."""
    if version:
        print(f"lenet-bench {harness.__version__}")
        raise typer.Exit


# In the order of `lenet-bench --help`.
app.command()(run)
app.command()(verify)
app.command()(reproduce)
app.command()(doctor)
app.command()(selftest)
app.command()(compare)
app.command()(export)
app.command()(gate)
app.add_typer(baseline.app, name="baseline")
app.command()(data)
app.command("list")(list_)
app.command()(history)
app.command()(report)


def main() -> None:
    """Run the command line; end with the exit codes of the README."""
    layout.take_any_text()
    # A polite kill ends as Ctrl-C does: rows kept, no worker left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except LenetBenchError as error:
        console = layout.stderr()
        console.print(Text(f"lenet-bench: {error}", style="red"), soft_wrap=True)
        log = getattr(error, "log", "")
        if log:
            console.print(Text(log), soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
