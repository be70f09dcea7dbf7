"""Files on disk: the schema of every table, writing them so that a crash halves none, reading and checking them.

A column is declared once, in `schema.py`, with unit and meaning; older versions are brought up to it on reading.
Never computes a figure: that is the job of `analysis`.
Start with `schema.py` and `folder.py` (a run's folder: append, read).
"""
