"""PyTorch, eager, that leaves work undone when `synchronize` returns, as only a GPU's streams allow."""

DISTRIBUTIONS = ("torch",)
MODES = {
    "nothing-waited": "`synchronize` waits for nothing",
    "other-stream": "works in a stream of its own; `synchronize` waits for another",
    "last-step-left": "the last of several steps is left in a stream that `synchronize` does not wait for",
}
DTYPES = ("float32",)
DEVICES = ("cpu", "gpu")
