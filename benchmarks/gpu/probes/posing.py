"""`posing PRECISION`: pose the problem that `verify` asks of lenet5 in a precision, and keep it."""

from __future__ import annotations

import sys

from harness.proof import kept, starts
from harness.runs.display import Display
from harness.runs.preparation import load_for_network
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights


def main() -> None:
    """As `harness.proof.proving` poses it, with seed 0 and the recipe's own data set."""
    dtype = sys.argv[1]
    network = get_network("lenet5")
    with Display() as display:
        dataset = load_for_network(network.name, LENET5.data_set_asked, None, display)
    weights = initial_weights(network, seed=0, initialiser=LENET5.initialiser)
    kept.pose(network, LENET5, dataset, weights, dtype=dtype)
    starts.trained(network, LENET5, dataset)
    if not kept.is_kept(network, LENET5, dataset, weights, dtype=dtype):
        sys.exit(f"What was posed in {dtype} could not be kept.")


if __name__ == "__main__":
    main()
