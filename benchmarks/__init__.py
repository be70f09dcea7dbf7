"""Hand-written training loops, without the harness, and the command that holds the harness against them."""
