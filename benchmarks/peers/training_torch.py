"""Gradient descent in PyTorch, in binary64: by autograd, or with the whole step compiled."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from workers import Given, Steps

torch.compiler.config.force_disable_caches = True  # the time to compile is measured, too


def line(p: Any, x: Any, y: Any) -> Any:
    m, b = p
    return ((m * x + b - y) ** 2).mean()


def cubic(p: Any, x: Any, y: Any) -> Any:
    a, b, c, d = p
    return ((((a * x + b) * x + c) * x + d - y) ** 2).mean()


def logistic(p: Any, x: Any, y: Any) -> Any:
    w, b = p
    return binary_cross_entropy_with_logits(w @ x + b, y)


def gaussians(p: Any, x: Any, y: Any) -> Any:
    b1, b2, b3, b4, b5, b6, b7, b8 = p
    peaks = b3 * torch.exp(-(((x - b4) / b5) ** 2)) + b6 * torch.exp(-(((x - b7) / b8) ** 2))
    return ((b1 * torch.exp(-b2 * x) + peaks - y) ** 2).mean()


def prepare(way: str, given: Given) -> Steps:
    """One way to train what is given."""
    torch.set_num_threads(given.threads)
    torch._dynamo.reset()
    loss_of = globals()[given.model]
    *x, y = map(torch.from_numpy, given.columns)
    held = (torch.stack(x) if len(x) > 1 else x[0], y)
    first = [torch.tensor(value, dtype=torch.float64) for value in given.start]
    if len(x) > 1:
        first = [torch.stack(first[:-1]), first[-1]]

    def step(p: Any, x: Any, y: Any) -> tuple[Any, Any]:
        g, loss = torch.func.grad_and_value(loss_of)(p, x, y)
        return [one - given.rate * slope for one, slope in zip(p, g, strict=True)], loss

    wrapper: Any = {"cpp_wrapper": way == "compiled, C++ wrapper"}
    compiled = torch.compile(step, dynamic=False, options=wrapper)

    @torch.no_grad()
    def functional(steps: int) -> tuple[Any, Any]:
        p, losses = first, []
        for _ in range(steps):
            p, loss = compiled(p, *held)
            losses.append(loss)
        return torch.hstack(p), losses

    def eager(steps: int) -> tuple[Any, Any]:
        p = [one.clone().requires_grad_() for one in first]
        losses = []
        for _ in range(steps):
            loss = loss_of(p, *held)
            g = torch.autograd.grad(loss, p)
            losses.append(loss.detach())
            with torch.no_grad():
                for one, slope in zip(p, g, strict=True):
                    one.sub_(slope, alpha=given.rate)
        return torch.hstack(p).detach(), losses

    return eager if way == "eager" else functional
