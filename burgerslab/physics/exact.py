"""The Cole-Hopf solution: Burgers' equation solved exactly, at any time, for velocities that have a potential."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from burgerslab.physics.domain import Domain
from burgerslab.physics.heat_average import AxisRule, WeightBounds
from burgerslab.physics.potential import FourierPotential
from burgerslab.physics.schemes import SchemeOrExact

Array = npt.NDArray[np.float64]

_ROUNDING_ERROR = np.finfo(np.float64).eps  # of a weight, relative, per unit of its exponent
_LARGEST_MEMORY = 2**30  # bytes of one frame's nodes in memory
_LARGEST_WORK = 2e10  # weights of one frame: minutes
_DIFFUSION_ALONE = 1e3  # spans of the potential beyond which a larger viscosity changes nothing
_NUM_NODES_AT_ONCE = 2**20  # 8 MiB per component


class AccuracyError(ValueError):
    """An exact solution that double precision or the memory does not hold to the accuracy asked for."""


@dataclass(frozen=True)
class ColeHopf(SchemeOrExact):
    """The solution of u_t + (u·∇)u = ν Δu for u(x, 0) = ∇ψ(x) + U, on periodic boxes in 1, 2 and 3 dimensions.

    u(x, t) = U + Σ_y w(y) ∇ψ(y) / Σ_y w(y), log w = -|x - Ut - y|²/(4νt) - ψ(y)/(2ν): every velocity is a weighted
    mean of initial ones, so nothing is subtracted, divided by small numbers or differentiated, and the maximum
    principle holds to the last digit. The Gaussian is separable: one axis is averaged after another. Nodes are
    placed so that the error of the quadrature is known beforehand; memory holds one slab of nodes at a time.

    Sources: Hopf, Comm. Pure Appl. Math. 3 (1950) 201; Cole, Quart. Appl. Math. 9 (1951) 225. The mean U by
    Galilean invariance.

    Args:
        tolerance: Largest error, as a fraction of the largest speed. The stored float32 has 6e-8.

    Raises:
        ValueError: If ``tolerance`` is not between 1e-15 and 1e-2.
    """

    tolerance: float = 1e-10

    def __post_init__(self) -> None:
        if not 1e-15 <= self.tolerance <= 1e-2:
            raise ValueError(f"ColeHopf.tolerance must be between 1e-15 and 1e-2, got {self.tolerance}")

    @property
    def is_exact(self) -> bool:
        """True: frames hold the solution, to ``tolerance``."""
        return True

    def frames(
        self, potential: FourierPotential, viscosity: float, times: Sequence[float] | Array, domain: Domain
    ) -> Array:
        """The solution at given times.

        Args:
            potential: ψ and U of the initial velocity, on the same box.
            viscosity: ν, units L²/T, positive.
            times: T times since the initial velocity, units T, not negative.
            domain: Box and grid.

        Returns:
            Velocity at the cell centres, ``(T, C, *N)``, float64, units L/T.

        Raises:
            AccuracyError: If ``tolerance`` cannot be met in double precision and 1 GiB of memory; says the
                smallest viscosity for which it can.
            ValueError: If an argument is out of range or the boxes differ.
        """
        self.check(potential, viscosity, times, domain)
        return np.stack([self._frame(potential, viscosity, float(time), domain) for time in times])

    def check(
        self, potential: FourierPotential, viscosity: float, times: Sequence[float] | Array, domain: Domain
    ) -> None:
        """Raise what `frames` would raise, without computing any.

        Raises:
            AccuracyError: As in `frames`.
            ValueError: As in `frames`.
        """
        if not (np.isfinite(viscosity) and viscosity > 0):
            raise ValueError(f"viscosity must be positive and finite, got {viscosity}")
        if len(times) < 1 or not (np.isfinite(times).all() and min(times) >= 0):
            raise ValueError(f"times must be one or more numbers that are not negative, got {list(times)}")
        if tuple(potential.extent) != domain.extent:
            raise ValueError(f"the potential has the extent {list(potential.extent)}, domain {list(domain.extent)}")
        problem = self._problem(potential, viscosity, times, domain)
        if problem is None:
            return
        raise AccuracyError(
            f"the Cole-Hopf solution at viscosity {viscosity:.3g} {problem}. "
            f"{self._advice(potential, viscosity, times, domain)}"
        )

    def _advice(
        self, potential: FourierPotential, viscosity: float, times: Sequence[float] | Array, domain: Domain
    ) -> str:
        """The smallest viscosity without a problem, if there is one."""
        low = high = viscosity
        while self._problem(potential, high, times, domain):
            low, high = high, 2 * high
            if low > _DIFFUSION_ALONE * max(viscosity, potential.range_bound):
                return "No viscosity works on this grid; use a coarser resolution"
        while high > 1.001 * low:
            middle = np.sqrt(low * high)
            low, high = (middle, high) if self._problem(potential, middle, times, domain) else (low, middle)
        return f"The smallest viscosity that works with this initial velocity is {_rounded_up(high):.3g}"

    def _problem(
        self, potential: FourierPotential, viscosity: float, times: Sequence[float] | Array, domain: Domain
    ) -> str | None:
        """What keeps the solution from the tolerance, if anything does."""
        rounding = _ROUNDING_ERROR * potential.range_bound / (2 * viscosity)
        if rounding > self.tolerance:
            return (
                f"loses {rounding:.1e} to rounding in double precision, tolerance is {self.tolerance:.1e} (the "
                f"potential spans {potential.range_bound / (2 * viscosity):.3g} viscosities)"
            )
        for time in times:
            if time == 0:
                continue
            rules = self._rules(potential, viscosity, float(time), domain)
            memory, work = _costs(rules)
            if memory > _LARGEST_MEMORY:
                return f"needs {memory / 2**30:.3g} GiB of memory at time {time:.3g}, at most 1 GiB is used"
            if work > _LARGEST_WORK:
                return f"needs {work:.1e} weights per frame at time {time:.3g}, at most {_LARGEST_WORK:.0e} are used"
        return None

    def _frame(self, potential: FourierPotential, viscosity: float, time: float, domain: Domain) -> Array:
        if time == 0:
            return potential.velocity(domain.centres())
        rules = self._rules(potential, viscosity, time, domain)
        shifts = np.remainder(potential.mean_velocity * time, domain.extent)
        nodes = [rule.nodes() - shift for rule, shift in zip(rules, shifts, strict=True)]

        def initial(points: Sequence[Array]) -> tuple[Array, Array]:
            return -potential.evaluate(points) / (2 * viscosity), potential.velocity(points)

        return _average(rules, nodes, initial)[1]

    def _rules(self, potential: FourierPotential, viscosity: float, time: float, domain: Domain) -> list[AxisRule]:
        log_accuracy = float(np.log(8 * domain.dimension / self.tolerance))
        largest_wave_numbers = np.abs(potential.wave_vectors).max(axis=0, initial=0.0)
        bounds = [
            WeightBounds(viscosity, time, speed, curvature, wave_number, log_accuracy)
            for speed, curvature, wave_number in zip(
                potential.speed_bounds, potential.curvature_bounds, largest_wave_numbers, strict=True
            )
        ]
        return [AxisRule(*axis) for axis in zip(domain.extent, domain.resolution, bounds, strict=True)]


def _average(
    rules: Sequence[AxisRule],
    nodes: Sequence[Array],
    initial: Callable[[Sequence[Array]], tuple[Array, Array]],
) -> tuple[Array, Array]:
    """Log of the mass and mean velocity around each cell of the axes with a rule, at all nodes of further axes.

    The last axis with a rule is taken in slabs, within each of which the other axes are averaged first.

    Args:
        rules: Of the first axes; with none left, the initial values themselves are returned.
        nodes: Coordinates along all axes, ``(n,)`` each, units L.
        initial: Log weight ``(*n)`` and velocity ``(C, *n)`` on a grid of points.

    Returns:
        ``(*N, *n)`` and ``(C, *N, *n)``.
    """
    if not rules:
        return initial(nodes)
    axis = len(rules) - 1
    num_across = math.prod(len(points) for points in nodes) // len(nodes[axis])
    thickness = len(nodes[axis]) if axis == 0 else max(1, _NUM_NODES_AT_ONCE // num_across)
    slabs = [
        _average(rules[:-1], [*nodes[:axis], nodes[axis][first : first + thickness], *nodes[axis + 1 :]], initial)
        for first in range(0, len(nodes[axis]), thickness)
    ]
    log_weight = np.concatenate([slab for slab, _ in slabs], axis=axis)
    velocity = np.concatenate([slab for _, slab in slabs], axis=axis + 1)
    log_weight, velocity = np.moveaxis(log_weight, axis, 0), np.moveaxis(velocity, axis + 1, 1)
    others = log_weight.shape[1:]
    num_nodes = len(log_weight)
    log_mass, means = rules[axis].average(
        log_weight.reshape(num_nodes, -1), velocity.reshape(len(velocity), num_nodes, -1)
    )
    log_mass, means = log_mass.reshape(-1, *others), means.reshape(len(means), -1, *others)
    return np.moveaxis(log_mass, 0, axis), np.moveaxis(means, 1, axis + 1)


def _costs(rules: Sequence[AxisRule]) -> tuple[int, int]:
    """Bytes of the largest array of nodes, and weights, of one frame."""
    num_cells = [rule.num_cells for rule in rules]
    num_nodes = [rule.num_nodes for rule in rules]
    largest = max(math.prod(num_cells[:axis]) * num_nodes[axis] for axis in range(len(rules)))
    weights = (
        math.prod(num_cells[: axis + 1]) * rules[axis].num_neighbours * math.prod(num_nodes[axis + 1 :])
        for axis in range(len(rules))
    )
    return 8 * (1 + len(rules)) * max(largest, _NUM_NODES_AT_ONCE), sum(weights)


def _rounded_up(number: float) -> float:
    """To three digits, so that a limit that is read off a message and adopted is kept."""
    unit = 10.0 ** (math.floor(math.log10(number)) - 2)
    return math.ceil(number / unit) * unit
