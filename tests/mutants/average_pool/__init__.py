"""NumPy with a mistake: the pooling layers average."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "as the NumPy backend, but for the mistake"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
