"""Where a try happens: folders of its own, runs that are started there, and what they leave."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tests.faults.outcome import Outcome
from tests.faults.preloaded import ROOT, Ended, Preloaded
from tests.faults.small import SMALL

MARK = "LENET_FAULTS_MARK"
BACKENDS = Path(__file__).parent / "backends"
# Seconds that a run of a few launches has, on a machine that has other work; and its descendants once it has ended.
LIMIT_S, GRACE_S = 150.0, 4.0
# Of the user's environment, what no run gets: settings of ours, and what has every worker compile our code again.
NOT_KEPT = ("LENET_", "COV_", "PYTHONDONTWRITEBYTECODE")
# Bytes that the harness may have of memory: it has 250 MB with pandas, SciPy and a small data set.
MOST_BYTES = 1 << 30


def base_environment(folder: Path) -> dict[str, str]:
    """The environment of all runs: no cache, map or data set of the user's; `small.npz` in the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_KEPT)}
    (folder / "interpreters.json").write_text("{}")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return kept | threads | {
        "PYTHONPATH": str(ROOT), "COLUMNS": "200", "TERM": "dumb", SMALL: str(folder / "small.npz"),
        "LENET_BENCH_BACKENDS": str(BACKENDS), "LENET_BENCH_INTERPRETERS": str(folder / "interpreters.json"),
        "LENET_BENCH_OFFLINE": "1",
    }  # fmt: skip


class Running:
    """A run under way, forked or fresh."""

    def __init__(self, pid: int, wait: Callable[[float], Ended | None], err: Path, out: Path) -> None:
        self.pid, self._wait, self.err, self.out = pid, wait, err, out
        self.ended: Ended | None = None

    def wait(self, timeout_s: float) -> Ended | None:
        """How it ended; None where it has not within the time."""
        if self.ended is None:
            self.ended = self._wait(timeout_s)
        return self.ended

    def send(self, number: int) -> bool:
        """Send a signal; false where it has ended already."""
        if self.ended is not None or self.wait(0) is not None:
            return False
        os.kill(self.pid, number)
        return True

    @property
    def said(self) -> str:
        """All that it printed."""
        return "".join(each.read_text(errors="replace") for each in (self.out, self.err) if each.is_file())


class Place:
    """One try's folders, and what is found wrong in it."""

    def __init__(self, folder: Path, preloaded: Preloaded, environment: dict[str, str]) -> None:
        self.folder, self._preloaded = folder, preloaded
        self.outcome = Outcome()
        self.mark = secrets.token_hex(8)
        self.results, self.temporary, self.cache = folder / "results", folder / "tmp", folder / "cache"
        for each in (self.results, self.temporary, self.cache, folder / "home"):
            each.mkdir(parents=True)
        self.environment = environment | {
            MARK: self.mark, "TMPDIR": str(self.temporary), "LENET_BENCH_CACHE": str(self.cache),
            "HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "home" / "state"),
            "XDG_CACHE_HOME": str(folder / "home" / "cache"), "XDG_RUNTIME_DIR": str(folder / "home"),
        }  # fmt: skip
        self._count = 0

    def start(self, *arguments: str, **variables: str) -> Running:
        """Start a command in a process that is forked from one that has imported it."""
        out, err = self._files()
        pid = self._preloaded.start(
            list(arguments), environment=self.environment | variables, folder=self.folder, out=out, err=err
        )
        return Running(pid, lambda timeout_s: self._preloaded.wait(pid, timeout_s), err, out)

    def fresh(self, *arguments: str, shell: str = "", **variables: str) -> Running:
        """Start a command in a process of its own.

        Args:
            shell: what a shell does with it, `$COMMAND` being the command: `$COMMAND | head -1`.
        """
        out, err = self._files()
        command = [sys.executable, "-m", "tests.faults.small", *arguments]
        if shell:
            line = " ".join(f"'{word}'" for word in command)
            command = ["bash", "-c", shell.replace("$COMMAND", line)]
        with out.open("wb") as to_out, err.open("wb") as to_err:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err, cwd=self.folder,
                env=self.environment | variables, start_new_session=True,
            )  # fmt: skip

        def wait(timeout_s: float) -> Ended | None:
            with suppress(subprocess.TimeoutExpired):
                return Ended(process.wait(timeout_s), 0)
            return None

        return Running(process.pid, wait, err, out)

    def _files(self) -> tuple[Path, Path]:
        self._count += 1
        return self.folder / f"{self._count}.out", self.folder / f"{self._count}.err"

    def finish(self, run: Running, *, right: tuple[int, ...] = (0,), limit_s: float = LIMIT_S, what: str = "") -> int:
        """Wait for the end of a run, and count what is wrong about it; return its exit code.

        Args:
            right: exit codes that are.
            what: it was that ran, for the notes.
        """
        ended = run.wait(limit_s)
        if ended is None:
            self.outcome.count("hangs", f"{what} did not end within {limit_s:g} s")
            with suppress(ProcessLookupError):
                os.kill(run.pid, signal.SIGKILL)
            ended = run.wait(10) or Ended(-signal.SIGKILL, 0)
        elif ended.code not in right:
            self.outcome.count("endings", f"{what} ended with {ended.code}: {last_line(run.said)}")
        if ended.most_bytes > MOST_BYTES:
            self.outcome.count("endings", f"{what} had {ended.most_bytes / 2**20:,.0f} MiB of memory")
        self.look(run, what)
        self.no_orphans(what)
        return ended.code

    def look(self, run: Running, what: str) -> None:
        """Count tracebacks in what a run printed."""
        said = run.said
        if "Traceback (most recent call last)" in said or "Exception ignored in" in said:
            self.outcome.count("tracebacks", f"{what}: {last_line(said)}")

    def no_orphans(self, what: str) -> None:
        """Count processes that still have this try's mark, and end them."""
        end = time.monotonic() + GRACE_S
        while found := list(self.alive()):
            if time.monotonic() > end:
                self.outcome.count("orphans", f"{what} left {', '.join(map(command_of, found))}", len(found))
                break
            time.sleep(0.05)
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def alive(self) -> Iterator[int]:
        """Processes that inherited this try's mark, but for those that have ended and are not reaped."""
        mark = f"{MARK}={self.mark}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes() and b"\nState:\tZ" not in (entry / "status").read_bytes():
                    yield int(entry.name)

    def nothing_left(self, *folders: Path) -> None:
        """Count files that a finished run has no use for: in TMPDIR, and hidden ones beside its tables."""
        left = [each.name for each in self.temporary.iterdir()]
        # A lock may stay as a file: it is its holder that vanishes.
        hidden = [path.name for folder in folders for path in folder.glob(".*") if not path.name.endswith(".lock")]
        self.outcome.count("left", ", ".join((left + hidden)[:4]), len(left + hidden))


def last_line(said: str) -> str:
    """The last that was printed."""
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "it said nothing"


def command_of(pid: int) -> str:
    """A process in a few words."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(bytes(1), b" ")
        return f"{pid} {words.decode(errors='replace')[:80]}"
    return str(pid)
