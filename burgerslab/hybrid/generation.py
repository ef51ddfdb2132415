"""Generation: what one agent makes for a fit of the other, and for how long it lasts."""

from collections.abc import Sequence
from pathlib import Path

from burgerslab.data import BurgersDataModule, Trajectories
from burgerslab.hybrid.exchange import (
    Exchange,
    draw_states,
    first_number,
    trajectories_of_physics,
    trajectories_of_surrogate,
)
from burgerslab.hybrid.generated import GeneratedStores
from burgerslab.hybrid.physical_agent import PhysicalAgent
from burgerslab.hybrid.schedule import Agent
from burgerslab.surrogate import Surrogate

_NUMBER_OF: dict[Agent, int] = {"surrogate": 0, "physical": 1}


class Generation:
    """Makes trajectories before each fit, and removes those that lie in stores when a cycle is over.

    Args:
        exchange: How many, from where, how long, and where they are held.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._stores = GeneratedStores(exchange.memory_budget_gib, exchange.keep_generated)

    def for_agent(
        self,
        receiver: Agent,
        surrogate: Surrogate,
        physical: PhysicalAgent,
        datamodule: BurgersDataModule,
        cycle: int,
        run_folder: Path,
    ) -> Sequence[Trajectories]:
        """Trajectories for one agent, made by the other; none in the warm-up, and none by a network that is new.

        Args:
            receiver: Who is fitted to them.
            surrogate: One agent.
            physical: The other.
            datamodule: The data in the windows of the surrogate.
            cycle: Number of the cycle.
            run_folder: Where a store would be made.

        Raises:
            DivergedError: If the surrogate runs away.
        """
        maker: Agent = "physical" if receiver == "surrogate" else "surrogate"
        of = datamodule if receiver == "surrogate" else physical.datamodule
        num_trajectories = self._exchange.num_trajectories_of(maker, of)
        if cycle == 0 or num_trajectories == 0 or (maker == "surrogate" and surrogate.description is None):
            return []
        num_steps = self._exchange.num_steps_of(maker, of)
        states = draw_states(of, self._exchange, num_trajectories, cycle, _NUMBER_OF[maker])
        if maker == "physical":
            physical.begin()
            batches = trajectories_of_physics(physical.inversion, states, num_steps)
        else:
            batches = trajectories_of_surrogate(surrogate, states, num_steps)
        first, folder = first_number(cycle, _NUMBER_OF[maker]), _folder(run_folder, cycle, receiver)
        return [self._stores.hold(batches, num_steps + 1, states.viscosity.numpy(), first, of, folder)]

    def drop(self) -> None:
        """Remove the stores of the cycle, if they are not to be kept; whoever reads from them must be gone."""
        self._stores.drop()

    def remove_what_was_left(self, run_folder: Path, cycle: int) -> None:
        """Remove what a process that was killed could not, if it was not to be kept.

        Args:
            run_folder: Of the run that was killed.
            cycle: That of its last checkpoint; it may have been in the one after it.
        """
        self._stores.remove([_folder(run_folder, it, agent) for it in (cycle, cycle + 1) for agent in _NUMBER_OF])


def _folder(run_folder: Path, cycle: int, receiver: Agent) -> Path:
    return run_folder / "generated" / f"cycle_{cycle}_for_{receiver}"
