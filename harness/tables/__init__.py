"""Figures as text: what `run`, `compare`, `history` and `list` print, and the same as Markdown, LaTeX, CSV, JSON.

Every table fits 80 columns.
Never computes what it shows, nor reads a file.
Start with `layout.py` (how all tables look) and `run_tables.py` (those of a run).
"""
