"""From rows to figures: intervals, ratios, verdicts, summaries. Frames in, frames or small dataclasses out.

Never prints, and never writes a file; it reads runs through `results` alone.
Nothing here knows how a launch is carried out.
Start with `statistics.py` (all formulas with their sources), then `comparison.py` (entrants against the base).
"""
