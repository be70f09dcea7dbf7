"""Is this machine fit to time on, and why did launches differ?

Each check is one function from what was read of the machine to one finding, with advice.
Never launches a worker: the command `doctor` does that, through `runs`.
Start with `checks.py` (what is looked at); `causes.py` is asked by tables that cannot tell.
"""
