"""One folder a framework. Keep this file: without it a folder called `torch` could be imported as `torch`.

Which of them are what is said here and nowhere else: the frameworks, in the order in which they are shown, the
reference that all are held against, and the limit, whose kernels are made for the machine.
"""

FRAMEWORKS = ("torch", "tensorflow", "jax", "mxnet", "paddle")
REFERENCE = "numpy"
LIMIT = "numba"
BACKENDS = (*FRAMEWORKS, REFERENCE, LIMIT)
