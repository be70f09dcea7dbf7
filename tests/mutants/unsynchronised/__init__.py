"""NumPy behind a queue, as an asynchronous framework is, whose `synchronize` waits for nothing."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "as the NumPy backend, on a thread of its own"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
