"""NumPy that computes nothing before somebody looks, and whose `synchronize` does not look."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "as the NumPy backend, put off"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
