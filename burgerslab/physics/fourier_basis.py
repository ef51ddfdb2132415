"""Real Fourier modes of a periodic box, as a basis of smooth functions on its cells."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.physics.domain import Domain


class FourierBasis:
    """Products over the axes of 1, √2 cos(2π m x / L) and √2 sin(2π m x / L) for 1 <= m <= M.

    The functions are orthonormal on the cell centres: the mean over the cells of φ_i φ_j is 1 for i = j and 0
    otherwise, so that Σ a_j² is the mean square of Σ a_j φ_j.

    Args:
        domain: Box and grid.
        num_modes: Largest mode M along every axis; each axis has 2 M + 1 functions.

    Raises:
        ValueError: If an axis has too few cells for M.
    """

    def __init__(self, domain: Domain, num_modes: int) -> None:
        most = (min(domain.resolution) - 1) // 2
        if not 0 <= num_modes <= most:
            raise ValueError(
                f"num_modes must be between 0 and {most}, what {min(domain.resolution)} cells can hold, got "
                f"{num_modes}"
            )
        self.domain = domain
        self._functions = []
        squares = []
        modes = np.arange(1, num_modes + 1)
        for points, length in zip(domain.centres(), domain.extent, strict=True):
            phase = 2 * np.pi * np.outer(modes, points) / length
            rows = [np.ones((1, len(points))), np.sqrt(2) * np.cos(phase), np.sqrt(2) * np.sin(phase)]
            self._functions.append(torch.from_numpy(np.concatenate(rows)))
            squares.append((2 * np.pi * np.concatenate([[0], modes, modes]) / length) ** 2)
        grids = np.meshgrid(*squares, indexing="ij")
        self.squared_wave_numbers: Float[Tensor, " Q"] = torch.from_numpy(sum(grids).ravel())
        """|k|² of every function, units 1/L²; the constant is the first."""

    def __len__(self) -> int:
        """Number Q of functions, (2 M + 1)^dimension."""
        return len(self.squared_wave_numbers)

    def values(self, coefficients: Float[Tensor, "*S Q"]) -> Float[Tensor, "..."]:
        """Σ_j a_j φ_j at the cell centres, ``(*S, *N)``."""
        leading = coefficients.shape[:-1]
        result = coefficients.reshape(*leading, *(len(rows) for rows in self._functions))
        for rows in self._functions:  # each turn sums over the first axis of modes and appends an axis of cells
            result = torch.tensordot(result, rows.to(result), dims=([len(leading)], [0]))
        return result

    def project(self, values: Float[Tensor, "..."]) -> Float[Tensor, "*S Q"]:
        """The coefficients of least squares, a_j = mean(φ_j values), of values ``(*S, *N)`` at the cell centres."""
        leading = values.shape[: values.ndim - self.domain.dimension]
        result = values
        for rows in self._functions:
            result = torch.tensordot(result, rows.to(result), dims=([len(leading)], [1])) / rows.shape[1]
        return result.reshape(*leading, len(self))
