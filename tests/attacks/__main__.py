"""`nox -s attacks`: try all attacks, print a table; exit code 1 where one passed that is expected to be refused."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.attacks import record
from tests.attacks.trial import EVERYWHERE, KINDS, Trial, Trying


def main() -> int:
    """Try what is asked for."""
    options = _options()
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="lenet-bench-attacks-") as folder:
        trying = Trying(Path(folder), data_set=options.data_set, verified=not options.unverified, echo=options.verbose)
        for framework in options.backend.split(","):
            for kind in options.kind.split(","):
                names = [name for name, attack in KINDS[kind].items() if framework in attack.backends]
                names = [name for name in names if any(part in name for part in options.keyword.split(","))]
                for trial in trying.each(kind, framework, names):
                    trials.append(trial)
                    print(_line(trial), flush=True)
                    if options.write:
                        record.write([trial])
    print(record.summary(trials))
    return 0 if all(trial.as_expected for trial in trials) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s attacks --", description=__doc__)
    everywhere = ",".join(name for name in EVERYWHERE if name != "numpy")
    parser.add_argument("-b", "--backend", default=everywhere, help=f"frameworks, with commas [{everywhere}], or numpy")
    parser.add_argument(
        "-k", "--keyword", default="", help="only attacks that have one of these, with commas, in their names"
    )
    parser.add_argument("--kind", default=",".join(KINDS), help="mistakes, cheats or both")
    parser.add_argument("--data-set", default="", help="in place of MNIST")
    parser.add_argument("--unverified", action="store_true", help="do not verify cheats first: half the time")
    parser.add_argument("--write", action="store_true", help="keep the outcomes, and write docs/attacks.md")
    parser.add_argument("--verbose", action="store_true", help="print what the commands say")
    return parser.parse_args()


def _line(trial: Trial) -> str:
    word = {True: "refused", False: "PASSED", None: "NO ANSWER"}[trial.refused]
    if not trial.refused and trial.as_expected:
        word = "passed, as expected"
    return f"{trial.framework:10} {trial.kind[:-1]:8} {trial.name:34} {word:10} {trial.by}"


if __name__ == "__main__":
    sys.exit(main())
