"""A process that has imported all of the harness and forks for every run: starting one takes 0.1 s in place of 4.

What is forked is the command line all the same, in a session of its own, with its own files for standard output and
error; nothing has run in it before.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# What a run's libraries import once they are used.
LATE = ("pandas.io.formats.csvs", "pyarrow.pandas_compat", "pydantic.type_adapter")


@dataclass
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code, or less the signal that ended it.
        most_bytes: that it had of memory at once.
    """

    code: int
    most_bytes: int


class Preloaded:
    """The side of whoever starts runs; one thread at a time may ask."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.preloaded"], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def start(self, arguments: list[str], *, environment: dict[str, str], folder: Path, out: Path, err: Path) -> int:
        """Fork a run, and return its process id."""
        request = {"arguments": arguments, "environment": environment, "folder": str(folder)}
        return int(self._ask(request | {"out": str(out), "err": str(err)})["pid"])

    def wait(self, pid: int, timeout_s: float) -> Ended | None:
        """Wait until a run has ended; None where it does not in time."""
        # It cannot have been reaped by anybody but `ended`, so its number is still its own.
        descriptor = os.pidfd_open(pid)
        try:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, timeout_s))
        finally:
            os.close(descriptor)
        return Ended(**self._ask({"ended": pid})) if ready else None

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return dict(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def _serve() -> None:
    """Fork for each line of standard input that asks for a run, reap for each that asks how one ended."""
    _import_all()
    from harness.runs.machine import this_machine

    this_machine()
    for line in sys.stdin:
        request = json.loads(line)
        if "ended" in request:
            _, status, usage = os.wait4(request["ended"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status), "most_bytes": usage.ru_maxrss * 1024}
        else:
            pid = os.fork()
            if pid == 0:
                _be(request)
            answer = {"pid": pid}
        print(json.dumps(answer), flush=True)


def _import_all() -> None:
    """Import what every run would import for itself, its command line before all: that took a second of each."""
    import harness

    # Whoever runs in a process of its own does so when it is imported.
    found = [each.name for each in pkgutil.walk_packages(harness.__path__, "harness.")]
    for name in (*found, *LATE, "tests.faults.small"):
        if not name.endswith("__main__"):
            importlib.import_module(name)


def _be(request: dict[str, Any]) -> None:
    """Become the run that is asked for; does not return."""
    code = 70
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.default_int_handler)
        for name, number in (("out", 1), ("err", 2)):
            opened = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(opened, number)
            os.close(opened)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        code = _call(request["arguments"])
    finally:
        os._exit(code)


def _call(arguments: list[str]) -> int:
    """Call the command line, and return its exit code as the interpreter would."""
    from tests.faults import small

    sys.argv = ["lenet-bench", *arguments]
    try:
        small.main()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # What the interpreter ends with where it cannot flush.
        code = 120
    return code


if __name__ == "__main__":
    _serve()
