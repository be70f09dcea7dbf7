"""PyTorch.

Layout: N,C,H,W, so canonical weights are native weights; N,H,W,C in memory in the mode channels-last.
Convolution: oneDNN on the CPU. With one input channel oneDNN has few fast kernels (oneDNN#390).
Optimizer: `torch.optim.SGD(fused=True)`: all parameters in one call; unfused, the Python loop over the
    parameters costs a third of a step at this size.
Threads: `torch.set_num_threads`; the inter-op pool is not used by a sequential model.
Fast-math: TF32 is a choice of GPU convolutions by default (`torch.backends.cudnn.allow_tf32`): off here, but for
    the precision tf32.
bfloat16: `torch.autocast` around the model, logits in float32 for the loss.
Synchronisation: the CPU is synchronous; CUDA queues work until `torch.cuda.synchronize`.
CUDA graphs: a captured step reads and writes fixed addresses, so parameters, momentum and learning rate stay where
    they are for as long as the process lives: loading weights writes over them.
Replicas: a process each, in DistributedDataParallel; Gloo on CPUs, NCCL on GPUs.
Labels: `cross_entropy` takes int64 classes, so the int32 labels are widened as part of the transfer.
"""

DISTRIBUTIONS = ("torch",)
MODES = {
    "eager": "autograd and a fused optimizer, one operator at a time, as the tutorials teach",
    "channels-last": "the same in torch.channels_last memory format, as the tuning guide advises",
    "compiled": "model and loss through torch.compile, forward and backward; the optimizer is fused already",
    "cuda-graph": "the whole step captured once as a CUDA graph and replayed: no Python, no launches",
}
GPU_MODES = ("cuda-graph",)
REFUSED = {
    ("compiled", "float64"): "PyTorch 2.13's Inductor computes wrong gradients of the convolutions in float64 on the "
    "CPU: errors of the size of the gradients themselves, logits and loss right (docs/frameworks.md)",
    ("cuda-graph", "float64"): "PyTorch's fused SGD reads a learning rate that is a tensor, which a captured step "
    "needs, as float32",
}
REPLICAS = {
    "eager": "DistributedDataParallel, a process a replica: gradients are averaged while the backward pass goes on",
    "channels-last": "the same in torch.channels_last memory format",
    "compiled": "the same around the compiled model",
}
REPLICA_PROCESSES = True
DTYPES = ("float32", "float64", "bfloat16", "tf32")
DEVICES = ("cpu", "gpu")
TITLE, PLAIN, COLOUR = "PyTorch", "eager", "#d55e00"
GPU_WHEELS = True
ENVIRONMENT = {"TORCHINDUCTOR_CACHE_DIR": "{scratch}/inductor", "TRITON_CACHE_DIR": "{scratch}/triton"}
SET_ASIDE = ("ATEN_", "GLOO_", "NCCL_", "PYTORCH_", "TORCH", "TRITON_")
VARIABLES = (
    "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_JIT", "PYTORCH_NVML_BASED_CUDA_CHECK",
    "TORCHDYNAMO_DISABLE", "TORCHINDUCTOR_CACHE_DIR", "TORCHINDUCTOR_MAX_AUTOTUNE", "TORCH_COMPILE_DISABLE",
    "TORCH_HOME", "TORCH_LOGS", "TRITON_CACHE_DIR",
)  # fmt: skip
