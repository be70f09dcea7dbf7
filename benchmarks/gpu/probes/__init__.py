"""What runs in a framework's own interpreter for a stage of the trial; each prints JSON lines on standard output."""
