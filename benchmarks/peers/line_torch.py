"""examples/line.gd in PyTorch: twenty steps of gradient descent, in binary64."""

import torch

x = torch.tensor([-2.0, 3.0], dtype=torch.float64)
m = torch.zeros((), dtype=torch.float64, requires_grad=True)
b = torch.zeros((), dtype=torch.float64, requires_grad=True)


def loss() -> torch.Tensor:
    return ((m * x + b - (2 * x + 1)) ** 2).mean()


optimizer = torch.optim.SGD([m, b], lr=0.1)
for _ in range(20):
    optimizer.zero_grad()
    loss().backward()
    optimizer.step()
print(m.item())
print(b.item())
print(loss().item())
