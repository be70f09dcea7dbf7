"""The command line: one module a command, read from top to bottom as what that command does.

Options come in here and become a `Plan`; nothing below this room imports it.
Never does work that another room could do.
Start with `cli.py` (all commands and the exit codes) and `run.py`.
"""
