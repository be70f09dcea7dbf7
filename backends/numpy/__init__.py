"""NumPy: the reference, with its own backward pass, in float64 or float32.

Layout: N,C,H,W throughout, so canonical weights are native weights.
Convolution: im2col and one matrix multiplication, which is where nearly all the time goes.
Threads: those of NumPy's OpenBLAS; everything else runs on one.
Fast-math: none.
"""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "NumPy calls one after another; the backward pass is written out"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
TITLE, PLAIN, COLOUR = "NumPy", "eager", "#8a8a8a"
SET_ASIDE = ("NPY_",)
