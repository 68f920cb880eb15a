"""Training: every rule against a loop written by hand, every option, and every way to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from nablisp import NablispError, Session, parse, train
from nablisp.optimizers import OPTIMIZERS, SCHEDULES
from nablisp.orders import row_order, split
from nablisp.results import STATUS, Progress, Result

Array = np.ndarray[Any, np.dtype[np.float64]]

X = np.array([-2.0, 3.0, 0.5, 1.5, -1.0])
Y = np.array([-3.0, 7.0, 2.5, 3.5, -1.5])
LINE = "(mean (** (- (+ (* m x) b) y) 2))"
START = {"m": 0.3, "b": -0.2}


def slope(p: Array, x: Array = X, y: Array = Y) -> Array:
    """The gradient of LINE by m and b, written by hand."""
    residual = p[0] * x + p[1] - y
    return np.array([2 * np.mean(residual * x), 2 * np.mean(residual)])


def loss(p: Array, x: Array = X, y: Array = Y) -> float:
    return float(np.mean((p[0] * x + p[1] - y) ** 2))


def trained(**options: Any) -> Any:
    return train(parse(LINE), START, data={"x": X, "y": Y}, **options)


def at(result: Any) -> Array:
    return np.array([result.params["m"], result.params["b"]])


# ---- rules ---------------------------------------------------------------------------------------

Rule = Callable[[Array, Array, Any, int, dict[str, Array]], Array]


def _moved(p: Array, step: Array) -> Array:
    return p - step


def _momentum(p: Array, g: Array, lr: Any, t: int, s: dict[str, Array]) -> Array:
    s["v"] = 0.9 * s.get("v", 0 * g) + g
    return _moved(p, lr * s["v"])


def _nesterov(p: Array, g: Array, lr: Any, t: int, s: dict[str, Array]) -> Array:
    s["v"] = 0.9 * s.get("v", 0 * g) + g
    return _moved(p, lr * (g + 0.9 * s["v"]))


def _adagrad(p: Array, g: Array, lr: Any, t: int, s: dict[str, Array]) -> Array:
    s["s"] = s.get("s", 0 * g) + g**2
    return _moved(p, lr * g / (np.sqrt(s["s"]) + 1e-10))


def _rmsprop(p: Array, g: Array, lr: Any, t: int, s: dict[str, Array]) -> Array:
    s["s"] = 0.99 * s.get("s", 0 * g) + 0.01 * g**2
    return _moved(p, lr * g / (np.sqrt(s["s"]) + 1e-8))


def _adam(p: Array, g: Array, lr: Any, t: int, s: dict[str, Array]) -> Array:
    s["m"] = 0.9 * s.get("m", 0 * g) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0 * g) + 0.001 * g**2
    step = (s["m"] / (1 - 0.9**t)) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)
    return _moved(p, lr * step)


def _adamw(p: Array, g: Array, lr: Any, t: int, s: dict[str, Array]) -> Array:
    return _adam(p * (1 - lr * 0.01), g, lr, t, s)


RULES: dict[str, Rule] = {
    "gd": lambda p, g, lr, t, s: p - lr * g,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
}


def by_hand(
    rule: Rule, steps: int, rate: Callable[[int], Any], change: Callable[[Array, Array], Array]
) -> Array:
    p = np.array([START["m"], START["b"]])
    state: dict[str, Array] = {}
    for t in range(1, steps + 1):
        p = rule(p, change(slope(p), p), rate(t), t, state)
    return p


def test_rules_are_all_here() -> None:
    assert RULES.keys() == OPTIMIZERS.keys()


@pytest.mark.parametrize("by", RULES)
def test_a_rule_is_the_loop_by_hand(by: str) -> None:
    expected = by_hand(RULES[by], 50, lambda t: 0.02, lambda g, p: g)
    np.testing.assert_allclose(at(trained(by=by, lr=0.02, steps=50)), expected, rtol=1e-12)


@pytest.mark.parametrize("by", RULES)
def test_a_rule_takes_arrays(by: str) -> None:
    """One array parameter moves as its elements would."""
    whole = train(
        parse("(mean (** (- (dot X w) y) 2))"),
        {"w": [START["m"], START["b"]]},
        data={"X": np.stack([X, np.ones(5)], axis=1), "y": Y},
        by=by, lr=0.02, steps=50,
    )  # fmt: skip
    np.testing.assert_allclose(whole.params["w"], at(trained(by=by, lr=0.02, steps=50)), rtol=1e-12)


OPTIONS: list[tuple[dict[str, Any], Callable[[int], Any], Callable[[Array, Array], Array]]] = [
    ({"lr": {"m": 0.02, "b": 0.1}}, lambda t: np.array([0.02, 0.1]), lambda g, p: g),
    ({"lr": 0.02, "weight_decay": 0.3}, lambda t: 0.02, lambda g, p: g + 0.3 * p),
    ({"lr": 0.02, "clip": 0.5}, lambda t: 0.02, lambda g, p: g * min(1, 0.5 / np.hypot(*g))),
    ({"lr": 0.02, "clip": 1e9}, lambda t: 0.02, lambda g, p: g),
    ({"schedule": ("cosine", 0.1, 0.01)},
     lambda t: 0.01 + 0.5 * 0.09 * (1 + np.cos(np.pi * (t - 1) / 40)), lambda g, p: g),
    ({"schedule": ("linear", 0.1, 0.01)}, lambda t: 0.1 - 0.09 * (t - 1) / 40, lambda g, p: g),
    ({"schedule": ("step", 0.1, 0.5, 15)}, lambda t: 0.1 * 0.5 ** ((t - 1) // 15), lambda g, p: g),
    ({"schedule": ("exponential", 0.1, 0.9)}, lambda t: 0.1 * 0.9 ** (t - 1), lambda g, p: g),
    ({"schedule": ("warmup", 0.1, 8)}, lambda t: 0.1 * min(1, t / 8), lambda g, p: g),
    ({"schedule": ("step", 0.1, 0.5, 15), "lr": {"m": 0.02}},
     lambda t: np.array([0.02, 0.1]) * 0.5 ** ((t - 1) // 15), lambda g, p: g),
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "rate", "change"), OPTIONS, ids=[str(options)[1:50] for options, _, _ in OPTIONS]
)
@pytest.mark.parametrize("by", ["gd", "adam"])
def test_options_are_what_they_say(
    by: str, options: dict[str, Any],
    rate: Callable[[int], Any], change: Callable[[Array, Array], Array],
) -> None:  # fmt: skip
    expected = by_hand(RULES[by], 40, rate, change)
    np.testing.assert_allclose(at(trained(by=by, steps=40, **options)), expected, rtol=1e-12)


def test_schedules_are_all_here() -> None:
    assert {o["schedule"][0] for o, _, _ in OPTIONS if "schedule" in o} == SCHEDULES.keys()


def test_the_article() -> None:
    r = Session().run("""
        (params m b) (data x [-2 3])
        (train (mse (+ (* m x) b) (+ (* 2 x) 1)) :lr 0.1 :steps 20)
    """)
    assert r.params["m"] == pytest.approx(2.0010576248168945, abs=1e-12)
    assert r.params["b"] == pytest.approx(0.9882707595825195, abs=1e-12)
    assert r.loss == pytest.approx(1.3244065166873e-04, abs=1e-12)
    assert (r.status, r.steps, len(r.history["loss"]), len(r.history["m"])) == ("steps", 20, 21, 21)
    assert r.history["loss"][[0, -1]].tolist() == [29.0, r.loss]
    assert r.history["b"][-1] == r.params["b"]
    expected = slope(at(r), np.array([-2.0, 3.0]), np.array([-3.0, 7.0]))
    np.testing.assert_allclose([r.gradient["m"], r.gradient["b"]], expected, rtol=1e-9)


# ---- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 99])
def test_batches_are_shuffled_by_seed_and_epoch(batch: int) -> None:
    """A short last batch counts for its rows: its gradient is scaled by rows / batch."""
    p, size = np.array([START["m"], START["b"]]), min(batch, 5)
    for epoch in range(7):
        order = row_order(5, 11, epoch)
        for first in range(0, 5, size):
            rows = order[first : first + size]
            p = p - 0.02 * slope(p, X[rows], Y[rows]) * len(rows) / size
    r = trained(lr=0.02, batch=batch, epochs=7, seed=11)
    np.testing.assert_allclose(at(r), p, rtol=1e-12)
    assert r.steps == 7 * -(-5 // size)
    again = trained(lr=0.02, batch=batch, epochs=7, seed=11)
    assert again.params == r.params
    assert batch >= 5 or trained(lr=0.02, batch=batch, epochs=7, seed=12).params != r.params


def test_epochs_and_steps_both_bound() -> None:
    assert trained(batch=2, epochs=3, steps=4).steps == 4
    assert trained(batch=2, epochs=1, steps=40).steps == 3
    assert trained(epochs=6).steps == 6


def test_rows_held_out_are_never_seen() -> None:
    kept, held = split(5, 0.4, 3)
    r = trained(lr=0.02, holdout=0.4, seed=3, steps=30)
    p = np.array([START["m"], START["b"]])
    best, best_loss = p, np.inf
    for _ in range(30):
        p = p - 0.02 * slope(p, X[kept], Y[kept])
        if (found := loss(p, X[held], Y[held])) < best_loss:
            best, best_loss = p, found
    np.testing.assert_allclose(at(r), best, rtol=1e-12)
    assert r.held_loss == pytest.approx(best_loss, rel=1e-9)
    assert r.loss == pytest.approx(loss(best, X[kept], Y[kept]), rel=1e-9)


def test_patience_keeps_the_best() -> None:
    """Noise makes the held-out rows worse from some step on."""
    r = train(
        parse("(mean (** (- (* m x) y) 2))"), {"m": 0.0}, lr=0.05, steps=500, patience=4,
        holdout=0.5, seed=1, data={"x": [1.0, 1.0, 1.0, 1.0], "y": [1.0, 1.2, 0.9, 0.7]},
    )  # fmt: skip
    _, held = split(4, 0.5, 1)
    assert r.status == "patience"
    assert r.steps < 500
    target = float(np.mean(np.array([1.0, 1.2, 0.9, 0.7])[held]))
    tried = r.history["m"][:-1]
    assert r.params["m"] == min(tried[1:], key=lambda m: abs(m - target))


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize(
    "options", [":tol 1e-3", ":until (< m 0.9)", ":lr 9", ":patience 2 :lr 0.4", ":steps 7"]
)
def test_history_is_the_loss_before_each_step_and_at_the_end(options: str, backend: str) -> None:
    r = Session(backend=backend).run(f"(params (m 3)) (train (** (- m 0.5) 2) {options})")
    assert len(r.history["loss"]) == len(r.history["m"]) == r.steps + 1
    assert (r.history["loss"][-1], r.history["m"][-1]) == (r.loss, r.params["m"])


# ---- ends ----------------------------------------------------------------------------------------

ENDS = [
    # what to run after (params m (k 1)) (data x [1 2 3]), status, words of its text
    ("(train (** (- m 1) 2) :steps 3)", "steps", "3 steps"),
    ("(train (** (- m 1) 2) :tol 1e-6)", "converged", "at a minimum"),
    ("(train (- (** m 2)) :tol 1e-6)", "stalled", "not a minimum"),
    ("(train (- (** m 2)) :by adam :tol 1e-6)", "stalled", "not a minimum"),
    ("(train (** (- m 1) 2) :until (> m 0.5))", "until", "condition"),
    ("(train (** (- m 1) 2) :until true)", "until", "0 steps"),
    ("(train (mean (** (- m x) 2)) :batch 1 :until (> m 1.5))", "until", "condition"),
    ("(train (mean (** (- m x) 2)) :batch 1 :lr 0.01 :tol 0.2)", "converged", "minimum"),
    ("(train (** (- m 1) 2) :seconds 0)", "time", "time was up"),
    ("(train (** (- m 1) 2) :lr 1e-9 :seconds 0.02)", "time", "time was up"),
    ("(train (** (- m 1) 2) :patience 3)", "patience", "best parameters are kept"),
    ("(train (** (- m 1) 2) :lr 1.5)", "diverged", "largest stable learning rate for this loss"),
    ("(train (sqrt k) :lr 1)", "diverged", "at step 2: (sqrt k) became nan (p.gd:1:42)"),
    ("(train (sqrt m))", "diverged", "at step 0: "),
    ("(train (mean (log (* k (- x 2)))))", "diverged", "row 0: (log (* k (- x 2))) became nan"),
    ("(train (mean (log (* k (- x 1)))))", "diverged", "row 0: (log (* k (- x 1))) became -inf"),
    ("(train (sqrt k) :lr 2 :steps 1)", "diverged", "at step 1"),
    ("(train (** m 2) :steps 2)", "steps", "loss 0 → 0"),
]


@pytest.mark.parametrize(("form", "status", "words"), ENDS)
def test_a_run_says_why_it_stopped(form: str, status: str, words: str) -> None:
    r = list(Session().values(f"(params m (k 1)) (data x [1 2 3]) {form}", name="p.gd"))[-1][1]
    assert r.status == status, r.text
    assert words in r.text
    assert STATUS[status] in r.text
    assert all(np.isfinite(v) for v in r.params.values())


def test_batches_are_judged_over_all_rows() -> None:
    """One row that happens to fit is no reason to stop."""
    r = Session().run("""
        (params m) (data x [0 2 4]) (train (mean (** (- m x) 2)) :batch 1 :tol 1e-3 :epochs 20)
    """)
    assert (r.status, r.steps) == ("steps", 60)


def test_divergence_names_the_row_of_the_data() -> None:
    """Whatever was held out or shuffled."""
    x = np.arange(20.0) + 1
    x[13] = np.nan
    for options in ({}, {"batch": 4}, {"holdout": 0.2, "seed": 2}):
        r = train(parse("(mean (** (- m x) 2))"), {"m": 0}, data={"x": x}, steps=30, **options)
        if 13 in split(20, 0.2, 2)[0] or "holdout" not in options:
            assert "row 13: x became nan" in r.text
            assert r.status == "diverged"


def test_divergence_keeps_the_best() -> None:
    """The article's quadratic with too large a rate, and the rates that would do."""
    session = Session()
    session.run("""
        (params a b c) (data x [-2 0 3])
        (define loss (mse (+ (* a x x) (* b x) c) (+ (* x x) (* 2 x) 1)))
    """)
    r = session.run("(train loss :lr 0.1 :steps 1000)")
    assert r.status == "diverged"
    assert r.loss <= r.history["loss"].min()
    limit = float(r.text.split("is about ")[1].split()[0])
    assert limit == pytest.approx(2 / np.linalg.eigvalsh(_quadratic_hessian())[-1], rel=1e-5)
    assert "condition number 109" in r.text
    rates = r.text[r.text.index(":lr (") :]
    assert session.run(f"(train loss {rates} :steps 3000)").loss < 1e-20
    session.run("(reset)")
    assert session.run(f"(train loss :lr {0.99 * limit} :steps 3000)").status == "steps"
    session.run("(reset)")
    assert session.run(f"(train loss :lr {1.02 * limit} :steps 3000)").status == "diverged"


