"""numba: what this machine can do with these networks, in kernels made for their shapes.

Layout: images innermost, one in each lane of a vector register: every operation is then the same for all lanes, and
    weights are numbers that are spread over a register. Weights lie with their output channels innermost.
Execution: LLVM IR of vectors, emitted by Python through numba's `intrinsic`, in loops that numba compiles. Every kernel
    is compiled once, when it is first needed, for the processor's registers: 16, 8 or 4 float32 numbers.
Max pooling: behind a convolution it happens in registers, and the gradients multiply no zeros (pooled.py).
Threads: one. Others are refused.
Fast-math: none. Products are added with one rounding (FMA) where the processor can.
Synchronisation: kernels return when they are done.
"""

DISTRIBUTIONS = ("numba",)
MODES = {"kernels": "kernels of vectors, generated for the shapes of the network"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
COLOUR = "#000000"
SET_ASIDE = ("NUMBA_",)
VARIABLES = ("NUMBA_CPU_FEATURES", "NUMBA_CPU_NAME", "NUMBA_DISABLE_JIT", "NUMBA_ENABLE_AVX", "NUMBA_OPT")
MOST_THREADS = 1
