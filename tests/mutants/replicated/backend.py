"""One model."""

from backends.numpy.backend import Backend as Right


class Backend(Right):
    """Nothing is changed."""
