"""One folder a framework. Keep this file: without it a folder called `torch` could be imported as `torch`."""
