"""What is said of an error that nobody foresaw: one sentence, and where its traceback is."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from pathlib import Path

from harness.errors import LenetBenchError
from harness.files import FULL, user_folder, write_text_atomically
from harness.visible import visible

# Set, it prints tracebacks.
VARIABLE = "LENET_BENCH_TRACEBACK"


def tell(error: BaseException) -> None:
    """Print the sentence on standard error."""
    told = "".join(traceback.format_exception(error))
    if os.environ.get(VARIABLE):
        where = f"{told}lenet-bench: {sentence(error)}"
    else:
        path = _keep(told)
        where = f"lenet-bench: {sentence(error)} " + (
            f"The traceback is in {path}." if path else f"Set {VARIABLE}=1 to see the traceback."
        )
    print(where, file=sys.stderr)


def sentence(error: BaseException) -> str:
    """What happened, and what to do where that is known."""
    if isinstance(error, MemoryError):
        return "The harness ran out of memory. Give this machine, or its container, more."
    if isinstance(error, OSError):
        place = f" ({error.filename})" if error.filename else ""
        # NumPy says in words of its own that a disk is full.
        full = error.errno in FULL or error.errno is None
        advice = " Make room, or set TMPDIR and --results-dir to folders that have some." if full else ""
        return visible(f"The system refused: {error.strerror or ' '.join(str(error).split())}{place}.{advice}")
    words = " ".join(f"{type(error).__name__}: {error}".split())[:500]
    return visible(f"Something went wrong that should not ({words}). Please report it.")


def _keep(told: str) -> Path | None:
    """Write a traceback where it can be found later; None where nothing can be written."""
    with contextlib.suppress(OSError, LenetBenchError):
        path = user_folder("state") / f"traceback-{os.getpid()}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, told)
        return path
    return None
