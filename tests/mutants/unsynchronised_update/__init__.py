"""NumPy behind a queue, whose `synchronize` waits for losses and logits: the last update of the weights is left."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "as the NumPy backend, on a thread of its own"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
