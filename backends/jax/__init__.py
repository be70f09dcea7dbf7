"""JAX with Flax NNX and Optax.

Layout: N,H,W,C, Flax's own: kernels are (kh, kw, in, out), dense kernels (in, out), and the first dense
    kernel's rows are permuted because Flatten meets H,W,C here.
Execution: `jax.jit` on the split state, built from shapes alone (`nnx.eval_shape`): initial values would cost three
    seconds of compilation and be thrown away. An NNX object passed through `nnx.jit` costs Python time at every
    call (flax#4045), a plain pytree does not. State and optimizer state are donated.
Shapes: every new batch size compiles anew, so the smaller last batch is a second program.
Threads: XLA's CPU client has no setting and obeys CPU affinity only (jax#1539): the harness pins the
    process before JAX starts, and `describe` reports the pinned CPUs.
Fast-math: `jax_default_matmul_precision=highest`, without which a GPU multiplies in TF32 (jax#4873). The
    setting does nothing on a CPU. The precision tf32 asks for `tensorfloat32` instead.
bfloat16: modules with `dtype=bfloat16, param_dtype=float32`, loss in float32.
Synchronisation: dispatch is asynchronous on the CPU too: `synchronize` waits for weights and the last loss.
Replicas: devices of one process, on a CPU made up (`jax_num_cpu_devices`); the jitted step is the same.
Memory: GPU preallocation would make every figure 75 % of the card; the harness turns it off.
"""

DISTRIBUTIONS = ("jax",)
MODES = {
    "jit": "one jitted step on the split state, arguments donated, as the Flax guides teach",
    "reshape-pool": "the same step with max pooling as a maximum over axes of a reshaped array",
    "stencil": "the same, and convolutions in the forms that XLA compiles well on a CPU",
    "epoch": "lax.scan over the steps of a block inside one jit: no Python between steps",
    "eager": "the same step without jit, one operation at a time",
}
REPLICAS = {
    "jit": "a device each, by sharding: weights on all of them, a part of each batch, and XLA sums between them",
    "reshape-pool": "the same",
    "stencil": "the same",
}
BLOCKWISE = {"epoch": 1}
DTYPES = ("float32", "float64", "bfloat16", "tf32")
DEVICES = ("cpu", "gpu")
TITLE, PLAIN, COLOUR = "JAX", "jit", "#0072b2"
ASYNCHRONOUS = True
GPU_WHEELS = True
# Another version of JAX has other versions of what is built on it.
COMPANIONS = True
# Without the second, JAX takes three quarters of a card at start, and no memory figure means anything.
ENVIRONMENT = {"JAX_ENABLE_COMPILATION_CACHE": "false", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
SET_ASIDE = ("JAX_", "XLA_")
VARIABLES = (
    "JAX_COMPILATION_CACHE_DIR", "JAX_DEBUG_NANS", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_DISABLE_JIT",
    "JAX_ENABLE_COMPILATION_CACHE", "JAX_ENABLE_X64", "JAX_NUM_CPU_DEVICES", "JAX_PLATFORMS", "XLA_FLAGS",
    "XLA_PYTHON_CLIENT_ALLOCATOR", "XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_PREALLOCATE",
)  # fmt: skip
