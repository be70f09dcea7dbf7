"""The errors that people see, each with the exit code that the command line ends with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LenetBenchError(Exception):
    """The harness could not do its work; the message says what came in and what to do next."""

    exit_code = 3


class InputError(LenetBenchError):
    """What was asked for cannot be done: a bad option, a bad file, nothing to compare."""

    exit_code = 2


class Regression(LenetBenchError):
    """The work was done and its result is bad: a verification or an accuracy gate failed."""

    exit_code = 1


class Disturbed(LenetBenchError):
    """The work was done, and something else had the CPUs meanwhile: under `--strict` its result counts for nothing."""

    exit_code = 3


class WorkerFailed(LenetBenchError):
    """A launch crashed, hung or broke a control; the other launches go on.

    Attributes:
        log: the end of what the worker printed.
    """

    exit_code = 3

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Build the error for a name that is not in a list, with the list and the nearest name.

    Args:
        kind: what the name stands for, as people say it ("backend").
        name: what came in.
        known: the names there are.
    """
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5) or [each for each in names if _short(name, each)]
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return InputError(f"There is no {kind} {name!r}. There are: {', '.join(names)}.{hint}")


def _short(name: str, known: str) -> bool:
    """Whether a name is short for another, as `md` is for markdown: its letters, in order, from the first on."""
    letters = iter(known)
    return len(name) > 1 and known.startswith(name[0]) and all(each in letters for each in name)
