"""examples/line.gd in JAX: twenty compiled steps of gradient descent, in binary64."""

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
x = jnp.array([-2.0, 3.0])


def loss(m: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.mean((m * x + b - (2 * x + 1)) ** 2)


@jax.jit
def step(m: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    dm, db = jax.grad(loss, (0, 1))(m, b)
    return m - 0.1 * dm, b - 0.1 * db


m = b = jnp.array(0.0)
for _ in range(20):
    m, b = step(m, b)
print(m)
print(b)
print(loss(m, b))
