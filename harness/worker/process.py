"""What every process of a launch does first. Standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path


def forget_checkout() -> None:
    """Take the repository off the path, where `pip install -e` puts it: what is ours is in the launch's folder."""
    here = Path(__file__).resolve().parents[2]
    if (here / "pyproject.toml").exists():
        sys.path[:] = [each for each in sys.path if Path(each or ".").resolve() != here]


def die_first() -> None:
    """Where memory runs out, the kernel should end this process and not the harness (proc(5), oom_score_adj)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def die_with_parent() -> None:
    """Ask Linux to kill this process when the harness dies, however it dies (prctl(2), PR_SET_PDEATHSIG = 1)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        # It may have died before it was asked.
        harness_pid = os.environ.get("LENET_BENCH_LAUNCH", "").split("-")[1:2]
        if harness_pid and not Path(f"/proc/{int(harness_pid[0])}").exists():
            os._exit(0)
