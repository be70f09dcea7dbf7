"""Equinox with Optax, on JAX.

Layout: C,H,W for one image, under `jax.vmap` for a batch, so canonical weights are native weights; a convolution's bias
    is (out, 1, 1).
Execution: `eqx.filter_jit` of the step, as Equinox's examples teach; model and optimizer state are donated.
Shapes: every new batch size compiles anew.
Threads: XLA's CPU client obeys CPU affinity only (jax#1539): the harness pins the process before JAX starts.
Synchronisation: dispatch is asynchronous on the CPU, too.
"""

DISTRIBUTIONS = ("equinox",)
MODES = {
    "jit": "one filter-jitted step, model and optimizer state donated, as Equinox's examples teach",
    "eager": "the same step without jit, one operation at a time",
}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
TITLE, PLAIN, COLOUR = "Equinox", "jit", "#7a5195"
ASYNCHRONOUS = True
ENVIRONMENT = {"JAX_ENABLE_COMPILATION_CACHE": "false", "JAX_PLATFORMS": "cpu"}
SET_ASIDE = ("EQX_", "JAX_", "XLA_")
VARIABLES = ("EQX_ON_ERROR", "JAX_ENABLE_COMPILATION_CACHE", "JAX_ENABLE_X64", "JAX_PLATFORMS", "XLA_FLAGS")
