"""Starting one worker, listening to it, and making sure that it is gone afterwards."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Collection
from pathlib import Path

import backends
import harness
from harness.errors import WorkerFailed
from harness.files import FULL
from harness.runs import orphans, starting
from harness.runs.cpu_time import CpuTime, children_of, cpu_time
from harness.runs.disturbance import Seen, look
from harness.runs.messages import Message, Messages
from harness.runs.worker_log import WorkerLog, limit_files
from harness.worker import controls, facts
from harness.worker.experiment import told
from harness.worker.job import NO_MORE_TURNS, SEED_BYTES, TURN, Job

Listener = Callable[[Message], None]
# What a worker says when a turn of steady training begins, and when it is over. What is asked about it after the second
# delays nothing that is timed.
START, STEADY, STEADY_ENDED = "start", "steady", "steady ended"
# How long a worker that has said all may take to exit, and one that is killed to be gone, s.
EXIT_S, KILL_S = 0.5, 10.0


def run_job(job: Job, *, interpreter: str, folder: Path, timeout_s: float, listen: Listener) -> Message:
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
        seen: what every turn had of the CPUs; None where the system does not say.

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
        self._turn_seed = job.turn_seed
        # Whether its children are its replicas, which do a part of its work.
        self._has_replicas = facts.has_processes(job.entrant.backend, job.entrant.replicas)
        self.shares: list[tuple[float | None, float]] = []
        self.seen: list[Seen | None] = []
        self._cpus = set(job.asked.get("cpus") or ())  # type: ignore[call-overload]
        self._messages = Messages(job)
        self._mark = orphans.new_mark()
        self._oom_kills = _oom_kills()
        orphans.end_those_of_the_dead()
        self._ending = contextlib.ExitStack()
        try:
            with contextlib.ExitStack() as started:
                self._process = self._start(job, interpreter, folder, source, started)
                self._ending = started.pop_all()
        except OSError as error:
            place = f" ({error.filename})" if error.filename not in (None, interpreter) else ""
            raise WorkerFailed(f"Cannot start {interpreter}: {error.strerror}{place}.{_advice(error)}") from None
        limit_files(self._process.pid)
        orphans.started(self._process.pid)

    def _start(
        self, job: Job, interpreter: str, folder: Path, source: Path | None, opened: contextlib.ExitStack
    ) -> subprocess.Popen[bytes]:
        """Start the process; what must be closed with it is left to `opened`."""
        folder.mkdir(parents=True)
        job_file = folder / "job.json"
        job.write(job_file)
        self._log = opened.enter_context(contextlib.closing(WorkerLog(folder / "log.txt")))
        reader, writer = os.pipe()
        self._pipe = opened.enter_context(os.fdopen(reader, "rb", buffering=0))
        with os.fdopen(writer, "wb", buffering=0):
            turns, self._turns = os.pipe()
            opened.callback(os.close, self._turns)
            with os.fdopen(turns, "rb", buffering=0):
                return subprocess.Popen(
                    # -P: the launch's folder, where frameworks make folders as they like, is no place to import from.
                    [interpreter, "-P", "-m", "harness.worker", str(job_file), str(writer), str(turns)],
                    stdin=subprocess.DEVNULL,
                    stdout=self._log.descriptor,
                    stderr=subprocess.STDOUT,
                    env=_environment(job, folder, source) | {orphans.MARK: self._mark},
                    cwd=folder,
                    # A worker inherits these descriptors.
                    pass_fds=(writer, turns),
                    # A group of its own: Ctrl-C reaches the harness alone, which then ends the whole group.
                    start_new_session=True,
                )

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, if it has not ended by itself, and all that it started."""
        self._end()
        self._ending.close()

    @property
    def pid(self) -> int:
        """Its process, while it lives."""
        return self._process.pid

    def ready(self, listen: Listener) -> Message:
        """Wait until it is warm and wants its first turn, and return what it then says."""
        return self._wait_for("ready", listen)

    def move(self, cpus: Collection[int]) -> None:
        """Move it to these CPUs, which it may not leave from now on."""
        try:
            starting.move(self._process.pid, cpus)
        except OSError as error:
            raise WorkerFailed(f"It cannot be moved to CPU {cpus}: {error.strerror}.", self._log.end()) from None
        self._cpus = set(cpus)

    def turn(self, listen: Listener) -> Message:
        """Let it time a turn, wait for the end of that, and return what it then says."""
        before = look(self._cpu_time(), sorted(self._cpus))
        self._say(TURN + self._seed(len(self.seen) + 1))
        said = self._wait_for("turn ended", listen)
        after = look(self._cpu_time(), sorted(self._cpus))
        self.seen.append(before.until(after))
        self.shares.append(before.worker.shares(after.worker, after.clock - before.clock))
        return said

    def result(self, listen: Listener) -> Message:
        """Let it do all that is left, and return its result's fields."""
        self._say(NO_MORE_TURNS)
        return self._wait_for("result", listen)

    def _seed(self, turn: int) -> bytes:
        """What it is told of a turn; nothing where nobody will do it over: workers of another commit know nothing."""
        return told(self._turn_seed, turn).to_bytes(SEED_BYTES, "big") if self._turn_seed else b""

    def _cpu_time(self) -> CpuTime:
        return cpu_time(self._process.pid, adopted=orphans.adopted(self._mark), replicas=self._has_replicas)

    def _check_scheduling(self) -> None:
        """All its threads, and its replicas', are scheduled as the harness is, on the CPUs that it was given: the
        system is asked."""
        pids = [self._process.pid, *(children_of(self._process.pid) if self._has_replicas else ())]
        try:
            threads = [int(name) for pid in pids for name in os.listdir(f"/proc/{pid}/task")]
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
            raise WorkerFailed(reason, self._log.end())

    def _say(self, word: bytes) -> None:
        # One that has died is noticed by whoever waits for its answer.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._turns, word)

    def _wait_for(self, event: str, listen: Listener) -> Message:
        """Read messages until the one that is waited for; all before it go to `listen`."""
        try:
            message = self._listen(event, listen, deadline=time.monotonic() + self._timeout_s)
        except WorkerFailed as error:
            raise WorkerFailed(str(error), error.log or self._log.end()) from None
        if message is None or message["event"] != event:
            self._end()
            raise self._failure(message)
        return {key: value for key, value in message.items() if key != "event"}

    def _listen(self, event: str, listen: Listener, *, deadline: float) -> Message | None:
        """Return the awaited message, or that it failed or ended without one; None when the time is over."""
        with selectors.DefaultSelector() as selector, os.fdopen(os.pidfd_open(self._process.pid), "rb") as ended:
            selector.register(self._pipe, selectors.EVENT_READ)
            # Not waiting for the end of the pipe alone: a process that the framework forked may hold it open.
            selector.register(ended, selectors.EVENT_READ)
            # However much there is to read: the time is looked at after every message.
            while (left := deadline - time.monotonic()) > 0:
                message = self._messages.next()
                if message is None:
                    ready = [key.fileobj for key, _ in selector.select(timeout=left)]
                    chunk = self._pipe.read(65536) if self._pipe in ready else b""
                    if ready and not chunk:
                        return {"event": "closed"}
                    self._messages.add(chunk)
                elif message["event"] in (event, "failed"):
                    self._log.keep_short()
                    return message
                else:
                    self._hear(message, listen)
        return None

    def _hear(self, message: Message, listen: Listener) -> None:
        """Pass on a message that nobody waits for."""
        if message["event"] in ("ready", "turn ended", "result"):
            raise WorkerFailed(f"It said {message['event']!r} before it was its turn to.")
        listen(message)
        name = message.get("name")
        if name == STEADY_ENDED:
            self._check_scheduling()
        if name not in (START, STEADY):
            self._log.keep_short()

    def _end(self) -> None:
        """Kill the worker's whole process group, children included, and whatever left it; reap the worker."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            # A worker that has said all is about to exit by itself; give it a moment, then insist.
            self._process.wait(timeout=EXIT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        # One that hangs in the kernel ends when the kernel lets it; the run goes on.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=KILL_S)
        orphans.ended(self._process.pid, self._mark)

    def _failure(self, message: Message | None) -> WorkerFailed:
        """Why there is no answer: the time is over (None), the worker said so, or it ended."""
        code = self._process.returncode
        if message is None:
            reason = f"It did not finish within {self._timeout_s:g} s (--launch-timeout) and was killed."
        elif "message" in message:
            reason = message["message"]
        else:
            how = f"signal {_name(-code)}" if code and code < 0 else f"exit code {code}"
            reason = f"The process ended with {how} and no result."
            if code == -signal.SIGKILL:
                reason += _why_killed(self._oom_kills, _oom_kills())
        return WorkerFailed(reason + self._log.disk(), self._log.end())


def _name(number: int) -> str:
    """A signal's name; its number where it has none."""
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return str(number)


