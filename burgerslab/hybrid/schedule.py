"""Schedule: which agent trains when, and where in it a run is."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Agent = Literal["surrogate", "physical"]


@dataclass(frozen=True)
class Schedule:
    """A warm-up of the surrogate, cycle 0, then cycles of one fit of each agent.

    Args:
        num_cycles: Rounds of one fit of each agent.
        epochs_per_cycle: Epochs of the surrogate in a cycle.
        warmup_epochs: Epochs of the surrogate on the data alone, before the first cycle.
        max_iterations: Iterations of the inversion's solver in a cycle.
        begin_with: Which agent is fitted first in a cycle.

    Raises:
        ValueError: If a number is out of range.
    """

    num_cycles: int
    epochs_per_cycle: int
    warmup_epochs: int
    max_iterations: int
    begin_with: Agent

    def __post_init__(self) -> None:
        for option, least in (
            ("num_cycles", 1),
            ("epochs_per_cycle", 1),
            ("warmup_epochs", 0),
            ("max_iterations", 1),
        ):
            if getattr(self, option) < least:
                raise ValueError(f"Hybrid.{option} must be at least {least}, got {getattr(self, option)}")

    @property
    def phases(self) -> tuple[Agent, Agent]:
        """The agents in the order in which they are fitted."""
        return ("physical", "surrogate") if self.begin_with == "physical" else ("surrogate", "physical")

    @property
    def num_epochs(self) -> int:
        """Epochs of the surrogate in all."""
        return self.last_epoch(self.num_cycles)

    def last_epoch(self, cycle: int) -> int:
        """Epochs of the surrogate up to the end of a cycle; cycle 0 is the warm-up."""
        return self.warmup_epochs + cycle * self.epochs_per_cycle

    def shortened(self) -> "Schedule":
        """One short cycle, for ``trainer.fast_dev_run``."""
        return replace(self, num_cycles=1, epochs_per_cycle=1, warmup_epochs=0, max_iterations=1)

    def must_stay(self) -> dict[str, Any]:
        """What a resumed run must share with the one it goes on from; more cycles may be added."""
        return {name: value for name, value in asdict(self).items() if name != "num_cycles"}


@dataclass
class Progress:
    """Where a run is.

    Args:
        cycle: Number of the cycle; 0 is the warm-up.
        done: Agents that have been fitted in it.
    """

    cycle: int = 0
    done: list[Agent] = field(default_factory=list)

    def next_cycle(self) -> None:
        """Nothing of it is done yet."""
        self.cycle, self.done = self.cycle + 1, []