def _quadratic_hessian() -> Array:
    rows = np.stack([np.array([x * x, x, 1.0]) for x in (-2.0, 0.0, 3.0)])
    hessian: Array = 2 * rows.T @ rows / 3
    return hessian


@pytest.mark.parametrize("where", ["while it steps", "while it is watched"])
def test_an_interrupt_keeps_what_was_reached(where: str) -> None:
    session = Session()
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT))

    def see(seen: Progress | Result) -> None:
        if isinstance(seen, Result):
            return
        if where == "while it is watched" and seen.step:
            raise KeyboardInterrupt
        if timer.ident is None and seen.step:
            timer.start()

    session.watch = lambda asked: nullcontext(see)
    r = session.run("(params m) (train (** (- m 1) 2) :lr 1e-7 :steps 100000000)")
    assert r.status == "interrupted"
    assert r.steps < 100_000_000
    assert 0 < session.run("(val m)") == r.params["m"] < 1


# ---- parameters ----------------------------------------------------------------------------------

MOVES = [
    # declarations, options, parameters afterwards
    ("(params m k)", "", {"m": 0.2, "k": 0.4}),
    ("(params m k unused)", "", {"m": 0.2, "k": 0.4, "unused": 0}),
    ("(params m k)", ":wrt m", {"m": 0.2, "k": 0}),
    ("(params m k)", ":wrt (m k)", {"m": 0.2, "k": 0.4}),
    ("(param m 0 :lr 0.2) (params k)", "", {"m": 0.4, "k": 0.4}),
    ("(param m 0 :lr 0.2) (params k)", ":lr ((m 0.3))", {"m": 0.6, "k": 0.4}),
    ("(param m 0 :lr 0.2) (params k)", ":lr ((k 0.3))", {"m": 0.4, "k": 1.2}),
    ("(param m 0 :fixed true) (params k)", "", {"m": 0, "k": 0.4}),
    ("(param m 0 :max 0.1) (param k 0 :min -1)", "", {"m": 0.1, "k": 0.4}),
    ("(param m 0 :max 0.1) (params k)", ":by adam :lr 0.5", {"m": 0.1, "k": 0.5}),
]


