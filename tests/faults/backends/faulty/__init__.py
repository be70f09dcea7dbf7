"""NumPy in a worker to which things happen, or that does them: see tests/faults."""

from .garbage import FLOODS, LINES

PHASES = ("import", "build", "first-step", "steady", "digests", "epoch")
DISTRIBUTIONS = ("numpy",)
MODES = {
    "honest": "as the NumPy backend",
    **{f"pause-{phase}": f"waits in {phase}, to be killed or stopped" for phase in PHASES},
    **{f"says-{name}": f"says {name} and goes on" for name in LINES},
    **{f"floods-{name}": f"says {name}, and never ends" for name in FLOODS},
    "child": "leaves a child in a session of its own",
    "child-and-pause": "has a child in a session of its own, and waits",
    "eats-memory": "eats memory in a group of processes that may have little",
    "log-of-400-mb": "prints 400 MB, and fails",
    "log-of-no-text": "prints bytes that are no text, and fails",
    "error-of-50-mb": "fails with a message of 50 MB",
    "error-of-no-text": "fails with a message that is no text, and would rule the terminal",
}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
