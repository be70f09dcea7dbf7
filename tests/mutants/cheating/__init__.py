"""NumPy that computes as it should when it is verified, and cheats while it is timed; the mode says how."""

DISTRIBUTIONS = ("numpy",)
MODES = {
    "honest": "does not cheat",
    "slow-clock": "makes the clock of its process run at a third of its speed",
    "patched-timed": "puts a function of its own in place of the stopwatch",
    "forged-blocks": "says that its blocks took a tenth of their time",
    "forged-speed": "says another speed than its blocks have",
    "more-turns": "says that it timed a turn more than it was given",
    "nan": "has losses that are no numbers from its 100th step on",
    "few-losses": "gives back the last loss of a block only",
    "nice": "is scheduled with a lower priority",
    "fifo": "is scheduled before everybody else, where it may be",
    "no-step": "gives back the loss of its last honest step, and does nothing",
    "remembered": "does a block once, and gives back what it remembers of it ever after",
    "half-batch": "trains on the first half of each batch",
    "no-update": "computes losses and gradients, and leaves the weights alone",
    "last-update": "leaves out the last update of each block",
    "float16": "rounds images and weights to float16 from its 100th step on",
    "next-labels": "trains each image on the label of the next",
    "queued": "trains when the weights are asked for, and gives back losses that it guesses",
    "kept-logits": "answers what it answered last",
    "early-logits": "answers what it has computed when the images were handed over",
    "elsewhere": "has a thread that runs on another CPU than it was given",
}
DTYPES = ("float32",)
DEVICES = ("cpu",)
