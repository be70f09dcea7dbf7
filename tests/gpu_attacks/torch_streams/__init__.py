"""PyTorch, captured on a GPU, that leaves work undone when `synchronize` returns, as only a GPU's streams allow.

Eager, with a small network, it is Python that everything waits for: when it has queued the last kernel, nearly nothing
is left, whether somebody waits or not. With large batches there is, and `nothing-waited-eager` is flattered.
"""

DISTRIBUTIONS = ("torch",)
MODES = {
    "nothing-waited": "`synchronize` waits for nothing",
    "nothing-waited-eager": "the same, eager",
    "other-stream": "works in a stream of its own; `synchronize` waits for another",
    "last-step-left": "the last of several steps is left in a stream that `synchronize` does not wait for",
}
DTYPES = ("float32",)
DEVICES = ("cpu", "gpu")
