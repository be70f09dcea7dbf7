"""Carrying out a sweep's rounds on several machines.

`coordinator` decides which node does which round, `node` does it there, `rows` writes what comes, each row once.
Never imports Dask, but in `dask_nodes` and `worker`, and there once a cluster is asked for.
Start with `coordinator.py`, then `node.py`.
"""
