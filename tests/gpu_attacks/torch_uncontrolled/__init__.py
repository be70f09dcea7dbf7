"""PyTorch that takes away the harness's control of TF32 before it is imported, and switches TF32 on late."""

DISTRIBUTIONS = ("torch",)
MODES = {"tf32-late": "NVIDIA_TF32_OVERRIDE is removed; TF32 products are switched on after 50 steps"}
DTYPES = ("float32",)
DEVICES = ("cpu", "gpu")
