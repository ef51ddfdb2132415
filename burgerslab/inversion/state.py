"""What a checkpoint holds of a solve, and whether a solve may go on from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy
import torch

from burgerslab.inversion.lbfgsb import Bounds, limits
from burgerslab.inversion.record import EvaluationRecord, Vector
from burgerslab.inversion.settings import LBFGSB

Plain = str | int | float | bool | None | list["Plain"]


@dataclass
class SolveState:
    """A solve up to now.

    Args:
        start: Its first point.
        lower: Lower bounds, ``(P,)``.
        upper: Upper bounds, ``(P,)``.
        history_size: `LBFGSB.history_size`.
        problem: What else the objective depends on, by option name; must be the same when the solve is continued.
        record: Its evaluations.
        num_iterations: Points that Lightning has been told of.
        scipy_version: Version that solved it.
    """

    start: Vector
    lower: Vector
    upper: Vector
    history_size: int
    problem: dict[str, Plain]
    record: EvaluationRecord = field(default_factory=EvaluationRecord)
    num_iterations: int = 0
    scipy_version: str = scipy.__version__

    @classmethod
    def begin(cls, start: Vector, bounds: Bounds, settings: LBFGSB, problem: Mapping[str, Plain]) -> "SolveState":
        """The state of a solve that has evaluated nothing yet."""
        start = np.array(start, dtype=np.float64)
        return cls(start, *limits(len(start), bounds), settings.history_size, dict(problem))

    def check_continues(self, bounds: Bounds, settings: LBFGSB, problem: Mapping[str, Plain]) -> None:
        """Refuse to go on with other bounds, memory, or another objective; tolerances and limits may change.

        Raises:
            ValueError: With the options that differ, and both values.
        """
        size = len(self.start)
        if len(bounds) != size:
            raise ValueError(
                f"ckpt_path: the solve of this checkpoint has {size} numbers, this one {len(bounds)}. {_CURE}"
            )
        before = {**self.problem, "solver.history_size": self.history_size}
        now = {**problem, "solver.history_size": settings.history_size}
        lower, upper = limits(size, bounds)
        for number in np.flatnonzero((self.lower != lower) | (self.upper != upper))[:1]:
            before[f"bounds of number {number}"] = [float(self.lower[number]), float(self.upper[number])]
            now[f"bounds of number {number}"] = [float(lower[number]), float(upper[number])]
        changes = [
            f"{name} was {before.get(name)} and is {now.get(name)}"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]
        if changes:
            raise ValueError(f"ckpt_path: the solve of this checkpoint is another: {'; '.join(changes)}. {_CURE}")

    def state_dict(self) -> dict[str, object]:
        """Tensors and plain values, which torch loads with ``weights_only=True``."""
        return {
            "start": torch.from_numpy(self.start.copy()),
            "lower": torch.from_numpy(self.lower),
            "upper": torch.from_numpy(self.upper),
            "history_size": self.history_size,
            "problem": dict(self.problem),
            "record": self.record.state_dict(),
            "num_iterations": self.num_iterations,
            "scipy_version": self.scipy_version,
        }

    @classmethod
    def from_state_dict(cls, state: Mapping) -> "SolveState":
        """The state whose `state_dict` this is."""
        arrays = {name: state[name].cpu().numpy() for name in ("start", "lower", "upper")}
        plain = {name: state[name] for name in ("history_size", "problem", "num_iterations", "scipy_version")}
        return cls(**arrays, **plain, record=EvaluationRecord.from_state_dict(state["record"]))


_CURE = "Set it as it was, or start a new solve without ckpt_path"
