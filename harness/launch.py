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
from harness import controls
from harness.errors import WorkerFailed
from harness.job import Job

Listener = Callable[[dict[str, Any]], None]
LOG_LINES = 12


def launch(job: Job, *, interpreter: str, folder: Path, timeout_s: float, listen: Listener) -> dict[str, Any]:
    """Run one job in a fresh process and return its result's fields.

    The process that waits here sleeps in `select` until the worker speaks: it takes no CPU from what is timed.

    Args:
        folder: an empty folder for this launch: job, log, temporary files, caches.
        timeout_s: a worker that lives longer is killed.
        listen: called with every message but the last (`phase`, `progress`, `epoch`).

    Raises:
        WorkerFailed: it crashed, hung or refused; with the end of its log.
    """
    folder.mkdir(parents=True)
    job_file, log_file = folder / "job.json", folder / "log.txt"
    job.write(job_file)
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        try:
            # -P: the launch's folder, where frameworks make folders as they like, is no place to import from.
            command = [interpreter, "-P", "-m", "harness.worker", str(job_file), str(writer)]
            process = _start(command, environment=_environment(job, folder), log_file=log_file, keep=writer)
        finally:
            os.close(writer)
        try:
            result = _listen(pipe, process.pid, listen, deadline=time.monotonic() + timeout_s)
        finally:
            _end(process)
    return _judge(result, process.returncode, log_file, timeout_s)


def _start(command: list[str], *, environment: dict[str, str], log_file: Path, keep: int) -> subprocess.Popen[bytes]:
    """Start the worker; `keep` is the one file descriptor that it inherits."""
    try:
        with log_file.open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=log_file.parent,
                pass_fds=[keep],
                # A group of its own: Ctrl-C reaches the harness alone, which then ends the whole group.
                start_new_session=True,
            )
    except OSError as error:
        raise WorkerFailed(f"Cannot start {command[0]}: {error.strerror}.") from None


def _environment(job: Job, folder: Path) -> dict[str, str]:
    environment = os.environ.copy()
    if job.asked:
        environment, _ = controls.launch_environment(os.environ, _variables(job))
    return environment | {"PYTHONPATH": str(_import_folder(folder))}


def _variables(job: Job) -> dict[str, str]:
    variables = job.asked["environment"]
    assert isinstance(variables, dict)
    return variables


def _import_folder(folder: Path) -> Path:
    """Make a folder that holds our two packages and nothing else, so that no package of ours or of the harness's
    environment can stand in for one of the worker's."""
    imports = folder / "import"
    imports.mkdir()
    for package in (harness, backends):
        source = Path(str(package.__file__)).resolve().parent
        (imports / source.name).symlink_to(source, target_is_directory=True)
    return imports


def _listen(pipe: Any, pid: int, listen: Listener, *, deadline: float) -> dict[str, Any] | None:
    """Read messages until the worker has its result, ends without one, or the time is over (None)."""
    buffer = b""
    with selectors.DefaultSelector() as selector, os.fdopen(os.pidfd_open(pid), "rb") as ended:
        selector.register(pipe, selectors.EVENT_READ)
        # Not waiting for the end of the pipe alone: a process that the framework forked may hold it open.
        selector.register(ended, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select(timeout=max(0.0, deadline - time.monotonic()))]
            if not ready:
                return None
            chunk = pipe.read(65536) if pipe in ready else b""
            if not chunk:
                return {"event": "closed"}
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if message["event"] in ("result", "failed"):
                    return message
                listen(message)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the worker's whole process group, children included, and reap the worker."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        # A worker that has said all is about to exit by itself; give it a moment, then insist.
        process.wait(timeout=0.5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _judge(result: dict[str, Any] | None, code: int | None, log_file: Path, timeout_s: float) -> dict[str, Any]:
    if result is not None and result.pop("event", None) == "result":
        return result
    if result is None:
        reason = f"It did not finish within {timeout_s:g} s (--launch-timeout) and was killed."
    elif "message" in result:
        reason = result["message"]
    else:
        signal_name = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        reason = f"The process ended with {signal_name} and no result."
    raise WorkerFailed(reason, _log_end(log_file))


def _log_end(log_file: Path) -> str:
    lines = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join(lines[-LOG_LINES:])
