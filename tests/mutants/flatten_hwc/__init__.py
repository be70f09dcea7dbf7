"""NumPy with a mistake: Flatten goes through height, width, channel."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "as the NumPy backend, but for the mistake"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
