"""Has it become worse? Accuracy against a baseline, verification, speed against another commit.

A verdict is `passed`, `cannot tell`, `no result` or `FAILED`; the exit code comes from the worst of them.
Never imports a command.
Start with `parts.py` (what is measured), then `verdicts.py` (what is judged, and `stop_if_bad`).
"""