def _oom_kills(file: Path = Path("/proc/vmstat")) -> int | None:
    """How often the kernel has killed a process because memory ran out; None where it does not say."""
    try:
        counts = dict(line.split() for line in file.read_text().splitlines())
        return int(counts["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None


def _why_killed(before: int | None, after: int | None) -> str:
    if before is None or after is None:
        return " The kernel does that where memory runs out (dmesg says so): smaller batches need less."
    if after > before:
        return " Memory ran out, and the kernel killed it (OOM, oom_kill in /proc/vmstat): smaller batches need less."
    return " Somebody killed it: the kernel has killed nothing for lack of memory meanwhile."


def _advice(error: OSError) -> str:
    return " Set TMPDIR to a folder with room." if error.errno in (*FULL, errno.EROFS) else ""


def _environment(job: Job, folder: Path, source: Path | None) -> dict[str, str]:
    environment = os.environ.copy()
    if job.asked:
        environment, _ = controls.launch_environment(os.environ, _variables(job), also=[job.entrant.backend])
    return environment | {"PYTHONPATH": str(import_folder(folder, source))}


def _variables(job: Job) -> dict[str, str]:
    variables = job.asked["environment"]
    assert isinstance(variables, dict)
    return variables


def import_folder(folder: Path, source: Path | None) -> Path:
    """Make a folder that holds our two packages and nothing else, so that no package of ours or of the harness's
    environment can stand in for one of the worker's. They are those in `source`, or these here."""
    imports = folder / "import"
    imports.mkdir()
    for package in (harness, backends):
        here = Path(str(package.__file__)).resolve().parent
        (imports / here.name).symlink_to(source / here.name if source else here, target_is_directory=True)
    return imports
