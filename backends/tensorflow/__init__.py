"""TensorFlow with Keras 3.

Layout: N,H,W,C: convolutions and their gradients in N,C,H,W do not exist on the CPU (keras#23041). Kernels
    are (kh, kw, in, out), dense kernels (in, out), and the first dense kernel's rows are permuted.
Execution: a Keras model and optimizer in one `tf.function`; `fit` adds Python time to every step
    (tensorflow#39039). A new batch size is traced anew, so the last, smaller batch has a graph of its own.
Optimizer: Keras keeps the learning rate inside the velocity: v <- m v - lr g; w <- w + v. At a constant
    learning rate that is the recipe's formula. The modes fused and epoch use TensorFlow's own momentum kernel.
Threads: both pools are set before the first operation; later calls are refused by TensorFlow.
Fast-math: oneDNN is on by default on the CPU and changes the order of sums, `describe` says so. TF32 is off, but
    for the precision tf32.
bfloat16: Keras's policy `mixed_bfloat16`, loss in float32.
fit: one call of `Model.fit` a block; a call costs as much as ten steps, so its blocks are longer.
Synchronisation: functions on the CPU return when done; `tf.experimental.async_eager` is not used. On a GPU
    `synchronize` waits through `tf.test.experimental.sync_devices`.
"""

DISTRIBUTIONS = ("tensorflow-cpu", "tensorflow")
MODES = {
    "graph": "a Keras model and optimizer in one tf.function, as the custom-loop guide teaches",
    "eager": "the same step without tf.function, one operator at a time",
    "fused": "graph with TensorFlow's own momentum kernel in place of the Keras optimizer",
    "xla": "the step of graph in tf.function(jit_compile=True)",
    "epoch": "fused, and a loop over the steps of a block inside one tf.function: no Python between",
    "fit": "Model.compile and Model.fit, Keras's own loop as it comes",
}
BLOCKWISE = {"epoch": 1, "fit": 5}
DTYPES = ("float32", "float64", "bfloat16", "tf32")
DEVICES = ("cpu", "gpu")
TITLE, COLOUR = "TensorFlow", "#e69f00"
GPU_WHEELS = True
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "1"}
SET_ASIDE = ("KERAS_", "TF_", "XLA_")
# Terraform's, which share the prefix.
NOT_ASIDE = ("TF_CLI_", "TF_VAR_", "TF_WORKSPACE")
VARIABLES = (
    "KERAS_BACKEND", "KERAS_HOME", "TF_CPP_MAX_VLOG_LEVEL", "TF_CPP_MIN_LOG_LEVEL", "TF_DETERMINISTIC_OPS",
    "TF_DISABLE_MKL", "TF_ENABLE_ONEDNN_OPTS", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_USE_LEGACY_KERAS", "TF_XLA_FLAGS", "XLA_FLAGS",
)  # fmt: skip
