"""Gradient descent in numba: fused loops by hand, compiled with fast mathematics."""

from __future__ import annotations

from math import exp, log1p
from typing import Any

import numpy as np
from numba import njit, prange
from workers import Array, Given, Steps

STRIP = 256


def line(p: Array, x: Array, y: Array, g: Array) -> float:
    m, b = p[0], p[1]
    loss = gm = gb = 0.0
    for i in prange(len(y)):
        r = m * x[0, i] + b - y[i]
        loss += r * r
        gm += r * x[0, i]
        gb += r
    g[0], g[1] = 2 * gm, 2 * gb
    return loss


def cubic(p: Array, x: Array, y: Array, g: Array) -> float:
    a, b, c, d = p[0], p[1], p[2], p[3]
    loss = ga = gb = gc = gd = 0.0
    for i in prange(len(y)):
        t = x[0, i]
        r = ((a * t + b) * t + c) * t + d - y[i]
        loss += r * r
        ga += r * t * t * t
        gb += r * t * t
        gc += r * t
        gd += r
    g[0], g[1], g[2], g[3] = 2 * ga, 2 * gb, 2 * gc, 2 * gd
    return loss


def logistic(p: Array, x: Array, y: Array, g: Array) -> float:
    """In strips of rows, whose logits, then residuals, stay in the first-level cache."""
    loss = 0.0
    total = np.zeros(11)
    for strip in prange((len(y) + STRIP - 1) // STRIP):
        low = strip * STRIP
        count = min(STRIP, len(y) - low)
        z = np.full(count, p[10])
        part = np.zeros(11)
        for k in range(10):
            for i in range(count):
                z[i] += p[k] * x[k, low + i]
        for i in range(count):
            e = exp(-abs(z[i]))
            loss += max(z[i], 0.0) - y[low + i] * z[i] + log1p(e)
            z[i] = (1.0 if z[i] >= 0 else e) / (1 + e) - y[low + i]
            part[10] += z[i]
        for k in range(10):
            slope = 0.0
            for i in range(count):
                slope += z[i] * x[k, low + i]
            part[k] = slope
        total += part
    g[:] = total
    return loss


def gaussians(p: Array, x: Array, y: Array, g: Array) -> float:
    b1, b2, b3, b4, b5, b6, b7, b8 = p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]
    loss = g1 = g2 = g3 = g4 = g5 = g6 = g7 = g8 = 0.0
    for i in prange(len(y)):
        t, u = (x[0, i] - b4) / b5, (x[0, i] - b7) / b8
        decay, first, second = exp(-b2 * x[0, i]), exp(-t * t), exp(-u * u)
        r = b1 * decay + b3 * first + b6 * second - y[i]
        loss += r * r
        g1 += r * decay
        g2 += r * decay * x[0, i]
        g3 += r * first
        g4 += r * first * t
        g5 += r * first * t * t
        g6 += r * second
        g7 += r * second * u
        g8 += r * second * u * u
    f, s = 4 * b3 / b5, 4 * b6 / b8
    g[0], g[1], g[2], g[3] = 2 * g1, -2 * b1 * g2, 2 * g3, f * g4
    g[4], g[5], g[6], g[7] = f * g5, 2 * g6, s * g7, s * g8
    return loss


def prepare(way: str, given: Given) -> Steps:
    """One way to train what is given."""
    slopes = njit(fastmath=True, parallel=given.threads > 1)(globals()[given.model])
    *x, y = given.columns
    held, rate = np.stack(x), given.rate

    @njit(fastmath=True)
    def descend(p: Array, x: Array, y: Array, losses: Array) -> None:
        g = np.empty_like(p)
        for step in range(len(losses)):
            losses[step] = slopes(p, x, y, g) / len(y)
            for k in range(len(p)):
                p[k] -= rate / len(y) * g[k]

    def run(steps: int) -> tuple[Any, Any]:
        p, losses = np.array(given.start), np.empty(steps)
        descend(p, held, y, losses)
        return p, losses

    return run
