"""`nox -s fuzz`: give all readers of what comes from outside inputs that nobody meant; exit code 1 on a finding."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.files import ROOT
from tests.fuzz.targets import CORPUS, TARGETS, found

# The files that readers are given are here, where there is such a folder.
MEMORY = "/dev/shm"
# Of one input by the clock, which hangs alone reach (`targets.MOST_CPU_S` is for slow ones); and of the process, which
# has 200 MB before the first.
MOST_S, MOST_MB, MOST_BYTES = 300, 1024, 8192


@dataclass(frozen=True)
class Fuzzed:
    """What came of one reader.

    Attributes:
        finding: what it did, and the file that has the input; empty for nothing.
    """

    name: str
    inputs: int
    seconds: float
    most_mb: int
    finding: str


def main() -> int:
    """Fuzz what is asked for."""
    options = _options()
    names = options.reader.split(",")
    print("| reader | inputs | inputs/s | most MB | finding |\n| --- | ---: | ---: | ---: | --- |", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        results = [pool.submit(fuzz, name, options.inputs, options.seconds, options.seed) for name in names]
        good = True
        for each in results:
            got = each.result()
            good &= not got.finding
            rate = got.inputs / got.seconds
            print(f"| {got.name} | {got.inputs:,} | {rate:,.0f} | {got.most_mb} | {got.finding or '-'} |", flush=True)
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s fuzz --", description=__doc__)
    parser.add_argument("--reader", default=",".join(TARGETS), help="readers, with commas [all]: %(default)s")
    parser.add_argument("--inputs", type=int, help="of each reader [a million of bytes, 200,000 of text]")
    parser.add_argument("--seconds", type=int, default=0, help="for each reader at the most [0: no limit]")
    parser.add_argument("--seed", type=int, default=0, help="of the fuzzer [%(default)s: drawn]")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="readers at once [%(default)s]")
    return parser.parse_args()


def fuzz(name: str, inputs: int | None, seconds: int, seed: int) -> Fuzzed:
    """Fuzz one reader, in a process of its own; what is found is kept in `corpus/<reader>/`, to be tried ever after."""
    target, kept = TARGETS[name], CORPUS / name
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="lenet-bench-fuzz-", dir=memory) as scratch:
        folder = Path(scratch, "inputs")
        folder.mkdir()
        for number, content in enumerate([*target.seeds(), *(path.read_bytes() for path in found(name))]):
            (folder / f"{number}").write_bytes(content)
        words = Path(scratch, "words")
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
        # An empty one is no dictionary.
        dictionary = [f"-dict={words}"] if target.words else []
        command = [
            sys.executable, "-m", "tests.fuzz.one", name, str(folder), f"-runs={inputs or target.inputs}",
            f"-max_total_time={seconds}", f"-max_len={MOST_BYTES}", f"-timeout={MOST_S}", f"-rss_limit_mb={MOST_MB}",
            f"-artifact_prefix={scratch}/", f"-seed={seed}", "-print_final_stats=1", *dictionary,
        ]  # fmt: skip
        start = time.monotonic()
        ended = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"TMPDIR": scratch}, capture_output=True, text=True, errors="replace"
        )
        took = time.monotonic() - start
        finding = _finding(ended, Path(scratch), kept) if ended.returncode else ""
    return Fuzzed(name, _stat(ended, "number_of_executed_units"), took, _stat(ended, "peak_rss_mb"), finding)


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


def _stat(ended: subprocess.CompletedProcess[str], name: str) -> int:
    told = re.search(rf"stat::{name}:\s*(\d+)", ended.stderr)
    return int(told[1]) if told else 0


def _finding(ended: subprocess.CompletedProcess[str], scratch: Path, kept: Path) -> str:
    """What was found, in a line; its input is put into the corpus."""
    said = [line.strip() for line in (ended.stdout + ended.stderr).splitlines()]
    errors = [
        line for line in said if re.match(r"[\w.]*(Error|Exception|Interrupt)\b|ERROR: |ALARM: ", line.strip("= "))
    ]
    files = [path for path in scratch.glob("*-*") if path.is_file()]
    for path in files:
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, kept / path.name[:20])
    return f"{(errors or said or ['no words'])[0][:160]} ({', '.join(str(kept / path.name[:20]) for path in files)})"


if __name__ == "__main__":
    sys.exit(main())
