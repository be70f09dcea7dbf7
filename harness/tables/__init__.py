"""Figures as text: what `run`, `compare`, `history` and `list` print, and the same as Markdown, LaTeX, CSV, JSON.

Every table fits the terminal that it is printed on, of 80 columns or more.
Never computes what it shows, nor reads a file.
Start with `fitting.py` (how a table fits), `layout.py` (how all tables look) and `run_tables.py` (those of a run).
"""
