"""NumPy under another name: an honest second backend."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "as the NumPy backend"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
