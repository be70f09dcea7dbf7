"""Starting one worker, listening to it, and making sure that it is gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backends
import harness
from harness.errors import WorkerFailed
from harness.runs.cpu_time import cpu_time
from harness.worker import controls
from harness.worker.job import NO_MORE_TURNS, TURN, Job

Listener = Callable[[dict[str, Any]], None]
LOG_LINES = 12
# What a worker says when a turn of steady training is over: what is asked about it now delays nothing that is timed.
STEADY_ENDED = "steady ended"


def run_job(job: Job, *, interpreter: str, folder: Path, timeout_s: float, listen: Listener) -> dict[str, Any]:
    """Run one job in a fresh process, all at once, and return its result's fields.

    Args:
        folder: an empty folder for this launch: job, log, temporary files, caches.
        timeout_s: a worker that lives longer is killed.
        listen: called with every message but the last (`phase`, `progress`, `epoch`).

    Raises:
        WorkerFailed: it crashed, hung or refused; with the end of its log.
    """
    with WorkerProcess(job, interpreter=interpreter, folder=folder, timeout_s=timeout_s) as worker:
        return worker.result(listen)


class WorkerProcess:
    """A process at work on one job, which may be let go on turn by turn.

    Whoever waits here sleeps in `select` until the worker speaks: that takes no CPU from what is timed. A worker that
    waits for its turn sleeps in `read`.

    Attributes:
        shares: of every turn's time that it was at work itself, and that its children were (`harness.runs.cpu_time`).

    Every method raises WorkerFailed where the worker crashed, hung or refused, with the end of its log.
    """

    def __init__(
        self, job: Job, *, interpreter: str, folder: Path, timeout_s: float, source: Path | None = None
    ) -> None:
        """Start it.

        Args:
            folder: an empty folder for this launch: job, log, temporary files, caches.
            timeout_s: how long each wait for it may take; then it is killed.
            source: a folder with the `harness` and `backends` that the worker runs; None for this code.
        """
        self._timeout_s = timeout_s
        self.shares: list[tuple[float | None, float]] = []
        self._cpus = set(job.asked.get("cpus") or ())  # type: ignore[call-overload]
        folder.mkdir(parents=True)
        job_file, self._log_file = folder / "job.json", folder / "log.txt"
        job.write(job_file)
        reader, writer = os.pipe()
        turns, self._turns = os.pipe()
        self._pipe = os.fdopen(reader, "rb", buffering=0)
        self._buffer = b""
        try:
            # -P: the launch's folder, where frameworks make folders as they like, is no place to import from.
            command = [interpreter, "-P", "-m", "harness.worker", str(job_file), str(writer), str(turns)]
            environment = _environment(job, folder, source)
            self._process = _start(command, environment=environment, log_file=self._log_file, keep=(writer, turns))
        except BaseException:
            self._close_pipes()
            raise
        finally:
            os.close(writer)
            os.close(turns)

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, if it has not ended by itself."""
        _end(self._process)
        self._close_pipes()

    def ready(self, listen: Listener) -> None:
        """Wait until it is warm and wants its first turn."""
        self._wait_for("ready", listen)

    def turn(self, listen: Listener) -> dict[str, Any]:
        """Let it time a turn, wait for the end of that, and return what it then says."""
        before, start = cpu_time(self._process.pid), time.monotonic()
        self._say(TURN)
        said = self._wait_for("turn ended", listen)
        seconds = time.monotonic() - start
        self.shares.append(before.shares(cpu_time(self._process.pid), seconds))
        return said

    def result(self, listen: Listener) -> dict[str, Any]:
        """Let it do all that is left, and return its result's fields."""
        self._say(NO_MORE_TURNS)
        return self._wait_for("result", listen)

    def _check_scheduling(self) -> None:
        """All its threads are scheduled as the harness is, on the CPUs that it was given: the system is asked."""
        try:
            threads = [int(name) for name in os.listdir(f"/proc/{self._process.pid}/task")]
            found = {(os.sched_getscheduler(each), os.getpriority(os.PRIO_PROCESS, each)) for each in threads}
            cpus = {cpu for each in threads for cpu in os.sched_getaffinity(each)}
        except OSError:
            # A thread that has just ended; and a process that has died is noticed by whoever waits for its answer.
            return
        reason = ""
        if found != {(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))}:
            reason = (
                "It changed how it is scheduled (class or niceness): what it takes from others is no speed of its own."
            )
        elif self._cpus and not cpus <= self._cpus:
            given, left = (", ".join(map(str, sorted(each))) for each in (self._cpus, cpus))
            reason = f"It left the CPUs that it was given ({given}): its threads may run on {left}."
        if reason:
            raise WorkerFailed(reason, _log_end(self._log_file))

    def _say(self, word: bytes) -> None:
        # One that has died is noticed by whoever waits for its answer.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._turns, word)

    def _wait_for(self, event: str, listen: Listener) -> dict[str, Any]:
        """Read messages until the one that is waited for; all before it go to `listen`."""
        message = self._listen(event, listen, deadline=time.monotonic() + self._timeout_s)
        if message is None or message["event"] != event:
            _end(self._process)
            raise _failure(message, self._process.returncode, self._log_file, self._timeout_s)
        return {key: value for key, value in message.items() if key != "event"}

    def _listen(self, event: str, listen: Listener, *, deadline: float) -> dict[str, Any] | None:
        """Return the awaited message, or that it failed or ended without one; None when the time is over."""
        with selectors.DefaultSelector() as selector, os.fdopen(os.pidfd_open(self._process.pid), "rb") as ended:
            selector.register(self._pipe, selectors.EVENT_READ)
            # Not waiting for the end of the pipe alone: a process that the framework forked may hold it open.
            selector.register(ended, selectors.EVENT_READ)
            while True:
                while b"\n" in self._buffer:
                    line, _, self._buffer = self._buffer.partition(b"\n")
                    message: dict[str, Any] = json.loads(line)
                    if message["event"] in (event, "failed"):
                        return message
                    listen(message)
                    if message.get("name") == STEADY_ENDED:
                        self._check_scheduling()
                ready = [key.fileobj for key, _ in selector.select(timeout=max(0.0, deadline - time.monotonic()))]
                if not ready:
                    return None
                chunk = self._pipe.read(65536) if self._pipe in ready else b""
                if not chunk:
                    return {"event": "closed"}
                self._buffer += chunk

    def _close_pipes(self) -> None:
        self._pipe.close()
        os.close(self._turns)


