"""What is computed: layer tables, recipes, initial weights, precisions, and the protocol that a backend implements.

All of the harness that a backend may import. Standard library and NumPy only.
Never imports another room, nor a framework.
Start with `network.py` (the layers) and `protocol.py` (what a backend promises).
"""
