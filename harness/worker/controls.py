"""What a launch is controlled by: environment variables, CPU affinity, empty caches; asked for and found.

Standard library only: the harness makes the environment, the worker checks that it got it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import backends
from harness.errors import InputError
from harness.worker import facts
from harness.worker.job import Job

# Variables of libraries that change speed or numbers; those of frameworks are in their facts (SET_ASIDE). A user's own
# are set aside under `--environment controlled`, and said so, never dropped in silence (pyperf#47).
LIBRARIES = (
    "BLIS_", "CUBLAS_", "CUDNN_", "DNNL_", "GLIBC_TUNABLES", "GOMP_", "GOTO_", "KMP_", "LD_PRELOAD", "MALLOC_", "MKL_",
    "NUMEXPR_", "NVIDIA_TF32_OVERRIDE", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTHON", "VECLIB_",
)  # fmt: skip

# Of variables that are meant, and of those among them that are not.
Beginnings = tuple[tuple[str, ...], tuple[str, ...]]

# glibc hands freed memory back to the kernel at a threshold that it moves while a program runs, so that some
# processes take hundreds of page faults a step and their identical twins none. Fixed thresholds end that;
# 32 MiB is the most that M_MMAP_THRESHOLD accepts (mallopt(3)).
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS",
)  # fmt: skip


def choose_cpus(threads: int, replicas: int = 1) -> list[int]:
    """Pick the CPUs that a launch with that many threads is pinned to: the last ones that we may use.

    Args:
        replicas: that have so many threads each.

    Raises:
        InputError: there are fewer, or this process may not choose.
    """
    allowed = sorted(os.sched_getaffinity(0))
    try:
        os.sched_setaffinity(0, allowed)
    except OSError as error:
        raise InputError(
            f"This process may not set its CPU affinity ({error.strerror}), which controlled launches need. Allow "
            "sched_setaffinity(2) (a container's seccomp profile?), or give --environment native, which pins nothing."
        ) from None
    if replicas > 1 and threads * replicas > len(allowed):
        raise InputError(
            f"--replicas {replicas} with --threads {threads} each asks for {threads * replicas} CPUs, and this process "
            f"may use {len(allowed)}: {allowed}. Give fewer of either."
        )
    if threads > len(allowed):
        raise InputError(
            f"--threads {threads} asks for more CPUs than this process may use ({len(allowed)}: {allowed}). "
            f"Give --threads {len(allowed)} or fewer."
        )
    return allowed[-threads * replicas :]


def asked_variables(*, threads: int, scratch: Path, tf32: bool = False, backend: str = "") -> dict[str, str]:
    """The variables of a controlled launch; `scratch` is its own empty folder, so that all caches start empty.

    What the backends of this repository ask for (ENVIRONMENT) is there in all launches, so that these have the same.

    Args:
        backend: whose own are added, where it is one from outside.
    """
    caches = {
        "TMPDIR": str(scratch),
        "XDG_CACHE_HOME": str(scratch / "cache"),
        "CUDA_CACHE_PATH": str(scratch / "cuda"),
    }
    # Whatever a framework chooses, NVIDIA's libraries then multiply float32 numbers in float32.
    choices = {} if tf32 else {"NVIDIA_TF32_OVERRIDE": "0"}
    theirs = [*facts.ours("ENVIRONMENT").values(), facts.get(backend, "ENVIRONMENT", {}) if backend else {}]
    for each in theirs:
        choices |= {name: value.replace("{scratch}", str(scratch)) for name, value in each.items()}
    return dict.fromkeys(THREAD_VARIABLES, str(threads)) | ALLOCATOR | caches | choices


def digest(variables: Mapping[str, str]) -> str:
    """SHA-256 of the variables of a launch, but for threads.

    Args:
        variables: made with a `scratch` that is the same for all.
    """
    lines = sorted(f"{name}={value}" for name, value in variables.items() if name not in THREAD_VARIABLES)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def launch_environment(
    user: Mapping[str, str], asked: Mapping[str, str], *, also: Iterable[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """Combine the user's environment with what is asked for.

    Args:
        also: backends from outside, whose own variables are set aside like those of the backends here.

    Returns:
        the worker's environment, and the names of the user's variables that were set aside.
    """
    meant: list[Beginnings] = [(LIBRARIES, ()), *map(_begins, (*backends.BACKENDS, *also))]
    ours = [name for name in user if any(name.startswith(these) and not name.startswith(but) for these, but in meant)]
    aside = sorted(name for name in ours if user[name] != asked.get(name))
    kept = {name: value for name, value in user.items() if name not in aside}
    return kept | dict(asked), [name for name in aside if not name.startswith("PYTHON")]


def _begins(backend: str) -> Beginnings:
    """How variables begin that a backend has set aside, and the exceptions: from its own, not from others'."""
    return facts.get(backend, "SET_ASIDE", ()), facts.get(backend, "NOT_ASIDE", ())


def check_found(asked: dict[str, object]) -> None:
    """Compare what this process was asked to have with what it has.

    Raises:
        RuntimeError: a control did not take, with both values.
    """
    variables = asked.get("environment") or {}
    assert isinstance(variables, dict)
    for name, value in variables.items():
        if os.environ.get(name) != value:
            raise RuntimeError(f"Control {name}: asked for {value!r}, found {os.environ.get(name)!r}.")
    cpus = asked.get("cpus")
    if cpus and sorted(os.sched_getaffinity(0)) != cpus:
        raise RuntimeError(f"CPU affinity: asked for {cpus}, found {sorted(os.sched_getaffinity(0))}.")


def take_part(job: Job, rank: int) -> None:
    """Pin this process to its replica's part of the launch's CPUs, where replicas are processes."""
    entrant, cpus = job.entrant, job.asked.get("cpus")
    if cpus and job.kind != "peak" and facts.has_processes(entrant.backend, entrant.replicas):
        os.sched_setaffinity(0, cpus[rank * entrant.threads : (rank + 1) * entrant.threads])  # type: ignore[index]


def found(cpus: Iterable[int] = ()) -> dict[str, str]:
    """What this process has, for its row: the Python, and the CPUs it may use.

    Args:
        cpus: that it and its replicas may use, where it knows.
    """
    cpus = sorted(cpus or os.sched_getaffinity(0))
    return {"python_version": platform.python_version(), "cpus_found": " ".join(map(str, cpus))}


def check_threads(asked: int, found: str, backend: str) -> None:
    """Compare the threads that were asked for with those that the framework says it has.

    Raises:
        RuntimeError: they differ.
    """
    if asked and found != str(asked):
        raise RuntimeError(f"Threads of {backend}: asked for {asked}, found {found} ({sys.executable}).")
