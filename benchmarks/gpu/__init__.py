"""The trial of a machine with a GPU: `python -m benchmarks.gpu_trial`. One module for each stage."""