def _start(
    command: list[str], *, environment: dict[str, str], log_file: Path, keep: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    """Start the worker; `keep` are the file descriptors that it inherits."""
    try:
        with log_file.open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=log_file.parent,
                pass_fds=keep,
                # A group of its own: Ctrl-C reaches the harness alone, which then ends the whole group.
                start_new_session=True,
            )
    except OSError as error:
        raise WorkerFailed(f"Cannot start {command[0]}: {error.strerror}.") from None


def _environment(job: Job, folder: Path, source: Path | None) -> dict[str, str]:
    environment = os.environ.copy()
    if job.asked:
        environment, _ = controls.launch_environment(os.environ, _variables(job))
    return environment | {"PYTHONPATH": str(_import_folder(folder, source))}


def _variables(job: Job) -> dict[str, str]:
    variables = job.asked["environment"]
    assert isinstance(variables, dict)
    return variables


def _import_folder(folder: Path, source: Path | None) -> Path:
    """Make a folder that holds our two packages and nothing else, so that no package of ours or of the harness's
    environment can stand in for one of the worker's. They are those in `source`, or these here."""
    imports = folder / "import"
    imports.mkdir()
    for package in (harness, backends):
        here = Path(str(package.__file__)).resolve().parent
        (imports / here.name).symlink_to(source / here.name if source else here, target_is_directory=True)
    return imports


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the worker's whole process group, children included, and reap the worker."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        # A worker that has said all is about to exit by itself; give it a moment, then insist.
        process.wait(timeout=0.5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failure(message: dict[str, Any] | None, code: int | None, log_file: Path, timeout_s: float) -> WorkerFailed:
    """Why there is no answer: the time is over (None), the worker said so, or it ended."""
    if message is None:
        reason = f"It did not finish within {timeout_s:g} s (--launch-timeout) and was killed."
    elif "message" in message:
        reason = message["message"]
    else:
        signal_name = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        reason = f"The process ended with {signal_name} and no result."
        if code == -signal.SIGKILL:
            reason += " The kernel does that where memory runs out (dmesg says so): smaller batches need less."
    return WorkerFailed(reason, _log_end(log_file))


def _log_end(log_file: Path) -> str:
    lines = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join(lines[-LOG_LINES:])
