"""NumPy whose process misbehaves; the mode says how."""

DISTRIBUTIONS = ("numpy",)
MODES = {
    "well": "does nothing wrong",
    "abort": "aborts",
    "segfault": "dies of SIGSEGV",
    "exit": "prints its last words and leaves with exit code 7",
    "hang": "waits for ever, after it has printed its process number",
    "grandchild": "the same, with a child of its own, whose number it prints too",
    "leftover": "leaves a forked child behind that holds all its files open",
    "chatter": "prints 4 MB to stdout and stderr",
    "raise": "raises an error",
    "garbage": "writes no message to the pipe of its results",
    "flood": "writes right messages to the pipe for ever",
    "endless": "writes a line without an end to the pipe for ever",
    "daemon": "starts a process that leaves its group and its parent, and prints its number",
    "nameless": "the same, with an empty environment",
    "stopped": "stops",
    "fifo": "puts a pipe in the place of its log, and raises an error",
    "surrogate": "raises an error with bytes in it that are no text, and what a terminal obeys",
    "memory": "asks for more memory than there is, in batches of more than 100 images",
    "killed": "is killed",
    "weights": "gives back weights that differ in one bit",
    "batches": "receives batches that begin one image too late",
    "labels": "receives one wrong label",
    "threads": "says that it computes with two threads",
    "nan": "has a loss that is not a number",
    "vendored": "has packages of its own within, and adds them to the path, as setuptools does",
    "modules": "prints which modules are loaded, and the path they came from",
}
DTYPES = ("float32",)
DEVICES = ("cpu", "gpu")
