"""Derivatives of array operations: turns the adjoint of a result into adjoints of its arguments.

A pullback takes the graph under construction, the adjoint's id and the node's id, and answers with
one id (or None for no dependence) per argument. An adjoint is lazy: its shape may be any that
broadcasts to the node's, so a mean over a million rows starts from one number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import shapes as sh

if TYPE_CHECKING:
    from .graph import Graph

Adjoints = list[int | None]


def constant(g: Graph, adjoint: int, node: int) -> Adjoints:
    """Integers do not move: nothing comes back."""
    return [None] * len(g.args[node])


def _unreduce(g: Graph, value: int, node: int) -> int:
    """Something of the reduced shape, with the axis that `node` reduced put back as length 1."""
    axis, keep = g.option(node, "axis"), g.option(node, "keep", False)
    return value if axis is None or keep else _reinsert(g, value, g.shape(g.args[node][0]), axis)


def _reinsert(g: Graph, value: int, whole: sh.Shape, axis: int) -> int:
    """A lazy value without one axis of `whole`, with that axis as length 1 if it must show."""
    after = len(whole) - 1 - sh.axis_of(axis, len(whole)) if whole else 0
    shown = len(g.shape(value))
    return g.call("expand", value, axis=shown - after) if shown > after else value


def sum_(g: Graph, adjoint: int, node: int) -> Adjoints:
    return [_unreduce(g, adjoint, node)]


def mean(g: Graph, adjoint: int, node: int) -> Adjoints:
    (arg,) = g.args[node]
    return [g.div(_unreduce(g, adjoint, node), g.count(g.shape(arg), g.option(node, "axis")))]


def extreme(g: Graph, adjoint: int, node: int) -> Adjoints:
    """Ties share: the indicator of the extreme elements over how many there are."""
    (arg,) = g.args[node]
    hit = g.call("where", g.call("=", arg, _unreduce(g, node, node)), g.number(1), g.number(0))
    ties = g.call("sum", hit, axis=g.option(node, "axis"), keep=True)
    return [g.mul(_unreduce(g, adjoint, node), g.div(hit, ties))]


def logsumexp(g: Graph, adjoint: int, node: int) -> Adjoints:
    (arg,) = g.args[node]
    softmax = g.call("exp", g.sub(arg, _unreduce(g, node, node)))
    return [g.mul(_unreduce(g, adjoint, node), softmax)]


def dot(g: Graph, adjoint: int, node: int) -> Adjoints:
    a, b = g.args[node]
    whole = sh.broadcast(g.shape(a), g.shape(b))
    back = _reinsert(g, adjoint, whole, -1)
    return [
        g.sum_to(g.mul(back, b), whole, g.shape(a)),
        g.sum_to(g.mul(back, a), whole, g.shape(b)),
    ]


def matmul(g: Graph, adjoint: int, node: int) -> Adjoints:
    a, b = g.args[node]
    back = g.full(adjoint, node)

    def turned(m: int) -> int:
        return g.call("transpose", m)

    def column(v: int) -> int:
        return g.call("expand", v, axis=1)

    match len(g.shape(a)), len(g.shape(b)):
        case 1, 1:
            return [g.mul(back, b), g.mul(back, a)]
        case 2, 1:
            return [g.mul(column(back), b), g.call("@", turned(a), back)]
        case 1, _:
            return [g.call("@", b, back), g.mul(column(a), back)]
    return [g.call("@", back, turned(b)), g.call("@", turned(a), back)]


def solve(g: Graph, adjoint: int, node: int) -> Adjoints:
    """x = A⁻¹b: b̄ = A⁻ᵀx̄, Ā = -b̄xᵀ."""
    a, b = g.args[node]
    back = g.call("solve", g.call("transpose", a), g.full(adjoint, node))
    if len(g.shape(b)) == 1:
        outer = g.mul(g.call("expand", back, axis=1), node)
    else:
        outer = g.call("@", back, g.call("transpose", node))
    return [g.neg(outer), back]


def transpose(g: Graph, adjoint: int, node: int) -> Adjoints:
    return [g.call("transpose", g.full(adjoint, node)) if g.shape(adjoint) else adjoint]


def expand(g: Graph, adjoint: int, node: int) -> Adjoints:
    if not g.shape(adjoint):
        return [adjoint]
    return [g.call("sum", g.full(adjoint, node), axis=g.option(node, "axis", -1))]


def ref(g: Graph, adjoint: int, node: int) -> Adjoints:
    whole = g.shape(g.args[node][0])
    first = sh.axis_of(g.option(node, "axis") or 0, len(whole))
    back = g.full(adjoint, node)
    index = g.option(node, "index", ())
    for at in reversed(range(first, first + len(index))):
        length = whole[at]
        assert isinstance(length, int)  # the shape rule refuses to index rows
        i = index[at - first] % length
        back = g.call("expand", back, axis=first)
        back = g.call("pad", back, axis=first, before=i, after=length - 1 - i)
    return [back]


def slice_(g: Graph, adjoint: int, node: int) -> Adjoints:
    axis, start = g.option(node, "axis", 0), g.option(node, "start", 0)
    length = g.shape(g.args[node][0])[axis]
    assert isinstance(length, int)
    stop = g.option(node, "stop", length)
    return [g.call("pad", g.full(adjoint, node), axis=axis, before=start, after=length - stop)]


def pad(g: Graph, adjoint: int, node: int) -> Adjoints:
    axis, before = g.option(node, "axis", 0), g.option(node, "before", 0)
    length = g.shape(g.args[node][0])[axis]
    assert isinstance(length, int)
    back = g.full(adjoint, node)
    return [g.call("slice", back, axis=axis, start=before, stop=before + length)]


def pick(g: Graph, adjoint: int, node: int) -> Adjoints:
    values, index = g.args[node]
    whole = g.shape(values)
    hot = g.call("one-hot", index, length=whole[-1])
    back = g.mul(_reinsert(g, adjoint, (*g.shape(node), 1), -1), hot)
    return [g.sum_to(back, (*g.shape(node), whole[-1]), whole), None]


def fill(g: Graph, adjoint: int, node: int) -> Adjoints:
    return [g.sum_to(adjoint, g.shape(node), g.shape(g.args[node][0])), None]


def stack(g: Graph, adjoint: int, node: int) -> Adjoints:
    args = g.args[node]
    whole = sh.broadcast(*map(g.shape, args))
    at = sh.axis_of(g.option(node, "axis", 0), len(whole) + 1)
    back = g.full(adjoint, node)
    return [
        g.sum_to(g.call("ref", back, index=(i,), axis=at), whole, g.shape(arg))
        for i, arg in enumerate(args)
    ]


def concat(g: Graph, adjoint: int, node: int) -> Adjoints:
    axis = g.option(node, "axis", 0)
    back = g.full(adjoint, node)
    adjoints: Adjoints = []
    start = 0
    for arg in g.args[node]:
        length = g.shape(arg)[axis]
        assert isinstance(length, int)
        adjoints.append(g.call("slice", back, axis=axis, start=start, stop=start + length))
        start += length
    return adjoints
