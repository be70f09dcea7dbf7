"""Which options of `run` stand on the command line, and which of them cannot stand together."""

from __future__ import annotations

import typer

from harness.errors import InputError

# What may change while a run lasts: where things are, and how long they are waited for.
BESIDE_RESUME = (
    "resume",
    "anew_from_here",
    "launch_timeout",
    "python",
    "here",
    "data_dir",
    "strict",
    "dry_run",
    "cluster",
)
# What a sweep's file does not say.
BESIDE_FILE = (
    "file",
    "results_dir",
    "name",
    "python",
    "here",
    "data_dir",
    "strict",
    "dry_run",
    "unverified",
    "cluster",
)


def stands(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line; not, where it is from a variable or the default."""
    source = context.get_parameter_source(name)
    # By its name: some versions of Typer have an enumeration of their own, others click's.
    return source is not None and source.name == "COMMANDLINE"


def check(context: typer.Context, *, resumed: bool, swept: bool) -> None:
    """Refuse options that would be passed over.

    Raises:
        InputError: with their names.
    """
    known = BESIDE_RESUME if resumed else BESIDE_FILE
    found = [
        each.opts[0] if each.param_type_name == "option" else "a sweep's file"
        for each in context.command.params
        if stands(context, str(each.name))
        and (each.name not in known if resumed or swept else each.name == "anew_from_here")
    ]
    if found and resumed:
        raise InputError(
            f"--resume goes on by the run's own plan, which {', '.join(found)} cannot change. Leave it out, or start a "
            "new run."
        )
    if found and swept:
        raise InputError(f"{', '.join(found)} cannot be given beside a sweep's file. Write it into the file's tables.")
    if found:
        raise InputError("--anew-from-here is for a run that goes on: give --resume results/RUN with it.")
