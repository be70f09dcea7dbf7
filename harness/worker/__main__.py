"""One launch: `python -m harness.worker JOB FD TURNS` builds, warms up, is timed, trains, answers on FD, exits.

Imports NumPy, psutil, threadpoolctl, the backend and its framework, and nothing else, so that nothing else
is in the process that is timed. What a framework prints goes to the launch's log.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.worker import controls, places, process
from harness.worker.job import TURN, WORD_BYTES, Job

Tell = Callable[..., None]

# How NumPy and the frameworks say that there is no more memory, on the CPU and on a GPU.
OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|unable to allocate|failed to allocate|OOM when|RESOURCE_?EXHAUSTED|bad_alloc",
    re.IGNORECASE,
)


def main() -> int:
    """Run the job in argv[1], answering in JSON lines on the file descriptor argv[2], taking turns by argv[3]."""
    job = Job.read(Path(sys.argv[1]))
    descriptor, turns = int(sys.argv[2]), int(sys.argv[3])
    os.set_inheritable(descriptor, False)
    os.set_inheritable(turns, False)
    process.forget_checkout()
    process.die_with_parent()
    process.die_first()
    tell = _teller(descriptor)
    cpus = job.asked.get("cpus")
    if cpus:
        # Before NumPy and the framework are imported: they size their thread pools by what they see then.
        os.sched_setaffinity(0, cpus)  # type: ignore[arg-type]
    try:
        controls.check_found(job.asked)
        controls.take_part(job, 0)
        from harness.worker import phases

        phases.run(job, tell, lambda: _turn(turns))
    except Exception as error:
        # The disk that the log is on may be full.
        with contextlib.suppress(OSError):
            traceback.print_exc()
        tell("failed", message=_reason(error, job))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    # Some frameworks crash while their threads are torn down; all has been said by now.
    os._exit(0)


def _turn(descriptor: int) -> int | None:
    """Wait for the harness's word; the seed that comes with a turn, None where there are no more turns."""
    word = os.read(descriptor, WORD_BYTES)
    return int.from_bytes(word[len(TURN) :], "big") if word[: len(TURN)] == TURN else None


def _reason(error: Exception, job: Job) -> str:
    """What went wrong, and what to do about it where that is known."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(text):
        words = " ".join(text.split())[:300]
        return f"Out of memory with batches of {job.entrant.batch_size} images; smaller ones need less. {words}"
    if isinstance(error, ImportError | OSError) and "cannot open shared object file" in str(error):
        return (
            f"{text}. Install that system library (Debian, Ubuntu: apt-get install libgomp1 libquadmath0 libstdc++6)."
        )
    place = _place(error)
    return f"{_without_frames(text)} ({place})" if place else text


# TensorFlow turns user code into graphs and raises what went wrong in it from elsewhere; the message has the frames.
FRAME = re.compile(r'File "([^"]+)", line (\d+)')
RAISED = re.compile(r"^\s*(\w+(?:Error|Exception): .*)", re.MULTILINE)


def _without_frames(text: str) -> str:
    """A message that has frames in it, without them; any other as it is."""
    frames = list(FRAME.finditer(text))
    raised = RAISED.search(text, frames[-1].end()) if frames else None
    return raised[1] if raised else text


def _place(error: Exception) -> str:
    """File and line of the backend that an exception came from; empty where none did, or where it says so itself."""
    if isinstance(error, SyntaxError):
        return ""
    # Not imported before: what goes wrong may be an import.
    folders = [Path(folder) for folder in getattr(sys.modules.get("backends"), "__path__", ())]
    folders += places.packages()
    frames = [(frame.filename, str(frame.lineno)) for frame in traceback.extract_tb(error.__traceback__)]
    for name, line in reversed(frames + FRAME.findall(str(error))):
        for folder in folders:
            if Path(name).is_relative_to(folder):
                # Ours is imported through a link in the launch's folder; whoever looks for it looks in the repository.
                shown = Path("backends", Path(name).relative_to(folder)) if folder == folders[0] else name
                return f"{shown}, line {line}"
    return ""


def _teller(descriptor: int) -> Tell:
    def tell(event: str, **values: Any) -> None:
        os.write(descriptor, (json.dumps({"event": event, **values}, default=float) + "\n").encode())

    return tell


if __name__ == "__main__":
    main()
