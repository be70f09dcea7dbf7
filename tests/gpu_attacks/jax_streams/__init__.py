"""JAX, jitted, that does not wait for what it queued."""

DISTRIBUTIONS = ("jax",)
MODES = {
    "nothing-waited": "`synchronize` waits for nothing",
    "first-loss-waited": "`synchronize` waits for the first of several losses",
}
DTYPES = ("float32",)
DEVICES = ("cpu", "gpu")
