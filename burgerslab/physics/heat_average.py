"""Averages over the heat kernel along one axis of a periodic box, by a trapezoidal rule of known accuracy.

In the shapes, n is the number of nodes of the rule, N of cells, P of nodes around a cell and R of other points.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_NUM_VALUES_AT_ONCE = 2**22  # 32 MiB of float64
_LARGEST_RANGE_OF_PRODUCTS = 600.0  # below the 708 at which exp(-x) leaves the normal numbers
_LARGEST_SHIFT = 50.0  # waves across a complex shift, which cosh must bear


@dataclass(frozen=True)
class WeightBounds:
    """What bounds w(y) = exp(-(x-y)²/(4νt) - ψ(y)/(2ν)) along one axis.

    Args:
        viscosity: ν, units L²/T.
        time: t, units T.
        speed: Largest |ψ'|, units L/T.
        curvature: Largest |ψ''|, units 1/T.
        wave_number: Largest k of ψ, units 1/L.
        log_accuracy: ln(1/ε) for a relative error ε of averages over w.
    """

    viscosity: float
    time: float
    speed: float
    curvature: float
    wave_number: float
    log_accuracy: float

    def largest_step(self) -> float:
        """Distance of nodes at which the trapezoidal rule errs by ε, units L.

        The rule with step h errs by at most 2 exp(g(η) - 2πη/h) if the integrand at y + iη is at most exp(g(η))
        times as large as at y, for any η > 0 (Trefethen and Weideman, SIAM Review 56 (2014) 385, theorem 5.1).
        Here g(η) = η²/(4νt) + max|ψ''| (cosh(kη) - 1) / (2νk²) by Bernstein's inequality, and kη more for the
        averaged velocity.
        """
        least = np.sqrt(self.log_accuracy * self.viscosity / (1 / self.time + self.curvature)) / 2
        most = np.sqrt(4 * self.log_accuracy * self.viscosity * self.time)
        if self.wave_number > 0:
            least = min(least, 1 / self.wave_number)
            most = min(most, _LARGEST_SHIFT / self.wave_number)
        shift = np.geomspace(least, most, 100)
        growth = shift**2 / (4 * self.viscosity * self.time)
        if self.wave_number > 0:
            cosh_less_one = 2 * np.sinh(self.wave_number * shift / 2) ** 2
            growth += self.curvature * cosh_less_one / (2 * self.viscosity * self.wave_number**2)
        return float(np.max(2 * np.pi * shift / (growth + self.wave_number * shift + self.log_accuracy)))

    def reach(self) -> float:
        """Distance beyond which w holds less than ε of the integral, units L.

        (x-y)²/(2t) + ψ(y) is least within |x-y| <= t max|ψ'| and grows by δ²/(2t) a distance δ further out.
        """
        log_accuracy = self.log_accuracy + 0.5 * np.log1p(self.time * self.curvature)
        return float(self.time * self.speed + np.sqrt(4 * self.viscosity * self.time * log_accuracy))


@dataclass(frozen=True)
class AxisRule:
    """A trapezoidal rule around each cell centre of one axis.

    Neighbouring cells share nodes where their surroundings overlap, and never use a node twice: where the reach is
    longer than the box, the heat kernel is summed over its periodic images.

    Args:
        length: Length of the box along the axis, units L.
        num_cells: Number of cells N along the axis.
        bounds: Of the weight.
    """

    length: float
    num_cells: int
    bounds: WeightBounds

    @property
    def num_nodes(self) -> int:
        """Number n of nodes along the whole axis."""
        return self.num_cells * min(self._divisor, 2 * self._half_width + 1)

    @property
    def num_neighbours(self) -> int:
        """Number P of nodes around each cell centre."""
        return min(self.num_cells * self._divisor, 2 * self._half_width + 1)

    def nodes(self) -> Array:
        """Coordinates of the nodes, ``(n,)``, units L; some lie outside the box."""
        centres = (np.arange(self.num_cells) + 0.5) * self.length / self.num_cells
        if self._is_shared:
            return centres[0] + self._step * np.arange(self.num_nodes)
        return (centres[:, None] + self._step * self._offsets).ravel()

    def neighbours(self) -> npt.NDArray[np.int64]:
        """Which nodes surround each cell centre, ``(N, P)``."""
        if self._is_shared:
            return (self._divisor * np.arange(self.num_cells)[:, None] + self._offsets) % self.num_nodes
        return np.arange(self.num_nodes).reshape(self.num_cells, self.num_neighbours)

    def log_kernel(self) -> Array:
        """-(x-y)²/(4νt) for the nodes y around a cell centre x, ``(P,)``, summed over images where it wraps."""
        distance = self._step * self._offsets
        num_images = 0
        if self.num_neighbours < 2 * self._half_width + 1:
            num_images = int(np.ceil(self.bounds.reach() / self.length))
        images = self.length * np.arange(-num_images, num_images + 1)
        exponents = -((distance[:, None] - images) ** 2) / (4 * self.bounds.viscosity * self.bounds.time)
        return np.asarray(np.logaddexp.reduce(exponents, axis=1))

    def average(self, log_weight: Array, values: Array) -> tuple[Array, Array]:
        """Log of the mass, and averages over it, around each cell centre.

        Sums of positive numbers only, so nothing cancels. Where exp(log_weight) spans less than double precision
        holds, products of matrices; elsewhere each exponent is taken relative to the largest around its cell.

        Args:
            log_weight: At the nodes, ``(n, R)``, without the kernel.
            values: To be averaged, ``(C, n, R)``.

        Returns:
            ``(N, R)`` and ``(C, N, R)``.
        """
        span = float(np.max(log_weight.max(axis=0) - log_weight.min(axis=0)))
        if span < _LARGEST_RANGE_OF_PRODUCTS and self.num_cells * self.num_nodes <= _NUM_VALUES_AT_ONCE:
            return self._average_by_products(log_weight, values)
        return self._average_by_exponents(log_weight, values)

    def _average_by_products(self, log_weight: Array, values: Array) -> tuple[Array, Array]:
        kernel = np.zeros((self.num_cells, self.num_nodes))
        kernel[np.arange(self.num_cells)[:, None], self.neighbours()] = np.exp(self.log_kernel())
        largest = log_weight.max(axis=0)
        weight = np.exp(log_weight - largest)
        mass = kernel @ weight
        return np.log(mass) + largest, np.stack([kernel @ (weight * component) for component in values]) / mass

    def _average_by_exponents(self, log_weight: Array, values: Array) -> tuple[Array, Array]:
        neighbours, log_kernel = self.neighbours(), self.log_kernel()[:, None]
        num_columns = log_weight.shape[1]
        log_mass = np.empty((self.num_cells, num_columns))
        averages = np.empty((len(values), self.num_cells, num_columns))
        block = max(1, _NUM_VALUES_AT_ONCE // self.num_neighbours)
        for first in range(0, num_columns, block):
            columns = slice(first, first + block)
            for cell, around in enumerate(neighbours):
                exponents = log_weight[around, columns] + log_kernel
                largest = exponents.max(axis=0)
                weight = np.exp(exponents - largest)
                mass = weight.sum(axis=0)
                log_mass[cell, columns] = largest + np.log(mass)
                averages[:, cell, columns] = np.einsum("pr,cpr->cr", weight, values[:, around, columns]) / mass
        return log_mass, averages

    @cached_property
    def _divisor(self) -> int:
        """Nodes per cell, where cells share nodes."""
        return int(np.ceil(self.length / (self.num_cells * self.bounds.largest_step())))

    @cached_property
    def _half_width(self) -> int:
        """Steps from a cell centre to the end of its reach."""
        return int(np.ceil(self.bounds.reach() / self._step))

    @property
    def _step(self) -> float:
        return self.length / (self.num_cells * self._divisor)

    @property
    def _is_shared(self) -> bool:
        return 2 * self._half_width + 1 >= self._divisor

    @property
    def _offsets(self) -> npt.NDArray[np.int64]:
        if self.num_neighbours < 2 * self._half_width + 1:
            return np.arange(self.num_neighbours)
        return np.arange(-self._half_width, self._half_width + 1)
