"""`lenet-bench conform`: the conformance suite, on one backend, in its own environment."""

from __future__ import annotations

import os
import subprocess
from typing import Annotated

import typer

from harness.commands.options import Here, Pythons, parse_pythons
from harness.errors import InputError, LenetBenchError, Regression
from harness.files import shipped
from harness.runs import interpreters
from harness.runs.scratch import scratch_folder
from harness.runs.worker_process import import_folder
from harness.worker import catalogue, controls

# Read by the suite's conftest.py.
CHOSEN = "LENET_BENCH_CONFORM"
# A file of settings of our own: whatever stands above a checkout or an installation is not asked.
SETTINGS = "[pytest]\naddopts = -ra --import-mode=importlib -p no:cacheprovider\n"
# pytest's exit codes: passed, failed.
PASSED, FAILED = 0, 1


def conform(
    backend: Annotated[str, typer.Option("--backend", "-b", help="The backend that is tested.")],
    choose: Annotated[
        str, typer.Option("-k", metavar="WORDS", help="Only tests whose names fit, as pytest's -k has it.")
    ] = "",
    python: Pythons = None,
    here: Here = False,
) -> None:
    """Test all that the protocol promises, in the backend's environment; exit code 1 if it does not hold.

    The suite tests more than `verify` does: every network, optimizer and reduction, dropout, and every mode and
    precision that the backend's facts name. The environment needs pytest.

    Examples:

    - `lenet-bench conform -b mine`
    - `lenet-bench conform -b mine -k optimizers`
    """
    catalogue.facts(backend)
    found = interpreters.find(backend, given=parse_pythons(python or [], here=[backend] if here else ()))
    if interpreters.lacking(found.path, ("pytest",)):
        raise InputError(
            f"{found.path} lacks pytest, which the suite needs. Install it there: {found.path} -m pip install pytest"
        )
    with scratch_folder() as scratch:
        settings = scratch / "pytest.ini"
        settings.write_text(SETTINGS, encoding="utf-8")
        suite = shipped("conformance")
        command = [found.path, "-P", "-m", "pytest", str(suite), "-c", str(settings), f"--confcutdir={suite}"]
        command += ["-k", choose] if choose else []
        asked = controls.asked_variables(threads=1, scratch=scratch, backend=backend)
        environment, _ = controls.launch_environment(os.environ, asked, also=[backend])
        own = {"PYTHONPATH": str(import_folder(scratch, None)), CHOSEN: backend, "PYTHONDONTWRITEBYTECODE": "1"}
        code = subprocess.run(command, env=environment | own, cwd=scratch).returncode
    if code == FAILED:
        raise Regression(f"{backend} does not do all that the protocol promises: what is above says what.")
    if code != PASSED:
        raise LenetBenchError(f"The suite could not be run on {backend}: pytest ended with exit code {code}.")
