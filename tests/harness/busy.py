"""A busy program on one CPU, for tests of what is seen of it. They hold however busy the machine is otherwise."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

SPIN = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nprint('on', flush=True)\nwhile True: pass"


@contextlib.contextmanager
def spinner(cpu: int) -> Iterator[int]:
    """Keep a CPU busy for a while; gives the number of the process that does."""
    with subprocess.Popen([sys.executable, "-c", SPIN, str(cpu)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "on\n"
            yield process.pid
        finally:
            process.kill()


@contextlib.contextmanager
def on_one_cpu() -> Iterator[int]:
    """Let this process and its children use their last CPU alone, which is given."""
    before = os.sched_getaffinity(0)
    cpu = max(before)
    os.sched_setaffinity(0, {cpu})
    try:
        yield cpu
    finally:
        os.sched_setaffinity(0, before)
