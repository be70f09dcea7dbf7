"""The command line: options, help, exit codes. Standard output has results, standard error has progress."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.text import Text

import harness
from harness.commands import baseline, failures
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
from harness.commands.signals import ignore, taken
from harness.commands.streams import Streams
from harness.commands.verify import verify
from harness.errors import LenetBenchError, Regression
from harness.gate.report import forget_reports
from harness.runs import orphans
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
    """Be the process of the command line."""
    streams = Streams()
    layout.take_any_text()
    orphans.adopt()
    try:
        code = command_line()
    except KeyboardInterrupt:
        # While an error was told.
        taken()
        code = INTERRUPTED
    orphans.end_all()
    ignore()
    sys.exit(streams.close(code))


def command_line() -> int:
    """Run the command line; return the exit code, as the README has them: 1 is a bad result, and nothing else is."""
    forget_reports(sys.argv[1:])
    try:
        app()
    except LenetBenchError as error:
        console = layout.stderr()
        console.print(Text(f"lenet-bench: {error}", style="red"), soft_wrap=True)
        log = getattr(error, "log", "")
        if log:
            console.print(Text(log), soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        taken()
        return INTERRUPTED
    except SystemExit as ending:
        # The option parser has told why; its own 1 is an interruption of a question, or a pipe that broke.
        return LenetBenchError.exit_code if ending.code == Regression.exit_code else int(ending.code or 0)
    except Exception as error:
        failures.tell(error)
        return LenetBenchError.exit_code
    return 0
