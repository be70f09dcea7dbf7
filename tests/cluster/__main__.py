"""`nox -s cluster-kills`: 500 short rounds on two nodes, 20 of which are killed outright, the command twice."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.kills import Trial, carry_out, faults


def main() -> int:
    """Carry it out, and say what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="of each of five cells")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--commands-killed", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cluster-kills-") as place:
        trial, begun = Trial(Path(place), seeds=5, rounds=asked.rounds), time.monotonic()
        code = carry_out(
            trial, kills=asked.kills, commands_killed=asked.commands_killed, seed=asked.seed,
            say=lambda text: print(text, flush=True),
        )  # fmt: skip
        found = faults(trial)
        nodes = sum(what != "command" for what, _ in trial.killed)
        print(
            f"{len(trial.rows())} rows of {trial.wanted}; killed: {nodes} nodes, {len(trial.killed) - nodes} commands; "
            f"exit code {code}, {time.monotonic() - begun:.0f} s"
        )
        for each in found:
            print(f"FAULT: {each}")
        if code or found:
            print((trial.folder / "tests.faults.small.log").read_text()[-3000:])
    return 1 if found or code else 0


if __name__ == "__main__":
    sys.exit(main())
