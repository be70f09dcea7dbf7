"""Where the launches of a round start: on the CPUs that they are timed on, or several at once, on others too.

While launches start, one after the other, all other CPUs idle. That must be so as long as starting is measured. Once it
is known how long that takes (`harness.runs.enough`), the launches of later rounds start on as many CPUs as there are,
and each moves to its own before it is timed. Turns are timed as ever: one at a time, with nothing beside it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Sequence

# More at once would wait for the disk and the memory.
MOST_AT_ONCE = 4


def groups(cpus: Sequence[int], *, taken: Collection[int] = ()) -> list[list[int]]:
    """Groups of CPUs on which launches start, one launch on each at a time; the first group is their own.

    Args:
        cpus: that they are timed on; none where they are not pinned, and then there is one group, which is empty.
        taken: that others must not be disturbed on.
    """
    if not cpus:
        return [[]]
    beside = sorted(os.sched_getaffinity(0) - set(cpus) - set(taken))
    size = len(cpus)
    more = [beside[first : first + size] for first in range(0, len(beside) - size + 1, size)]
    return [sorted(cpus), *more][:MOST_AT_ONCE]


def move(pid: int, cpus: Collection[int]) -> None:
    """Pin all threads of a process to these CPUs.

    Raises:
        OSError: the system does not let us.
    """
    moved: set[str] = set()
    # What a thread starts that has not been moved yet is where that was.
    while left := set(os.listdir(f"/proc/{pid}/task")) - moved:
        for thread in left:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), cpus)
        moved |= left
