"""How the frames of simulated trajectories are made: by steps of a scheme, or by the exact solution."""

import logging
import math
from abc import ABC, abstractmethod

import numpy as np
import torch

from burgerslab.data.simulation import Simulation
from burgerslab.physics import (
    AccuracyError,
    ColeHopf,
    DivergedError,
    UnstableStepError,
    cell_peclet,
    explain_under_resolution,
)
from burgerslab.physics.refinement import refine

_LOGGER = logging.getLogger(__name__)

_LARGEST_GROWTH = 1.05


class Solver(ABC):
    """What computes the frames of trajectories from their seeds and viscosities."""

    @abstractmethod
    def check(self, seeds: np.ndarray, viscosity: np.ndarray) -> None:
        """Refuse, before anything is computed, what cannot be solved.

        Args:
            seeds: Of all trajectories, uint64 ``(B,)``.
            viscosity: Of all trajectories, ``(B,)``, units L²/T.

        Raises:
            ValueError: Says what to change.
        """

    @abstractmethod
    def frames(self, seeds: np.ndarray, viscosity: np.ndarray) -> np.ndarray:
        """Velocities ``(B, T, C, *N)``, float32, units L/T; the initial frame comes first.

        Args:
            seeds: uint64 ``(B,)``.
            viscosity: ``(B,)``, units L²/T.

        Raises:
            DivergedError: If a frame is not finite.
        """


class StepSolver(Solver):
    """Rollouts of the scheme, all trajectories as one batch.

    Args:
        simulation: With a `Scheme`.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._rollout = simulation.rollout()

    def check(self, seeds: np.ndarray, viscosity: np.ndarray) -> None:
        """Compare the step size with the scheme's limit; warn where the grid does not resolve the fronts.

        Raises:
            UnstableStepError: If a step would be unstable.
        """
        simulation = self._simulation
        fastest = torch.zeros(
            simulation.domain.dimension, *simulation.domain.resolution, dtype=simulation.torch_dtype
        )
        peclet = []
        # one draw at a time: all of them together may not fit in memory
        for seed, nu in zip(seeds.tolist(), viscosity.tolist(), strict=True):
            initial = simulation.draw_initial(seed)
            fastest = torch.maximum(fastest, initial.abs())
            peclet.append(cell_peclet(initial[None], simulation.domain, nu))
        try:
            self._rollout.check_stability(fastest[None], float(viscosity.max()))
        except UnstableStepError as error:
            raise UnstableStepError(f"simulation: {error}") from None
        if message := explain_under_resolution(torch.cat(peclet), simulation.refine):
            _LOGGER.warning("warning: simulation: %s", message)

    def frames(self, seeds: np.ndarray, viscosity: np.ndarray) -> np.ndarray:
        """Initial frames and rollouts from them."""
        simulation = self._simulation
        initial = torch.stack([simulation.draw_initial(seed) for seed in seeds.tolist()])
        with torch.no_grad():
            later = self._rollout(initial, torch.tensor(viscosity).to(initial), simulation.num_frames - 1)
        self._check_growth(initial, later, torch.from_numpy(viscosity).to(initial))
        return torch.cat([initial[:, None], later], dim=1).to(torch.float32).numpy()

    def _check_growth(self, initial: torch.Tensor, later: torch.Tensor, viscosity: torch.Tensor) -> None:
        """Refuse what the equation forbids: the largest value of a velocity component never grows."""
        simulation, domain = self._simulation, self._simulation.domain
        cells = tuple(range(2, initial.ndim))
        # A peak between the first frame's cells may come to lie on one later: look between them.
        allowed = _LARGEST_GROWTH * refine(initial, domain, 2).abs().amax(cells)
        growing = (later.abs().amax(dim=(1, *(axis + 1 for axis in cells))) > allowed).any(dim=1)
        if bool(growing.any()):
            peclet = float(cell_peclet(initial, domain, viscosity)[growing].max())
            cause = f"the grid under-resolves the fronts (cell Péclet number {peclet:.3g}; it should stay below 5)"
            if peclet < 2:
                cause = (
                    f"{type(simulation.scheme).__name__} is unstable or wrong here (cell Péclet number {peclet:.3g})"
                )
            raise DivergedError(
                f"the largest speed grows in {int(growing.sum())} of {len(initial)} trajectories, which the equation "
                f"forbids: {cause}. Set simulation.refine to {max(2, math.ceil(peclet / 2))} or so, or use more "
                "simulation.substeps, a finer simulation.domain.resolution or a larger simulation.viscosity"
            )


class ExactSolver(Solver):
    """The exact solution, trajectory by trajectory in float64.

    Args:
        simulation: With `ColeHopf` as its scheme.
    """

    def __init__(self, simulation: Simulation) -> None:
        assert isinstance(simulation.scheme, ColeHopf)
        self._simulation = simulation
        self._solution = simulation.scheme
        self._times = simulation.dt * np.arange(simulation.num_frames)

    def check(self, seeds: np.ndarray, viscosity: np.ndarray) -> None:
        """Draw every potential and bound the errors of its solution.

        Raises:
            NoPotentialError: If an initial velocity has none.
            AccuracyError: If a solution cannot be had to the tolerance.
        """
        for index, (seed, nu) in enumerate(zip(seeds.tolist(), viscosity.tolist(), strict=True)):
            potential = self._simulation.draw_potential(seed)
            try:
                self._solution.check(potential, nu, self._times, self._simulation.domain)
            except AccuracyError as error:
                raise AccuracyError(f"simulation: trajectory {index}: {error}") from None

    def frames(self, seeds: np.ndarray, viscosity: np.ndarray) -> np.ndarray:
        """The solution at the times of the frames."""
        return np.stack(
            [
                self._solution.frames(
                    self._simulation.draw_potential(seed), nu, self._times, self._simulation.domain
                ).astype(np.float32)
                for seed, nu in zip(seeds.tolist(), viscosity.tolist(), strict=True)
            ]
        )
