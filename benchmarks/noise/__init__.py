"""Noise of this machine, recorded, and estimators and stopping rules judged by replaying it.

    python -m benchmarks.noise record --minutes 20 --out noise.csv.gz       (measure alone)
    python -m benchmarks.noise judge noise.csv.gz                           (anywhere)

The protocol, which was written down before the test half was looked at, is in docs/noise.md.
"""
