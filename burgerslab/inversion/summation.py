"""The objective of a solve: weighted mean over all batches of all processes, and its gradient."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from burgerslab.inversion.chunks import Chunks
from burgerslab.inversion.record import Vector
from burgerslab.physics import DivergedError


class SummedObjective:
    """f(x) = Σ m(x, batch) / Σ w(batch) + p(x), in float64.

    Each batch is differentiated by itself, so that memory does not grow with their number. Processes exchange one
    tensor per evaluation, (Σ m, Σ ∂m/∂x, Σ w, diverged), and all get the same bits.

    Args:
        misfit: m and w of a batch at a vector ``(P,)``: a weighted sum ``()`` and its weight.
        penalty: p at a vector, ``()``.
        chunks: Batches of this process.
        device: Where the vector is.
        sum_over_ranks: Adds a tensor up over the processes.
    """

    def __init__(
        self,
        misfit: Callable[[Tensor, dict[str, Tensor]], tuple[Tensor, float | Tensor]],
        penalty: Callable[[Tensor], Tensor],
        chunks: Chunks,
        device: torch.device | str = "cpu",
        sum_over_ranks: Callable[[Tensor], Tensor] = lambda total: total,
    ) -> None:
        self.chunks = chunks
        self._misfit = misfit
        self._penalty = penalty
        self._device = device
        self._sum_over_ranks = sum_over_ranks

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Objective and gradient ``(P,)`` at x ``(P,)``.

        Raises:
            DivergedError: If a rollout diverges in any process; raised in all of them.
            ValueError: If the batches weigh nothing.
        """
        with torch.enable_grad():
            vector = torch.tensor(x, dtype=torch.float64, device=self._device, requires_grad=True)
            total = torch.zeros(len(x) + 3, dtype=torch.float64, device=self._device)
            error = None
            try:
                for batch in self.chunks:
                    total[:-1] += self._terms(vector, batch)
            except DivergedError as diverged:  # the other processes wait for this one's sums
                error = diverged
                total[-1] = 1
            total = self._sum_over_ranks(total)
            if total[-1] > 0:
                raise DivergedError(str(error) if error else "a rollout diverged in another process") from error
            if not total[-2] > 0:
                raise ValueError("the objective has nothing to compare: no batch, or all of weight 0")
            mean = total[:-2] / total[-2]
            penalty = self._penalty(vector)
            mean[0] += penalty.detach()
            if penalty.requires_grad:
                mean[1:] += torch.autograd.grad(penalty, vector)[0]
        value, gradient = mean[0].item(), mean[1:].cpu().numpy()
        return value, np.ascontiguousarray(gradient)

    def _terms(self, vector: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Weighted sum, its gradient, and the weight, in one tensor."""
        weighted, weight = self._misfit(vector, batch)
        # Not backward(): gradients of .grad would be averaged over processes by DDP.
        (gradient,) = torch.autograd.grad(weighted, vector)
        weight = torch.as_tensor(weight, dtype=torch.float64, device=vector.device)
        return torch.cat([weighted.detach().double().reshape(1), gradient, weight.reshape(1)])
