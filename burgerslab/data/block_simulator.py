"""Simulating one block of a store, in whichever process."""

import numpy as np

from burgerslab.data.simulation import Simulation
from burgerslab.data.solvers import ExactSolver, StepSolver
from burgerslab.data.store_writer import StoreWriter
from burgerslab.physics import DivergedError


class BlockSimulator:
    """Computes and writes blocks; every process that has one makes the same bits of a block.

    Args:
        simulation: What to simulate.

    Attributes:
        seeds: Of all trajectories, uint64.
        viscosity: Of all trajectories, units L²/T.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.seeds = simulation.trajectory_seeds()
        self.viscosity = np.array([simulation.draw_viscosity(seed) for seed in self.seeds.tolist()])
        self._solver = ExactSolver(simulation) if simulation.scheme.is_exact else StepSolver(simulation)

    def check(self) -> None:
        """Refuse, before anything is computed, what cannot be solved; see the solvers."""
        self._solver.check(self.seeds, self.viscosity)

    def make(self, writer: StoreWriter, block: int, trajectories: range) -> None:
        """Simulate the block that a writer has handed out, and write it.

        Args:
            writer: Of the store.
            block: Index of the block.
            trajectories: Its trajectories.

        Raises:
            DivergedError: If a trajectory becomes non-finite; says which.
            StoreError: If the block cannot be written.
        """
        own = slice(trajectories.start, trajectories.stop)
        try:
            frames = self._solver.frames(self.seeds[own], self.viscosity[own])
        except DivergedError as error:
            raise DivergedError(
                f"simulation: in trajectories {trajectories.start} to {trajectories.stop - 1}, counted from "
                f"{trajectories.start}: {error}. Finished blocks are kept"
            ) from None
        writer.write(block, {"velocity": frames})
