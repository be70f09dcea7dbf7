"""A group of processes (cgroup, version 1 or 2) that may have little memory: root can make one, often."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.outcome import Skip

# File -> what is written into it, by the version of control groups; those in OPTIONAL are not everywhere.
LIMITS = {
    1: {"memory.limit_in_bytes": "{most}", "memory.memsw.limit_in_bytes": "{most}"},
    2: {"memory.max": "{most}", "memory.swap.max": "0"},
}
OPTIONAL = ("memory.memsw.limit_in_bytes", "memory.swap.max")


@contextlib.contextmanager
def little_memory(most: int) -> Iterator[Path]:
    """Make a group whose processes may have so many bytes together, and yield its folder.

    Raises:
        Skip: none can be made here.
    """
    reasons = []
    for version, parent in _parents():
        group = parent / f"lenet-bench-faults-{secrets.token_hex(4)}"
        try:
            group.mkdir()
        except OSError as error:
            reasons.append(f"{parent}: {error.strerror}")
            continue
        try:
            _limit(group, version, most)
        except OSError as error:
            group.rmdir()
            reasons.append(f"{error.filename}: {error.strerror}")
            continue
        try:
            yield group
        finally:
            _remove(group)
        return
    raise Skip(f"no cgroup with little memory can be made: {reasons[0] if reasons else 'no memory controller'}")


def _parents() -> Iterator[tuple[int, Path]]:
    """Groups below which one with a limit of memory may be made, each with its version."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, options = line.split()[:4]
        if kind == "cgroup" and "memory" in options.split(","):
            yield 1, Path(folder)
        elif kind == "cgroup2":
            own = Path("/proc/self/cgroup").read_text().rpartition("0::")[2].split("\n")[0].lstrip("/")
            for parent in dict.fromkeys((Path(folder, own), Path(folder))):
                with contextlib.suppress(OSError):
                    # Nothing is switched on for it: that would be a setting of the machine's.
                    if "memory" in (parent / "cgroup.subtree_control").read_text().split():
                        yield 2, parent


def _limit(group: Path, version: int, most: int) -> None:
    for name, value in LIMITS[version].items():
        if name not in OPTIONAL or (group / name).exists():
            (group / name).write_text(value.format(most=most))


def _remove(group: Path) -> None:
    """Remove it, once the kernel has done away with the last process in it."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.05)
