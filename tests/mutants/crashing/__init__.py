"""NumPy that aborts in its first launch."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "aborts"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
