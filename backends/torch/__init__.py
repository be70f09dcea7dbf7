"""PyTorch.

Layout: N,C,H,W, so canonical weights are native weights.
Convolution: oneDNN on the CPU. With one input channel oneDNN has few fast kernels (oneDNN#390).
Optimizer: `torch.optim.SGD(fused=True)`: all parameters in one call; unfused, the Python loop over the
    parameters costs a third of a step at this size.
Threads: `torch.set_num_threads`; the inter-op pool is not used by a sequential model.
Fast-math: TF32 is a choice of GPU convolutions by default (`torch.backends.cudnn.allow_tf32`): off here.
Synchronisation: the CPU is synchronous; CUDA queues work until `torch.cuda.synchronize`.
Labels: `cross_entropy` takes int64 classes, so the int32 labels are widened as part of the transfer.
"""

DISTRIBUTIONS = ("torch",)
MODES = {"eager": "autograd and a fused optimizer, one operator at a time, as the tutorials teach"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu", "gpu")
