"""What all backends share: networks, batches, launches, rounds, results. Imports no framework."""

__version__ = "0.1.0"