@pytest.mark.parametrize(("declared", "options", "after"), MOVES)
def test_parameters_move_as_declared(
    declared: str, options: str, after: Mapping[str, float]
) -> None:
    session = Session()
    session.run(f"{declared} (train (+ (** (- m 1) 2) (** (- k 2) 2)) {options} :steps 1)")
    found = {name: session.run(f"(val {name})") for name in after}
    assert found == pytest.approx(after, rel=1e-6)


def test_training_again_goes_on() -> None:
    session = Session()
    session.run(f"(params m b) {''.join(_columns())} (define loss {LINE})")
    for _ in range(4):
        session.run("(train loss :lr 0.02 :steps 10)")
    once = Session()
    once.run(f"(params m b) {''.join(_columns())} (train {LINE} :lr 0.02 :steps 40)")
    assert session.run("(val m)") == once.run("(val m)")


def _columns() -> Iterator[str]:
    for name, column in (("x", X), ("y", Y)):
        yield f"(data {name} [{' '.join(map(str, column.tolist()))}])"


EDGES = [
    ("(data x [5]) (train (mean (** (- m x) 2)) :lr 0.5 :steps 1)", 5.0),  # one row
    ("(data x [5 5 5]) (train (mean (** (- m x) 2)) :lr 0.5 :steps 1)", 5.0),  # a constant column
    ("(data x [1 3]) (train (/ (sum (** (- m x) 2)) (rows)) :lr 0.5 :steps 1)", 2.0),
    ("(data x [1 3]) (train (+ (** (- m 2) 2) (* 0 (rows))) :lr 0.5 :steps 1)", 2.0),
    ("(train (** (- m 7) 2) :lr 0.5 :steps 1)", 7.0),  # no columns
    ("(data x [1 3]) (data y [2 6]) (train (mse (* m x) y) :lr 0.1 :steps 1)", 2.0),
]


