"""Keras 3 on JAX.

Layout: N,H,W,C, Keras's own; kernels (kh, kw, in, out), dense (in, out), rows behind Flatten in H,W,C order.
Execution: Keras's guide to training loops in JAX: `stateless_call` and `stateless_apply` inside one `jax.jit`, with the
    state donated.
Engine: Keras reads KERAS_BACKEND when it is imported; a user's own is set aside.
Shapes: every new batch size compiles anew.
Precision: float32. Keras 3.15.1 takes float64, and its tanh then returns float32 on JAX.
Optimizer: Keras's velocity holds the learning rate, so it is scaled where the rate changes.
Synchronisation: dispatch is asynchronous on the CPU, too.
"""

DISTRIBUTIONS = ("keras",)
MODES = {"jit": "one jitted stateless step, its state donated, as Keras's guide for JAX teaches"}
DTYPES = ("float32",)
DEVICES = ("cpu",)
TITLE, PLAIN, COLOUR = "Keras on JAX", "jit", "#8d6a1f"
ASYNCHRONOUS = True
ENVIRONMENT = {
    "KERAS_BACKEND": "jax", "KERAS_HOME": "{scratch}/keras", "JAX_ENABLE_COMPILATION_CACHE": "false",
    "JAX_PLATFORMS": "cpu",
}  # fmt: skip
SET_ASIDE = ("KERAS_", "JAX_", "XLA_")
VARIABLES = (
    "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_PLATFORMS",
    "KERAS_BACKEND",
    "KERAS_FLOATX",
    "KERAS_HOME",
    "XLA_FLAGS",
)
