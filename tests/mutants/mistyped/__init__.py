"""NumPy with a mistake that a run of one step shows."""

DISTRIBUTIONS = ("numpy",)
MODES = {
    "constructor": "an argument that there is not",
    "step": "a name that there is not, in the training step",
    "losses": "the mean of the losses, not one for each step",
    "names": "one weight is missing in the dump",
    "shape": "one weight is transposed in the dump",
    "none": "no mistake",
}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
