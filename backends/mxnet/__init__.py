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
DTYPES = ("float32", "float64")
DEVICES = ("cpu", "gpu")
# float32 `log_softmax` is oneDNN's, and off by 3.4e-6 where MXNet's own kernel is off by 2.8e-7 (64 x 10 normal
# values of spread 0.5; MXNET_MKLDNN_ENABLED=0 shows the latter, and then verification needs no allowance). The error
# has a sign, so that it adds up in the last biases: over six seeds 20 steps needed up to 9 times the tolerances.
# Adam's corrected learning rate is a product of powers, and no float32 value as the recipe's constants are.
ROUNDING = {
    "float32": (24.0, "oneDNN's log_softmax in MXNet 1.9.1 is 12 times less exact than float32, with a sign"),
    ("adam", "float64"): (1e6, "MXNet hands Adam's corrected learning rate to its kernel in float32, also in float64"),
}
