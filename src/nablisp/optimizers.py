"""How parameters move: one row each, an update rule written as expressions; names of methods.

A rule's formulas are taken in order; each gives a name its new value, and later ones see it. The
names are the parameter `p`, its gradient `g`, its rate `lr`, the step number `t` (from 1), the
row's settings and its state. Adding an optimizer is adding a row.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Optimizer:
    """`state` maps names to starts, `settings` names to defaults, both available as keywords."""

    name: str
    doc: str
    update: dict[str, str]
    rate: float
    state: dict[str, float] = field(default_factory=dict)
    settings: dict[str, float] = field(default_factory=dict)
    decoupled: bool = False
    """does its own formula apply the weight decay, as `decay`?"""


_ADAM = {
    "m": "(+ (* beta1 m) (* (- 1 beta1) g))",
    "v": "(+ (* beta2 v) (* (- 1 beta2) (** g 2)))",
    "p": "(- p (/ (* lr (/ m (- 1 (** beta1 t)))) (+ (sqrt (/ v (- 1 (** beta2 t)))) eps)))",
}
_ADAM_SETTINGS = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}

OPTIMIZERS = {
    row.name: row
    for row in (
        Optimizer(
            "gd",
            "gradient descent: against the gradient, by the rate",
            {"p": "(- p (* lr g))"},
            rate=0.1,
        ),
        Optimizer(
            "momentum",
            "gradient descent with a velocity (Polyak 1964)",
            {"v": "(+ (* beta v) g)", "p": "(- p (* lr v))"},
            rate=0.01,
            state={"v": 0},
            settings={"beta": 0.9},
        ),
        Optimizer(
            "nesterov",
            "momentum that looks ahead (Nesterov 1983, as Sutskever et al. 2013 write it)",
            {"v": "(+ (* beta v) g)", "p": "(- p (* lr (+ g (* beta v))))"},
            rate=0.01,
            state={"v": 0},
            settings={"beta": 0.9},
        ),
        Optimizer(
            "adagrad",
            "rates that shrink with the squares met so far (Duchi et al. 2011)",
            {"s": "(+ s (** g 2))", "p": "(- p (/ (* lr g) (+ (sqrt s) eps)))"},
            rate=0.1,
            state={"s": 0},
            settings={"eps": 1e-10},
        ),
        Optimizer(
            "rmsprop",
            "rates over a moving mean of squares (Hinton 2012)",
            {
                "s": "(+ (* rho s) (* (- 1 rho) (** g 2)))",
                "p": "(- p (/ (* lr g) (+ (sqrt s) eps)))",
            },
            rate=0.01,
            state={"s": 0},
            settings={"rho": 0.99, "eps": 1e-8},
        ),
        Optimizer(
            "adam",
            "moving means of gradient and square, bias corrected (Kingma and Ba 2015)",
            _ADAM,
            rate=0.01,
            state={"m": 0, "v": 0},
            settings=_ADAM_SETTINGS,
        ),
        Optimizer(
            "adamw",
            "adam with the weight decay outside the gradient (Loshchilov and Hutter 2019)",
            {**_ADAM, "p": _ADAM["p"].replace("(- p", "(- (* p (- 1 (* lr decay)))", 1)},
            rate=0.01,
            state={"m": 0, "v": 0},
            settings=_ADAM_SETTINGS,
            decoupled=True,
        ),
    )
}

METHODS = {
    "newton": "Newton's method in a trust region, with the exact Hessian (Moré and Sorensen 1983)",
    "lbfgs": "L-BFGS with a line search (Liu and Nocedal 1989); where the whole Hessian is cheap, "
    "newton finishes",
}
"""What `:by` takes besides: no rules for a step, but ways to a minimum, over all rows."""

SCHEDULES = {
    "cosine": ("(cosine high low)", "(+ b (* 0.5 (- a b) (+ 1 (cos (* pi (/ (- t 1) total))))))"),
    "linear": ("(linear from to)", "(+ a (* (- b a) (/ (- t 1) total)))"),
    "step": ("(step rate factor every)", "(* a (** b (floor (/ (- t 1) c))))"),
    "exponential": ("(exponential rate factor)", "(* a (** b (- t 1)))"),
    "warmup": ("(warmup rate steps)", "(* a (min 1 (/ t b)))"),
}
"""Learning rates over time: signature, and a formula over its arguments a b c, t and total."""
