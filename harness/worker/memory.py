"""The process's memory: how much it holds, and that the harness's own objects cost its garbage collector nothing."""

from __future__ import annotations

import gc
import os
import re
from pathlib import Path


def collect_garbage() -> None:
    """Collect now, and let later collections pass over what the harness holds: they belong to the framework."""
    gc.collect()
    gc.freeze()


def rss_bytes() -> int:
    """Resident set of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_rss_bytes() -> int:
    """Largest resident set of this program so far: VmHWM of proc(5).

    getrusage(2)'s ru_maxrss also counts the process that it was forked from: a small framework was given the
    harness's own memory.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]
