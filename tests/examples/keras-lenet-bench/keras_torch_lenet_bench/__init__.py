"""Keras 3 on PyTorch.

Layout: N,H,W,C, Keras's own; kernels (kh, kw, in, out), dense (in, out), rows behind Flatten in H,W,C order. PyTorch
    wants N,C,H,W: Keras transposes around each convolution and pool.
Execution: Keras's guide to training loops in PyTorch: loss.backward(), then Keras's own optimizer.
Engine: Keras reads KERAS_BACKEND when it is imported; a user's own is set aside.
Precision: float32. Keras 3.15.1 takes float64, and a dense layer's product was off by 1e-7 on PyTorch.
Optimizer: Keras's velocity holds the learning rate, so it is scaled where the rate changes.
"""

DISTRIBUTIONS = ("keras",)
MODES = {"eager": "autograd and Keras's optimizer, one operator at a time, as Keras's guide for PyTorch teaches"}
DTYPES = ("float32",)
DEVICES = ("cpu",)
TITLE, PLAIN, COLOUR = "Keras on PyTorch", "eager", "#b5446e"
ENVIRONMENT = {"KERAS_BACKEND": "torch", "KERAS_TORCH_DEVICE": "cpu", "KERAS_HOME": "{scratch}/keras"}
SET_ASIDE = ("KERAS_", "PYTORCH_", "TORCH")
VARIABLES = ("KERAS_BACKEND", "KERAS_FLOATX", "KERAS_HOME", "KERAS_TORCH_DEVICE")
