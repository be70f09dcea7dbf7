"""The inverse of the normal distribution in NumPy alone: what makes weights may need no more than that."""

from __future__ import annotations

import math

import numpy as np

# Wichura 1988, Algorithm AS 241 (PPND16), Applied Statistics 37:477-484: rational functions, lowest power first.
_CENTRAL = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_MIDDLE = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
# |p - 1/2| up to here is the centre; 1 - 2e-11 is as near to an end as the middle goes.
_CENTRE, _SHIFT, _LAST = 0.425, 1.6, 5.0


def cdf(x: float) -> float:
    """The probability of a standard normal number below `x`."""
    return math.erfc(-x / math.sqrt(2.0)) / 2.0


def quantiles(probabilities: np.ndarray) -> np.ndarray:
    """Standard normal quantiles, right to about 16 digits.

    Args:
        probabilities: float64, any shape, each at least 2e-11 from 0 and from 1.

    Raises:
        ValueError: a probability is nearer to 0 or 1, or beyond.
    """
    from_half = probabilities - 0.5
    tail = np.minimum(probabilities, 1.0 - probabilities)
    if not (tail > math.exp(-(_LAST**2))).all():
        raise ValueError("Quantiles are for probabilities between 2e-11 and 1 - 2e-11.")
    centre = from_half * _ratio(_CENTRAL, _CENTRE**2 - from_half**2)
    middle = np.copysign(_ratio(_MIDDLE, np.sqrt(-np.log(tail)) - _SHIFT), from_half)
    return np.where(np.abs(from_half) <= _CENTRE, centre, middle)


def _ratio(polynomials: tuple[tuple[float, ...], tuple[float, ...]], x: np.ndarray) -> np.ndarray:
    above, below = (np.polynomial.polynomial.polyval(x, np.array(each)) for each in polynomials)
    return np.asarray(above / below)
