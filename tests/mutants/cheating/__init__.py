"""NumPy that computes as it should when it is verified, and cheats while it is timed; the mode says how."""

DISTRIBUTIONS = ("numpy",)
MODES = {
    "honest": "does not cheat",
    "slow-clock": "makes the clock of its process run at a third of its speed",
    "patched-timed": "puts a function of its own in place of the stopwatch",
    "forged-blocks": "says that its blocks took a tenth of their time",
    "forged-speed": "says another speed than its blocks have",
    "more-turns": "says that it timed a turn more than it was given",
    "nan": "has losses that are no numbers from its 200th step on",
    "few-losses": "gives back the last loss of a block only",
    "nice": "is scheduled with a lower priority",
    "fifo": "is scheduled before everybody else, where it may be",
    "elsewhere": "has a thread that runs on another CPU than it was given",
}
DTYPES = ("float32",)
DEVICES = ("cpu",)
