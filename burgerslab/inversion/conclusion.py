"""Where the first solve begins, and what follows it: more of them, as asked for, and how sure the best is."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from burgerslab.data.cluster import check_cluster
from burgerslab.inversion.l_curve import asks_for_l_curve, choose_smoothness
from burgerslab.inversion.multi_start import Begun, begin, solve_from_elsewhere
from burgerslab.inversion.objective import Objective
from burgerslab.inversion.result import InversionResult, summarise
from burgerslab.inversion.scaled import ScaledObjective
from burgerslab.inversion.solve_again import SolveAgain, Solved


@dataclass(frozen=True)
class FurtherSolves:
    """Options of an `Inversion`; see there.

    Args:
        num_starts: Solves from different starts, the first one included.
        start_spread: How far starts are apart.
        profile: Whether to find intervals by profile likelihood.
        cluster: A Dask cluster that solves from the further starts.

    Raises:
        ValueError: If a number is out of range.
    """

    num_starts: int = 1
    start_spread: float = 10.0
    profile: bool = False
    cluster: str | None = None

    def __post_init__(self) -> None:
        if self.num_starts < 1 or not self.start_spread > 1:
            raise ValueError(
                f"model.num_starts must be at least 1 and model.start_spread above 1, got {self.num_starts} and "
                f"{self.start_spread}"
            )
        if self.cluster is not None:
            check_cluster(self.cluster)

    def begin(
        self,
        scale: Callable[[Float[Tensor, " P"]], ScaledObjective],
        objective: Objective,
        guess: Float[Tensor, " P"],
    ) -> Begun:
        """Where the first solve begins: at the guess, or at another start if that diverges.

        Args:
            scale: The objective in variables that are round about some free numbers.
            objective: What is to be solved.
            guess: Its free numbers, ``(P,)``.

        Raises:
            DivergedError: If no start can be begun from.
        """
        return begin(scale, objective, guess, self.num_starts, self.start_spread)

    def conclude(self, again: SolveAgain, first: Solved, begun: Begun) -> tuple[Solved, InversionResult]:
        """The best of all solves, and what it says.

        Args:
            again: Solves the same problem.
            first: The solve that the Trainer saw. If someone stopped it, no others follow.
            begun: Where it began.
        """
        best, starts, curve = first, [], None
        others = not first.solution.stopped_early
        if others and self.num_starts > 1:
            best, starts = solve_from_elsewhere(again, best, begun, self.num_starts, self.start_spread, self.cluster)
        if others and (name := asks_for_l_curve(tuple(best.scaled.objective.learnables.values()))) is not None:
            best, curve = choose_smoothness(again, best, name)
        return best, summarise(again, best, starts, curve, others and self.profile)
