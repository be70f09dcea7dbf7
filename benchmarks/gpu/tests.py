"""Stage `tests`: tests/gpu in each framework's interpreter, both at once; each test's outcome as it was printed."""

from __future__ import annotations

import re

from benchmarks.gpu.commands import Command, Ended, run_all
from benchmarks.gpu.pythons import python_of
from benchmarks.gpu.trial import FRAMEWORKS, Cell, Trial, keeping_compiled


def run_tests(trial: Trial) -> None:
    """Run them; what fails is a problem with the first line of its message."""
    rows: list[list[Cell]] = []

    def ended(command: Command, how: Ended) -> None:
        outcomes = read_outcomes(how.output)
        if how.code is None:
            trial.problem(f"The tests of {command.name} were cut off after {how.seconds:.0f} s.")
        elif not outcomes:
            trial.problem(f"No test of {command.name} was run: {how.last_words}")
        for test, outcome, message in outcomes:
            rows.append([command.name, test, outcome, message])
            if outcome in ("failed", "error"):
                trial.problem(f"{command.name} {test} {outcome}: {message}")
        trial.table("Tests", ["backend", "test", "outcome", "message"], rows)

    run_all([_command(name, trial) for name in FRAMEWORKS], trial, width=len(FRAMEWORKS), ended=ended)


def _command(name: str, trial: Trial) -> Command:
    # Whatever plugins this machine has have no part in it, and what frameworks warn of is not ours to mend.
    options = ("-v", "-ra", "--tb=short", "-p", "no:cacheprovider", "-o", "filterwarnings=default")
    variables = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "LENET_BENCH_TEST_DEVICE": trial.device,
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    } | keeping_compiled(trial.out)  # fmt: skip
    arguments = ("-m", "pytest", "tests/gpu", "--backend", name, *options)
    return Command(name, arguments, python=python_of(name, trial), variables=variables)


def read_outcomes(output: str) -> list[tuple[str, str, str]]:
    """Name, outcome (passed, failed, skipped, error) and reason of every test in what `pytest -v -ra` printed.

    Tests are printed as they end, so those of a session that was cut off are there; reasons come at its end.
    """
    reasons = dict(re.findall(r"^(?:FAILED|ERROR) (\S+) - (.*)$", output, re.MULTILINE))
    lines = re.findall(r"^(\S+::\S+) (PASSED|FAILED|SKIPPED|ERROR)(?: \((.*?)\))?", output, re.MULTILINE)
    return [(test.rpartition("/")[2], outcome.lower(), reasons.get(test, why)) for test, outcome, why in lines]