@pytest.mark.parametrize(("program", "m"), EDGES)
def test_small_data(program: str, m: float) -> None:
    assert Session().run(f"(params m) {program}").params["m"] == pytest.approx(m)


MISTAKES = [
    # a call after (params m b) (data x [1 2]) (define loss …), kind, what it points at, words
    ("(train (* m x))", "shape", None, "wrap it in mean or sum"),
    ("(train (mean x))", "value", None, "does not depend on any parameter"),
    ("(train (> m 0))", "type", None, "is true or false"),
    ('(train "a")', "type", '"a"', "the loss must be"),
    ("(train (+ m q))", "unbound-name", None, "q has no value"),
    ("(train loss :by adm)", "value", None, "did you mean adam?"),
    ("(train loss :by newton :lr 0.1)", "keyword", None, "newton takes no :lr"),
    ("(train loss :by lbfgs :batch 1)", "keyword", None, "lbfgs takes no :batch"),
    ("(train loss :by 3)", "type", "3", "takes a name"),
    ("(train loss :lr -1)", "value", "-1", ":lr must be a number from 0"),
    ("(train loss :by adam :lr auto)", "value", None, ":lr auto reads rates off the curvature"),
    ("(train loss :lr (m 0.1))", "syntax", "m", ":lr ((a 1e-4) (b 1e-2))"),
    ("(train loss :lr ((m 0.1) (m 0.2)))", "name", "(m 0.2)", "m has two rates"),
    ("(train loss :lr ((q 0.1)))", "unbound-name", None, ":lr names q"),
    ("(train loss :lr ((m -1)))", "value", "-1", "the rate of m must be"),
    ("(train loss :steps 1.5)", "value", "1.5", "a whole number"),
    ("(train loss :steps inf)", "value", "inf", "a whole number"),
    ("(train loss :epochs nan)", "value", "nan", "a whole number"),
    ("(train loss :batch 0)", "value", "0", "a whole number from 1"),
    ("(train (** m 2) :batch 1)", "value", None, ":batch needs columns"),
    ("(train loss :holdout 1)", "value", "1", "between 0 and 1"),
    ("(train loss :holdout 0.1)", "value", None, "each side needs a row"),
    ("(train loss :patience 0)", "value", "0", "a whole number from 1"),
    ("(train loss :seed -1)", "value", "-1", "a whole number from 0"),
    ("(train loss :tol -1)", "value", "-1", "a number from 0"),
    ("(train loss :seconds x)", "type", "x", ":seconds must be a number"),
    ("(train loss :clip 0)", "value", "0", "a positive number"),
    ("(train loss :weight-decay -1)", "value", "-1", "a number from 0"),
    ("(train loss :until loss)", "type", None, ":until takes a condition"),
    ("(train loss :until (> x 1))", "shape", None, ":until has shape [rows]"),
    ("(train loss :until (> q 1))", "unbound-name", None, "q has no value"),
    ("(train loss :wrt q)", "unbound-name", None, ":wrt names q"),
    ("(train loss :wrt ())", "value", None, "all held fixed: m, b"),
    ("(train loss :schedule 3)", "syntax", "3", "(cosine high low)"),
    ("(train loss :schedule (cosin 1 2))", "value", None, "did you mean cosine?"),
    ("(train loss :schedule (cosine 1))", "arity", None, "cosine takes 2 numbers, not 1"),
    ("(train loss :schedule (cosine 1 2) :seconds 1)", "value", None, "needs :steps or :epochs"),
    ("(train loss :schedule (cosine 1 2) :lr 1)", "value", None, "leave one of them out"),
    ("(train loss :backend jax)", "unavailable", "jax", "not part of this version yet"),
    ("(train loss :threads 0)", "value", "0", "a whole number from 1 to 1024"),
    ("(train loss :backend nump)", "value", "nump", "did you mean numpy?"),
    ("(train loss :beta 1)", "keyword", None, "gd has no setting :beta"),
    ("(train loss :by adam :beta1 inf)", "value", "inf", ":beta1 must be a finite number"),
]


