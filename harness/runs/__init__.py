"""Carrying out a plan: which interpreter, which order, which worker, when to stop.

`plan.py` says what will be done, `run.py` what it is done with, `rounds.py` does it, `launch.py` is one launch of it.
Never imports a command; what a command asks for arrives as a `Plan`.
Start with `run.py`, then `rounds.py`.
"""
