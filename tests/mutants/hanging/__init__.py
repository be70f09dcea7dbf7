"""NumPy that never gets ready: it waits for ever in its first launch."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "waits"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