@pytest.mark.parametrize(("form", "kind", "where", "words"), MISTAKES)
def test_mistakes(form: str, kind: str, where: str | None, words: str) -> None:
    session = Session()
    session.run("(params m b) (data x [1 2]) (define loss (mse (+ (* m x) b) x))")
    with pytest.raises(NablispError) as caught:
        session.run(form)
    error = caught.value
    assert (error.kind, error.span and error.span.text) == (kind, where or form), str(error)
    assert words in f"{error.message}\n{error.hint}"
    assert session.run("(val m)") == 0, "nothing has moved"


def test_python_says_the_same() -> None:
    for options, words in (
        ({"lrr": 1}, "did you mean lr?"),
        ({"lr": -1}, "must be a number from 0"),
        ({"lr": {"m": "a"}}, "must be a number"),
        ({"steps": 1.5}, "a whole number"),
        ({"schedule": "cosine"}, "cosine takes 2 numbers, not 0"),
        ({"beta1": np.inf, "by": "adam"}, "a finite number"),
    ):
        with pytest.raises(NablispError) as caught:
            trained(**options)
        assert words in str(caught.value)
    assert trained(until=parse("(> m 1)"), lr=0.05).status == "until"
    assert trained(wrt="m", steps=np.int64(3)).params.keys() == {"m"}


def test_a_step_costs_little() -> None:
    """Training is not interpretation: its expressions are compiled once."""
    r = trained(lr=0.02, steps=2000)
    assert r.seconds / r.steps < 1e-3
