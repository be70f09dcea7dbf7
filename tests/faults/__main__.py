"""`nox -s faults`: bring about all faults, print a table; exit code 1 where anything in it is not 0."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import record
from tests.faults.outcome import Tally
from tests.faults.trying import FAMILIES, OUT_OF_TIME, all_cases, attempt_all


def main() -> int:
    """Try what is asked for."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = _options()
    cases = [
        case
        for case in all_cases(kills=options.kills, torch_kills=options.torch_kills, quick=options.quick)
        if case.family in options.family.split(",") and any(part in case.fault for part in options.keyword.split(","))
    ]
    print(f"{len(cases)} faults, seed {options.seed}", file=sys.stderr)
    folder, start = Path(tempfile.mkdtemp(prefix="lenet-bench-faults-")), time.monotonic()
    try:
        tallies = attempt_all(
            cases, folder, seed=options.seed, jobs=options.jobs, tell=_tell, times=options.times,
            limit_s=60 * options.minutes,
        )  # fmt: skip
    except RuntimeError as reason:
        sys.exit(f"Nothing can be tried: {reason}")
    finally:
        if options.keep:
            print(f"Kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    took = time.monotonic() - start
    print(record.table(tallies))
    print("\n".join(record.notes(tallies)))
    print(f"{sum(tally.tries for tally in tallies)} tries in {took / 60:.1f} minutes, seed {options.seed}.")
    if options.write:
        record.write(tallies, command=f"nox -s faults -- {' '.join(sys.argv[1:])}".strip(" -"), took_s=took)
    return 0 if all(tally.outcome.good and tally.skipped != OUT_OF_TIME for tally in tallies) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s faults --", description=__doc__)
    parser.add_argument("--family", default=",".join(FAMILIES), help="families, with commas [all]: %(default)s")
    parser.add_argument("-k", "--keyword", default="", help="only faults that have one of these, with commas, in them")
    parser.add_argument("--quick", action="store_true", help="what CI tries, once each")
    parser.add_argument("--kills", type=int, default=240, help="of the harness, before a resume [%(default)s]")
    parser.add_argument("--torch-kills", type=int, default=8, help="of runs with PyTorch [%(default)s]")
    parser.add_argument("--times", type=int, help="of each fault [some twice or more]")
    parser.add_argument("--minutes", type=float, default=15, help="after which nothing more is begun [%(default)s]")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the moments [drawn]")
    # One more than CPUs: runs wait for disks and for processes to end.
    cpus = len(os.sched_getaffinity(0))
    parser.add_argument("--jobs", type=int, default=cpus + 1, help="at once [%(default)s]")
    parser.add_argument("--keep", action="store_true", help="keep the folder of all tries")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    return parser.parse_args()


def _tell(done: int, of: int, tally: Tally | None) -> None:
    """Progress: a line that is written over on a terminal, and what went wrong as it does."""
    if tally is not None and not tally.outcome.good:
        print(f"\r\033[K{tally.fault}: {tally.outcome.notes[-1]}"[:300], file=sys.stderr)
    if sys.stderr.isatty():
        filled = 40 * done // max(of, 1)
        print(f"\r\033[K[{'#' * filled}{'.' * (40 - filled)}] {done} of {of}", end="", file=sys.stderr, flush=True)
        if done == of:
            print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
