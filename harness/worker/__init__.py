"""Everything that runs inside the timed process, and nothing else: `python -m harness.worker`.

NumPy, psutil and threadpoolctl at most, on NumPy 1.23 too: environments of old frameworks have to run it.
Never imports a room but `spec`: no tables, no progress bar, no statistics beside what is timed.
Start with `phases.py` (what a launch does), then `stopwatch.py` (where the clock is read) and `steady.py`.
"""
