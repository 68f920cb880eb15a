"""The elementary functions as formulas over primitives, for the native backend.

A row of `OPS` names its kernel. Every kernel is branch-free (`rarely` apart), has no error above
2 ulp, and is right at ±0, subnormals, ±inf and nan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import basic, error_function, exponential, hyperbolic, logarithm, power, trigonometric

KERNELS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        exponential.exp,
        exponential.exp_extreme,
        exponential.expm1,
        exponential.expm1_extreme,
        exponential.sigmoid,
        exponential.sigmoid_extreme,
        logarithm.log,
        logarithm.log_extreme,
        logarithm.log2,
        logarithm.log2_extreme,
        logarithm.log10,
        logarithm.log10_extreme,
        logarithm.log1p,
        logarithm.log1p_extreme,
        logarithm.softplus,
        logarithm.softplus_extreme,
        hyperbolic.sinh,
        hyperbolic.sinh_extreme,
        hyperbolic.cosh,
        hyperbolic.cosh_extreme,
        hyperbolic.tanh,
        hyperbolic.tanh_extreme,
        hyperbolic.asinh,
        hyperbolic.asinh_extreme,
        hyperbolic.acosh,
        hyperbolic.acosh_extreme,
        hyperbolic.atanh,
        hyperbolic.atanh_extreme,
        power.cbrt,
        power.cbrt_extreme,
        power.hypot,
        power.hypot_extreme,
        trigonometric.sin,
        trigonometric.sin_huge,
        trigonometric.cos,
        trigonometric.tan,
        trigonometric.tan_huge,
        trigonometric.sinc,
        trigonometric.asin,
        trigonometric.acos,
        trigonometric.atan,
        trigonometric.atan2,
        trigonometric.atan2_extreme,
        error_function.erf,
        error_function.erf_far,
        error_function.erfc,
        error_function.erfc_far,
    )
}
KERNELS.update(
    pow=power.power,
    pow_extreme=power.power_extreme,
    min=basic.minimum,
    max=basic.maximum,
    clip=basic.clip,
    relu=basic.relu,
    sign=basic.sign,
    finite=basic.finite,
)
KERNELS["not"] = basic.negation
TABLES: dict[str, Any] = {"two_over_pi": trigonometric.two_over_pi}
