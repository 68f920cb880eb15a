"""Student's distribution: from a share and degrees of freedom to the deviation that it reaches."""

from __future__ import annotations

import math
from statistics import NormalDist


def quantile(share: float, dof: float) -> float:
    """The t with P(T <= t) = share, for 0.5 <= share < 1; the normal one for infinite `dof`.

    Hill's start (CACM 396, 1970) and Newton's steps on the distribution function.
    """
    normal = NormalDist().inv_cdf(share)
    if dof > 5000:  # three terms of Cornish and Fisher's series (Abramowitz and Stegun 26.7.5)
        z, v = normal, 4 * dof
        third = z * (3 * z**6 + 19 * z**4 + 17 * z**2 - 15) / (6 * v**3)
        return z + z * (z * z + 1) / v + z * (5 * z**4 + 16 * z**2 + 3) / (6 * v * v) + third
    t = math.tan(math.pi * (share - 0.5)) if dof < 1.5 else normal * (1 + (normal**2 + 1) / 4 / dof)
    for _ in range(100):
        density = math.exp(
            math.lgamma((dof + 1) / 2)
            - math.lgamma(dof / 2)
            - (dof + 1) / 2 * math.log1p(t * t / dof)
        ) / math.sqrt(dof * math.pi)
        beyond = 0.5 * _beta(dof / 2, 0.5, dof / (dof + t * t))
        step = (beyond - (1 - share)) / density
        step = max(-t / 2, min(step, 3 * t + 1))  # far out Newton's step alone may leave the line
        t += step
        if abs(step) <= 4e-16 * t:
            break
    return t


def _beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by Lentz's continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    out = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for part in (even, odd):
            d = 1 / ((1 + part * d) or tiny)
            c = (1 + part / c) or tiny
            out *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return front * out / a
