"""PyTorch that begins to compute something else once it has been looked at for a while."""

DISTRIBUTIONS = ("torch",)
MODES = {
    "tf32-late": "TF32 products are switched on after 50 steps",
    "bfloat16-late": "mixed precision is switched on after 50 steps",
    "bfloat16-unless-verified": "mixed precision in all but verification, which begins with a smaller batch",
    "update-skipped": "what is captured of a step leaves out the update of the weights",
}
DTYPES = ("float32",)
DEVICES = ("cpu", "gpu")
