"""Steps whose intermediate results a backward pass computes anew instead of keeping them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Coefficients = Sequence[Tensor]
Advance = Callable[[Tensor, Sequence[Coefficients]], tuple[Tensor, ...]]


def recomputed(advance: Advance, velocity: Tensor, per_step: Sequence[Coefficients]) -> tuple[Tensor, ...]:
    """``advance(velocity, per_step)``, of which a backward pass finds only the arguments.

    ``torch.utils.checkpoint`` would do, but leaves the nodes of the forward graph alive. Small as they are, they lie
    between the freed fields and keep glibc from joining the holes: a hundred steps of 128 x 128 cells took 3 GB.

    Args:
        advance: What is run now without a graph, and once more with one in the backward pass.
        velocity: Where it starts.
        per_step: Coefficients of every step.
    """
    # The last step first, so that their gradients are added in the order in which they would be without this.
    flat = [tensor for coefficients in reversed(per_step) for tensor in coefficients]
    return _Recomputed.apply(advance, len(per_step), velocity, *flat)


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, advance: Advance, num_steps: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.advance, ctx.num_steps = advance, num_steps
        ctx.save_for_backward(*tensors)
        return advance(tensors[0], _by_step(tensors[1:], num_steps))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        needed = ctx.needs_input_grad[2:]
        pairs = zip(ctx.saved_tensors, needed, strict=True)
        leaves = [tensor.detach().requires_grad_(wanted) for tensor, wanted in pairs]
        with torch.enable_grad():
            results = ctx.advance(leaves[0], _by_step(leaves[1:], ctx.num_steps))
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        # A step of one's own may use no viscosity.
        found = iter(torch.autograd.grad(results, wanted, gradients, allow_unused=True))
        return None, None, *(next(found) if leaf.requires_grad else None for leaf in leaves)


def _by_step(flat: Sequence[Tensor], num_steps: int) -> list[Coefficients]:
    count = len(flat) // num_steps
    return [flat[count * i : count * (i + 1)] for i in reversed(range(num_steps))]
