"""The command line: options, help, exit codes. Standard output has results, standard error has progress."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

import harness
from harness.commands import failures, settings
from harness.commands.signals import INTERRUPTED, ignore, taken
from harness.commands.streams import Streams
from harness.errors import LenetBenchError, Regression
from harness.runs import orphans
from harness.tables import layout

# In the order of `lenet-bench --help`, each with what its help begins with.
COMMANDS = {
    "run": "Time and train frameworks; write a run under results/; print its tables.",
    "install": "Make a framework's environment: a venv with the pinned packages, which `run` finds by itself.",
    "new-backend": "Write the package of a backend of your own, to be filled in.",
    "backend": "Record the environment of a backend from outside, or of your own build of a framework.",
    "init": "Write lenet-bench.toml, with comments: what `run`, `gate` and `report` do in this folder.",
    "verify": "Prove that a backend computes what the float64 reference computes; exit code 1 if it does not.",
    "conform": "Test all that the protocol promises, in the backend's environment; exit code 1 if it does not hold.",
    "reproduce": "Train what a source document trained; print published figures beside measured ones, epoch by epoch.",
    "doctor": "Examine this machine before a run: what would blur the timing, what to change, what that would do.",
    "selftest": "Test the method on this machine: does it call equals equal, and does it find a known slowdown?",
    "compare": "Join runs into one table, fastest first; refuse rows that cannot be compared, with the reason.",
    "export": "Write a run's tables as Parquet, beside the CSV files or elsewhere.",
    "gate": "Train briefly, and fail (exit code 1) where a backend has become worse.",
    "data": "Show which data sets are here, get one, or draw a picture of the drawn digits.",
    "list": "Show backends with versions and modes, networks and data sets.",
    "history": "Show how each framework moved from run to run on one machine, and what else had changed.",
    "report": "Write a run as one HTML file: tables, figures, proof, machine, the command that makes the run again.",
    "publish": "Write a site of all runs of a machine: the latest figures, each entrant's history, every report.",
    "baseline": "Show the accuracies that the gate compares others with, or measure them anew.",
}
# Where modules and functions are not named as their commands are.
PLACES = {
    "data": ("listings", "data"), "list": ("listings", "list_"), "baseline": ("baseline", "app"),
    "backend": ("backend", "app"), "new-backend": ("new_backend", "new_backend"),
}  # fmt: skip
STYLE: dict[str, Any] = {"rich_markup_mode": "markdown", "pretty_exceptions_enable": False}


class Commands(TyperGroup):
    """All commands by name; one is imported when it is called, because what they need takes a second to import."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, begins in COMMANDS.items():
            self.add_command(TyperCommand(name, help=begins))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import what is called, in place of what only stood in the list."""
        if args[0] in COMMANDS:
            # Not for the help alone: it loads NumPy.
            from harness.runs import outside

            outside.announce()
            command = imported(args[0])
            self.add_command(command)
            found, sentence = settings.defaults(args[0], command, args[1:])
            ctx.default_map = {args[0]: found}
            # Not while a shell asks for completions.
            if sentence and not ctx.resilient_parsing:
                layout.stderr().print(Text(sentence, style="dim"), soft_wrap=True)
        return super().resolve_command(ctx, args)


def imported(name: str) -> Any:
    """A command, with its options; `name` is one of COMMANDS."""
    module, attribute = PLACES.get(name, (name, name))
    try:
        found = getattr(import_module(f"harness.commands.{module}"), attribute)
    except Exception as error:
        # As in harness/__main__.py.
        words = f"It is not installed as it should be ({type(error).__name__}: {error})."
        raise LenetBenchError(words) from error
    alone = typer.Typer(add_completion=False, **STYLE)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return typer.main.get_group(alone).commands[name]


def whole_tool() -> TyperGroup:
    """The whole tool with all its commands imported, for what documents it."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name in COMMANDS:
        group.add_command(imported(name))
    return group


app = typer.Typer(
    name="lenet-bench",
    cls=Commands,
    help="The identical LeNet-5 in five frameworks: proven identical, timed alike.",
    no_args_is_help=True,
    **STYLE,
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """The identical LeNet-5 in five frameworks: proven identical, timed alike."""
    if version:
        print(f"lenet-bench {harness.__version__}")
        raise typer.Exit


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
    """Run the command line; return the exit code (docs/at-a-glance.md): 1 is a bad result, and nothing else is."""
    try:
        if sys.argv[1:2] == ["gate"]:
            # Of this command alone: it needs what reads tables.
            from harness.gate.report import forget_reports

            forget_reports(sys.argv[1:])
        app()
    except LenetBenchError as error:
        console = layout.stderr()
        layout.say(console, f"lenet-bench: {error}", "red")
        log = getattr(error, "log", "")
        if log:
            layout.say(console, log)
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
