"""Muon: momentum whose matrix is made orthogonal before each step. For hidden matrices.

After Jordan et al., "Muon: an optimizer for hidden layers" (2024).
"""

import torch


def orthogonal(matrices, steps=5):
    """The nearest semi-orthogonal matrices, roughly: Newton-Schulz on [n, rows, columns]."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.bfloat16()
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr=0.02, momentum=0.95, weight_decay=0.0):
        groups = {}
        for param in params:
            groups.setdefault(tuple(param.shape), []).append(param)
        super().__init__([dict(params=same) for same in groups.values()],
                         dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            params = group["params"]
            gradients = torch.stack([param.grad for param in params])
            state = self.state[params[0]]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(gradients)
            state["momentum"].lerp_(gradients, 1 - group["momentum"])
            update = orthogonal(gradients.lerp(state["momentum"], group["momentum"]))
            rows, columns = params[0].shape
            scale = group["lr"] * max(1, rows / columns) ** 0.5
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(params, list(update.to(params[0].dtype).unbind()), alpha=-scale)
