"""PaddlePaddle.

Layout: N,C,H,W; dense weights are (in, out), everything else as canonical.
Convolution: the CPU kernel is im2col and a matrix product on one thread, which is why Paddle trails here.
Threads: importing paddle sets OMP_NUM_THREADS=1 unless it is set (Paddle PR#7208): the harness sets it first.
Fast-math: none on the CPU. On a GPU, TF32 is switched off by NVIDIA_TF32_OVERRIDE=0, which the harness sets.
Synchronisation: the CPU is synchronous; `paddle.device.synchronize()` on a GPU.
"""

DISTRIBUTIONS = ("paddlepaddle", "paddlepaddle-gpu")
MODES = {
    "dynamic": "the dynamic graph, one operator at a time, as the tutorials teach",
    "apart": "the same, with a convolution's bias as (channels, 1, 1) in an addition behind it",
    "static": "model and loss through paddle.jit.to_static",
    "cinn": "the same, compiled by CINN, Paddle's own compiler",
}
# The CPU wheels are built without CINN.
GPU_MODES = ("cinn",)
DTYPES = ("float32", "float64")
DEVICES = ("cpu", "gpu")
TITLE, PLAIN, COLOUR = "PaddlePaddle", "dynamic", "#009e73"
GPU_WHEELS = True
SYSTEM_LIBRARIES = ("libgomp.so.1",)
SET_ASIDE = ("FLAGS_",)
VARIABLES = (
    "FLAGS_allocator_strategy", "FLAGS_cudnn_deterministic", "FLAGS_use_cinn", "FLAGS_use_mkldnn",
)  # fmt: skip
