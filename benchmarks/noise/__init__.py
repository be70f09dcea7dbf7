"""Noise of this machine, recorded, and estimators and stopping rules judged by replaying it.

    python -m benchmarks.noise record --minutes 20 --out noise.csv.gz       (measure alone)
    python -m benchmarks.noise judge noise.csv.gz                           (anywhere)

docs/noise.md has the protocol and what was found.
"""
