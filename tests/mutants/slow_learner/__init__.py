"""NumPy with a mistake: the learning rate is a hundred times too small."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "as the NumPy backend, but for the mistake"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
