"""`lenet-bench init`: writes lenet-bench.toml, with comments, for `settings` to read."""

from __future__ import annotations

import json
from typing import Annotated

import typer

import harness
from harness.commands.options import Backends
from harness.commands.settings import FILE
from harness.errors import InputError
from harness.files import write_text_atomically
from harness.runs import interpreters
from harness.runs.entrants import parse_backends
from harness.worker import catalogue

TEMPLATE = """\
# What `lenet-bench run`, `gate` and `report` do in this folder. An option on the command line wins.
# A key is an option's name without its dashes; `lenet-bench run --help` explains each of them.
# Take the "# " away before a key to use it. Written by lenet-bench {version}.

[run]
# Who takes part: backends, and their modes where these are not the default ones ("all" is every mode).
backend = {backends}
# mode = "{first}:{mode}"
# The entrant that all others are compared with; without this key the fastest.
# base = "{first} {mode}"

# For how long: "quick", "standard" (ten minutes) or "thorough" (an hour).
preset = "standard"
# The same in numbers, where those of the preset do not suit. Rounds are added until every interval is narrower than
# so many percent, or until so many seconds are over.
# precision = 2.0
# budget = 600
# Exactly so many rounds, whatever precision and budget.
# rounds = 5
# Epochs of the training for the accuracy, once all is timed; 0 for none.
# epochs = 5

# What is timed: network, data set, threads and batch size; the last two may be lists.
# network = "lenet5"
# data-set = "mnist"
# threads = [1, 2]
# batch-size = 64
# Exit code 3 where something disturbed the timing.
# strict = true

[gate]
backend = {backends}
# The brief training: so many epochs from so many seeds. More seeds notice a smaller loss of accuracy.
epochs = 2
seeds = 2
# The baseline that accuracies are compared with; without this key the one here, else lenet-bench's own.
# baseline = "results/baselines/accuracy.csv"
# Also prove the arithmetic of what has no certificate yet.
# verify = true
# Also compare the speed of this code with that of another commit (needs the repository of lenet-bench).
# speed = true
# against = "main"
# So many percent slower still passes.
margin = 5.0
# For so many seconds a backend at most, or in exactly so many rounds.
# budget = 300
# rounds = 6
# The verdict "cannot tell" fails.
# strict = true

[report]
# base = "{first} {mode}"
# For strangers: no paths, no packages, no words of errors.
# share = true
# Also write figures as files: the folder, and the formats (needs Chromium and the extra `figures`).
# figures = "figures"
# format = ["svg", "png"]
"""


def init(
    backend: Backends = None,  # type: ignore[assignment]
    force: Annotated[bool, typer.Option("--force", help="Write over the file that is there.")] = False,
) -> None:
    """Write lenet-bench.toml, with comments: what `run`, `gate` and `report` do in this folder.

    Each of these commands reads the file from the folder that it is called in, and says what it took. An option on the
    command line wins over the file. --preset also sets aside the file's rounds, precision, budget, epochs, seeds and
    steady-s; --backend sets aside its mode and base. Without --backend, `init` writes the frameworks that are
    installed.

    Examples:

    - `lenet-bench init`
    - `lenet-bench init -b torch,jax`
    - `lenet-bench init -b all --force`
    """
    if FILE.exists() and not force:
        raise InputError(f"{FILE} is there already, and was left as it is. Give --force to write it anew.")
    names = parse_backends(backend) if backend else _installed()
    first = names[0]
    text = TEMPLATE.format(
        version=harness.__version__,
        backends=json.dumps(names),
        first=first,
        mode=next(iter(catalogue.modes(first, "cpu"))),
    )
    write_text_atomically(FILE, text)
    print(f"Wrote {FILE}: {', '.join(names)}.")
    print("next: lenet-bench run")


def _installed() -> list[str]:
    """The frameworks that are here; the first of all where none is."""
    found = [name for name in interpreters.installed({}) if name in catalogue.FRAMEWORKS]
    return found or [catalogue.FRAMEWORKS[0]]
