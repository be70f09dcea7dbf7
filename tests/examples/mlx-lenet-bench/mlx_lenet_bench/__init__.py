"""MLX on a CPU: Apple's framework, in its wheel for Linux.

Layout: N,H,W,C; convolution kernels (out, kh, kw, in), dense weights (out, in), rows behind Flatten in H,W,C order.
Execution: `mx.compile` of the step, with model, optimizer and random state as inputs and outputs, as MLX's guide to
    compilation teaches. It writes fused kernels as C++, and runs `g++` for them: that must be there.
Lazy evaluation: nothing is computed until it is asked for. As the guides teach, each step ends with `mx.eval` of
    weights, optimizer state and loss, so calls return when they are done.
Precision: float32. MLX 0.32.4 takes float64 on a CPU, and computes some of it in float32: `mx.exp` was off by 3e-7.
Threads: MLX computes in a thread of its own; its products are OpenBLAS's, which threadpoolctl sets.
"""

DISTRIBUTIONS = ("mlx",)
MODES = {
    "compiled": "one step through mx.compile, then mx.eval, as MLX's guides teach",
    "eager": "the same step without mx.compile: a graph of single operations, then mx.eval",
}
DTYPES = ("float32",)
DEVICES = ("cpu",)
TITLE, PLAIN, COLOUR = "MLX", "compiled", "#5b6770"
SET_ASIDE = ("MLX_",)
VARIABLES = ("MLX_DISABLE_COMPILE", "MLX_MAX_OPS_PER_BUFFER")
