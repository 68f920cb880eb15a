"""Gradient descent in JAX, in binary64: a compiled loop of steps, or one step called again."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from workers import Given, Steps

jax.config.update("jax_enable_x64", True)
Parts = tuple[Any, ...]


def line(p: Parts, x: Any, y: Any) -> Any:
    m, b = p
    return jnp.mean((m * x + b - y) ** 2)


def cubic(p: Parts, x: Any, y: Any) -> Any:
    a, b, c, d = p
    return jnp.mean((((a * x + b) * x + c) * x + d - y) ** 2)


def logistic(p: Parts, x: Any, y: Any) -> Any:
    """Faster than with `softplus`; and, unlike the one with `maximum`, its slope is right at 0."""
    w, b = p
    z = w @ x + b
    size = jnp.abs(z)
    return jnp.mean((z + size) / 2 - y * z + jnp.log1p(jnp.exp(-size)))


def gaussians(p: Parts, x: Any, y: Any) -> Any:
    b1, b2, b3, b4, b5, b6, b7, b8 = p
    peaks = b3 * jnp.exp(-(((x - b4) / b5) ** 2)) + b6 * jnp.exp(-(((x - b7) / b8) ** 2))
    return jnp.mean((b1 * jnp.exp(-b2 * x) + peaks - y) ** 2)


def prepare(way: str, given: Given) -> Steps:
    """One way to train what is given."""
    *x, y = map(jnp.asarray, given.columns)
    held = (jnp.stack(x) if len(x) > 1 else x[0], y)
    first = tuple(map(jnp.asarray, given.start))
    if len(x) > 1:
        first = (jnp.stack(first[:-1]), first[-1])
    slopes = jax.value_and_grad(globals()[given.model])

    @jax.jit
    def step(p: Parts, columns: Any) -> tuple[Parts, Any]:
        loss, g = slopes(p, *columns)
        return tuple(one - given.rate * slope for one, slope in zip(p, g, strict=True)), loss

    @partial(jax.jit, static_argnames="room")
    def loop(p: Parts, columns: Any, steps: int, room: int) -> tuple[Parts, Any]:
        def body(i: Any, state: Any) -> tuple[Parts, Any]:
            p, loss = step(state[0], columns)
            return p, state[1].at[i].set(loss)

        return jax.lax.fori_loop(0, steps, body, (p, jnp.zeros(room)))

    def together(steps: int) -> tuple[Any, Any]:
        room = 10 ** len(str(steps))  # few sizes, so few compilations
        p, losses = jax.block_until_ready(loop(first, held, steps, room))
        return jnp.hstack(p), losses[:steps]

    def singly(steps: int) -> tuple[Any, Any]:
        p, losses = first, []
        for _ in range(steps):
            p, loss = step(p, held)
            losses.append(loss)
        return jnp.hstack(jax.block_until_ready(p)), losses

    return together if way == "fori_loop" else singly
