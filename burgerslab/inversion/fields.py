"""Parameters that are learned as functions of space: a viscosity, a forcing, the initial state."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.learnable import Bound, Learnable, check_positive_bounds
from burgerslab.inversion.parameters import forcing_unit
from burgerslab.inversion.problem import Problem
from burgerslab.physics import FourierBasis

# Of the first solve, before the L-curve: next to nothing, but modes that no data tell do not drift.
_FIRST_WEIGHT = 1e-9


def _weight(smoothness: float | Literal["l_curve"]) -> float:
    return _FIRST_WEIGHT if smoothness == "l_curve" else smoothness


def _roughness(
    smoothness: float | Literal["l_curve"], amplitudes: Float[Tensor, "*C Q"], basis: FourierBasis
) -> Float[Tensor, ""] | None:
    """Weight · extent² · mean square of the gradient of Σ_j a_j φ_j; None where the weight is 0."""
    if smoothness == 0:
        return None
    squares = basis.squared_wave_numbers.to(amplitudes)
    return _weight(smoothness) * max(basis.domain.extent) ** 2 * (squares * amplitudes.square()).sum()


@dataclass(frozen=True)
class ViscosityField(Learnable):
    """A viscosity ν(x) of u_t + c (u·∇)u = ∇·(ν∇u) + f, positive and smooth.

    log(ν / initial_guess) = Σ_j a_j φ_j with the modes φ_j of `FourierBasis`; the free numbers are a_j.

    Args:
        initial_guess: Where the solve starts, the same everywhere, units L²/T, positive.
        bounds: Smallest and largest geometric mean of ν over the box, units L²/T, positive.
        num_modes: Waves along each axis.
        smoothness: Weight of the mean square of the gradient of log ν, times extent², in the objective: the misfit is
            the mean square error over the mean square of the data. 0 leaves the modes free; ``l_curve`` has the
            weight chosen where a further rise would cost more misfit than it saves roughness, for noisy data.

    Raises:
        ValueError: If bounds are not positive and ordered, the guess is outside, or a number is negative.
    """

    initial_guess: float
    bounds: tuple[float, float] = (1.0e-6, 1.0e2)
    num_modes: int = 6
    smoothness: float | Literal["l_curve"] = 0.0

    def __post_init__(self) -> None:
        check_positive_bounds("ViscosityField", self.bounds, self.initial_guess)
        if self.num_modes < 1 or not _weight(self.smoothness) >= 0:
            raise ValueError(
                "ViscosityField: num_modes must be at least 1 and smoothness not negative, got "
                f"{self.num_modes} and {self.smoothness}"
            )

    @property
    def name(self) -> str:
        """``viscosity``."""
        return "viscosity"

    @property
    def units(self) -> str:
        """``L^2 T^-1``."""
        return "L^2 T^-1"

    def num_free(self, problem: Problem) -> int:
        """(2 num_modes + 1)^dimension."""
        return len(self._basis(problem))

    def free_start(self, problem: Problem) -> Float[Tensor, " Q"]:
        """Zeros: the initial guess everywhere."""
        return torch.zeros(self.num_free(problem), dtype=torch.float64)

    def free_bounds(self, problem: Problem) -> list[Bound]:
        """Bounds of the mean; the waves are free."""
        low, high = (float(torch.tensor(bound / self.initial_guess).log()) for bound in self.bounds)
        return [(low, high), *[(None, None)] * (self.num_free(problem) - 1)]

    def free_draw(self, problem: Problem, spread: float, generator: np.random.Generator) -> Tensor:
        """A mean that is log-uniform about the guess, the same everywhere."""
        free = self.free_start(problem)
        free[0] = generator.uniform(-1, 1) * float(np.log(spread))
        return free

    def coefficient(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, "1 *N"]:
        """Values at the cell centres, ``(1, *N)``."""
        return self.initial_guess * self._basis(problem).values(free[None]).exp()

    def roughness(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, ""] | None:
        """Smoothness · extent² · mean |∇ log ν|²."""
        return _roughness(self.smoothness, free, self._basis(problem))

    def _basis(self, problem: Problem) -> FourierBasis:
        return FourierBasis(problem.domain, self.num_modes)


@dataclass(frozen=True)
class ForcingField(Learnable):
    """A forcing f(x) of u_t + c (u·∇)u = ∇·(ν∇u) + f, constant in time.

    f = unit · Σ_j a_j φ_j for each component, with the modes φ_j of `FourierBasis` and unit = scale² / extent.

    Args:
        num_modes: Waves along each axis.
        smoothness: Weight of the mean square of the gradient of f / unit, times extent², in the objective;
            ``l_curve`` has it chosen as for `ViscosityField`.

    Raises:
        ValueError: If a number is negative.
    """

    num_modes: int = 6
    smoothness: float | Literal["l_curve"] = 0.0

    def __post_init__(self) -> None:
        if self.num_modes < 0 or not _weight(self.smoothness) >= 0:
            raise ValueError(
                "ForcingField: num_modes and smoothness must not be negative, got "
                f"{self.num_modes} and {self.smoothness}"
            )

    @property
    def name(self) -> str:
        """``forcing``."""
        return "forcing"

    @property
    def units(self) -> str:
        """``L T^-2``."""
        return "L T^-2"

    def num_free(self, problem: Problem) -> int:
        """(2 num_modes + 1)^dimension per component."""
        return len(self._basis(problem)) * problem.domain.dimension

    def free_start(self, problem: Problem) -> Float[Tensor, " Q"]:
        """Zeros: no forcing."""
        return torch.zeros(self.num_free(problem), dtype=torch.float64)

    def free_bounds(self, problem: Problem) -> list[Bound]:
        """None."""
        return [(None, None)] * self.num_free(problem)

    def coefficient(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, "1 C *N"]:
        """Values at the cell centres, ``(1, C, *N)``."""
        amplitudes = free.reshape(1, problem.domain.dimension, -1)
        return forcing_unit(problem) * self._basis(problem).values(amplitudes)

    def roughness(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, ""] | None:
        """Smoothness · extent² · mean |∇f|² / unit²."""
        return _roughness(self.smoothness, free.reshape(problem.domain.dimension, -1), self._basis(problem))

    def _basis(self, problem: Problem) -> FourierBasis:
        return FourierBasis(problem.domain, self.num_modes)


@dataclass(frozen=True)
class InitialState(Learnable):
    """The initial frame of every trajectory, as a sum of low Fourier modes.

    A noisy first frame that is taken for exact biases every other parameter and makes its interval too narrow;
    learned together with them it does neither. u_0 = scale · Σ_j a_j φ_j for each component, with the modes of
    `FourierBasis`.

    Args:
        num_modes: Waves along each axis; None is a third of the cells.

    Raises:
        ValueError: If the number is less than 1.
    """

    num_modes: int | None = None

    def __post_init__(self) -> None:
        if self.num_modes is not None and self.num_modes < 1:
            raise ValueError(f"InitialState: num_modes must be at least 1, got {self.num_modes}")

    @property
    def name(self) -> str:
        """``initial_state``."""
        return "initial_state"

    @property
    def units(self) -> str:
        """``L T^-1``."""
        return "L T^-1"

    @property
    def per_trajectory(self) -> bool:
        """Always."""
        return True

    def num_free(self, problem: Problem) -> int:
        """(2 num_modes + 1)^dimension per component.

        Raises:
            ValueError: If there are several windows to a trajectory.
        """
        if len(problem.windows) > len(problem.trajectories):
            raise ValueError(
                f"initial_state is learned for one window per trajectory, but there are {len(problem.windows)} "
                f"windows in {len(problem.trajectories)} trajectories: set data.use_sliding_window: false, and "
                "data.num_predict_steps to the frames that are to be compared"
            )
        return len(self.basis(problem)) * problem.domain.dimension

    def free_start(self, problem: Problem) -> Float[Tensor, " Q"]:
        """Zeros; the objective begins with the first frames of the data instead, see `from_frames`."""
        return torch.zeros(self.num_free(problem), dtype=torch.float64)

    def from_frames(
        self, frames: Float[Tensor, "B C *N"], observed: Tensor | None, problem: Problem
    ) -> Float[Tensor, "B Q"]:
        """Free numbers of the smooth fields that fit given frames best.

        Args:
            frames: First frames, units L/T.
            observed: Where they are known, bool, ``(B, 1, *N)``; None is everywhere.
            problem: Facts of the data.
        """
        basis = self.basis(problem)
        if observed is None or bool(observed.all()):
            return basis.project(frames).flatten(1) / problem.scale
        functions = basis.values(torch.eye(len(basis), dtype=frames.dtype, device=frames.device)).flatten(1)
        # A little of |k|² keeps what no point tells from growing.
        penalty = 1e-3 * (1 + basis.squared_wave_numbers / basis.squared_wave_numbers[1:].min()).diag().to(frames)
        rows = []
        for frame, known in zip(frames.flatten(2), observed.flatten(2), strict=True):
            seen = functions * known[0]
            normal = seen @ functions.T / functions.shape[1] + penalty
            rows.append(torch.linalg.solve(normal, seen @ frame.T / functions.shape[1]).T.flatten())
        return torch.stack(rows) / problem.scale

    def free_bounds(self, problem: Problem) -> list[Bound]:
        """None."""
        return [(None, None)] * self.num_free(problem)

    def coefficient(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, "B C *N"]:
        """First frames ``(B, C, *N)``."""
        amplitudes = free.reshape(*free.shape[:-1], problem.domain.dimension, -1)
        return problem.scale * self.basis(problem).values(amplitudes)

    def basis(self, problem: Problem) -> FourierBasis:
        """The modes."""
        num_modes = (min(problem.domain.resolution) - 1) // 3 if self.num_modes is None else self.num_modes
        return FourierBasis(problem.domain, num_modes)
