"""MXNet Gluon. The project was archived in November 2023; 1.9.1 is its last release.

Layout: N,C,H,W, so canonical weights are native weights.
NumPy: 1.9.1 uses `np.bool`, gone in NumPy 1.24: the environment pins numpy 1.23.5 (mxnet#21165), and Python
    3.11 is the newest that has wheels for both.
Execution: `hybridize(static_alloc=True, static_shape=True)` turns the imperative block into a cached graph.
Optimizer: `gluon.Trainer` without a key-value store: with one device there is nothing to exchange. MXNet keeps
    the learning rate inside the velocity; at a constant learning rate that is the recipe's formula.
    Weight decay is coupled; decoupled decay is a subclass of ours. Adam's epsilon stands where the recipe has it.
Loss: one value a sample; `Trainer.step(batch)` divides the gradients by the batch size, as a product with
    1/batch in float32: exact for powers of two, 1e-8 off in float64 for others.
Threads: `OMP_NUM_THREADS` for operators, and `describe` asks the OpenMP runtime for the number.
    `MXNET_CPU_WORKER_NTHREADS` are engine threads.
bfloat16: `mxnet.contrib.amp`, which exchanges MXNet's operators for some that cast; logits in float32 for the loss.
Fast-math: none on the CPU. oneDNN (then MKL-DNN) computes convolutions and dense layers.
Synchronisation: the engine is asynchronous on the CPU too: `mx.nd.waitall()`.
GPU: the last CUDA wheels (11.x) predate current GPUs, and the pinned wheel is a CPU build: with --device gpu MXNet
    is asked, and refuses in its own words.
"""

DISTRIBUTIONS = ("mxnet",)
MODES = {
    "hybrid": "hybridized Gluon with static memory, as the Gluon guides teach for speed",
    "imperative": "the same blocks, not hybridized, one operator at a time",
}
DTYPES = ("float32", "float64", "bfloat16")
DEVICES = ("cpu", "gpu")
TITLE, COLOUR = "MXNet", "#56b4e9"
ASYNCHRONOUS = True
SYSTEM_LIBRARIES = ("libgomp.so.1", "libquadmath.so.0")
ONLY_PYTHON = "3.11"
SET_ASIDE = ("MXNET_",)
VARIABLES = (
    "MXNET_CPU_WORKER_NTHREADS", "MXNET_ENGINE_TYPE", "MXNET_EXEC_BULK_EXEC_TRAIN", "MXNET_SUBGRAPH_BACKEND",
    "MXNET_USE_FUSION", "MXNET_USE_MKLDNN_RNN",
)  # fmt: skip
# float32 `log_softmax` is oneDNN's, whose logarithm of the sum of exponentials is off by up to 3.5e-6, whatever the
# logits (8 and 64 images, 10 normal values of spread 0.01 to 40); MXNet's own kernel is off by 2.8e-7, and with it
# (MXNET_MKLDNN_ENABLED=0) verification needs no allowance. Adam's corrected learning rate goes to its kernel as a
# float32 number, in float64 too, and is no float32 value as the recipe's constants are. So does one over the batch size
# (`Trainer.step`), which is a float32 number where the size is a power of two.
INEXACT = {"float32": {"log_softmax": 4e-6}, "float64": {"adam_rate": 2.0**-24, "batch_mean": 2.0**-24}}
