"""NumPy with a mistake: the gradient is that of the summed loss, not of the mean."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "as the NumPy backend, but for the mistake"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
