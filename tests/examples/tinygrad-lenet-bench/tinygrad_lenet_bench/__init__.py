"""tinygrad on a CPU: its kernels are C, compiled by `clang`, which must be there.

Layout: N,C,H,W, so canonical weights are native weights.
Execution: `TinyJit` of the step, as tinygrad's MNIST example has it. It runs twice as it is before it replays: for each
    batch size.
Output buffers: a replayed step writes its loss where the last one is, so losses are copied.
Captured weights: a program goes on with the buffers that it saw, so weights and optimizer state are written over in
    place.
Synchronisation: a thread of tinygrad's own works through a queue, on a CPU, too.
Precision: float32. The optimizer's state is float32 unless a variable of the whole process says otherwise.
"""

DISTRIBUTIONS = ("tinygrad",)
MODES = {"jit": "one step captured by TinyJit and replayed, as tinygrad's MNIST example teaches"}
DTYPES = ("float32",)
DEVICES = ("cpu",)
TITLE, PLAIN, COLOUR = "tinygrad", "jit", "#3f7f5f"
ASYNCHRONOUS = True
# PARALLEL would compile in processes of their own, beside the one that is timed.
ENVIRONMENT = {"CACHEDB": "{scratch}/tinygrad.db", "DEV": "CPU", "PARALLEL": "0"}
SET_ASIDE = (
    "BEAM", "CACHELEVEL", "CONST_LR", "DEFAULT_FLOAT", "FUSE_OPTIM", "JIT", "NOOPT", "NUM_CPU_THREADS", "OPTIM_DTYPE",
    "SPLIT_REDUCEOP", "WINO",
)  # fmt: skip
VARIABLES = ("BEAM", "CACHEDB", "DEV", "FUSE_OPTIM", "JIT", "NOOPT", "PARALLEL")
