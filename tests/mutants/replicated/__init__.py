"""NumPy with replicas: processes that average their gradients over a socket; in some modes something is wrong."""

DISTRIBUTIONS = ("numpy",)
MODES = {
    "averaged": "right",
    "alone": "right, and has no replicas",
    "apart": "nobody averages: each replica trains on its own part",
    "breaks": "the second replica fails in its second block",
    "ends": "the second replica ends in its second block",
}
REPLICAS = {mode: text for mode, text in MODES.items() if mode != "alone"}
REPLICA_PROCESSES = True
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
