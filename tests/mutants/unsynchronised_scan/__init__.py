"""NumPy behind a queue that takes all k steps at once, as a compiled loop does; `synchronize` waits for nothing."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "as the NumPy backend, on a thread of its own"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
