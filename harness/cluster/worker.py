"""`python -m harness.cluster.worker ADDRESS`: a node of a cluster, a Dask worker that keeps still while it times.

Takes the arguments of `dask worker`. Those that are not given are as a node needs them: one thread, one round at a
time, no memory limit, no dashboard.
"""

from __future__ import annotations

import sys
from typing import Any

from harness.cluster.dask_nodes import RESOURCE

# What a Dask worker does by itself, and would do while launches are timed: samples its stack every 10 ms, looks at its
# event loop every 20 ms and at the system every 500 ms.
STILL: dict[str, Any] = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "10s",
    "distributed.admin.tick.limit": "60s",
    "distributed.admin.system-monitor.interval": "60s",
    "distributed.admin.system-monitor.gil.enabled": False,
}
USUAL = {"--nthreads": "1", "--nworkers": "1", "--memory-limit": "0", "--resources": f"{RESOURCE}=1"}


def arguments(given: list[str]) -> list[str]:
    """The arguments of `dask worker`."""
    names = {each.partition("=")[0] for each in given}
    own = [part for name, value in USUAL.items() if name not in names for part in (name, value)]
    return [*given, *own, *(["--no-dashboard"] if not names & {"--dashboard", "--no-dashboard"} else [])]


def main() -> None:
    """Be a Dask worker."""
    try:
        import dask
        from distributed.cli.dask_worker import main as dask_worker
    except ImportError:
        sys.exit("lenet-bench: a node needs Dask: pip install 'lenet-bench[cluster]'.")
    dask.config.set(STILL)
    dask_worker(args=arguments(sys.argv[1:]))


if __name__ == "__main__":
    main()
