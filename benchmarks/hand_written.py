"""The schemes once more in plain torch, without PhiFlow: what the library's speed is measured against.

Formulas and grids are those of ``burgerslab.physics.schemes``. Each function here takes a box and a step size and
returns ``(prepare, step)``: ``prepare(viscosity)`` makes the factors that all steps of a rollout share, and
``step(velocity, *factors)`` advances ``(B, C, *N)`` by one step.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from burgerslab.physics import Domain

Prepare = Callable[[Tensor], tuple[Tensor, ...]]
Step = Callable[..., Tensor]

_SIXTH_ORDER = (3 / 4, -3 / 20, 1 / 60)


def rollout(prepare: Prepare, step: Step, velocity: Tensor, viscosity: Tensor, num_frames: int) -> Tensor:
    """Frames 1 to ``num_frames``, ``(B, T, C, *N)``."""
    factors = prepare(viscosity)
    frames = []
    for _ in range(num_frames):
        velocity = step(velocity, *factors)
        frames.append(velocity)
    return torch.stack(frames, dim=1)


def finite_difference(domain: Domain, dt: float) -> tuple[Prepare, Step]:
    """Central differences of order 6, applied as multipliers in Fourier space, and integrating-factor RK4."""
    forward, inverse = _transforms(domain)
    symbol = [
        sum(w * 2 * torch.sin(j * k * dx) for j, w in enumerate(_SIXTH_ORDER, start=1)) / dx
        for k, dx in zip(_wave_numbers(domain), domain.spacing, strict=True)
    ]
    derivative = 1j * torch.stack(symbol)
    pairs = [(n, m) for n in range(domain.dimension) for m in range(n)]

    def slope(spectrum: Tensor, u: Tensor) -> Tensor:
        gradient = derivative * forward(0.5 * u.square().sum(1, keepdim=True))
        if not pairs:
            return -gradient
        curl = [derivative[m] * spectrum[:, n] - derivative[n] * spectrum[:, m] for n, m in pairs]
        force: list[Tensor | float] = [0.0] * domain.dimension
        for (n, m), vorticity in zip(pairs, inverse(torch.stack(curl, 1)).unbind(1), strict=True):
            force[n] = force[n] - u[:, m] * vorticity
            force[m] = force[m] + u[:, n] * vorticity
        return forward(torch.stack(force, 1)) - gradient

    def prepare(viscosity: Tensor) -> tuple[Tensor, ...]:
        return (_decay(domain, viscosity, dt / 2),)

    def step(velocity: Tensor, half_decay: Tensor) -> Tensor:
        start = forward(velocity)
        return inverse(_rk4(start, slope(start, velocity), lambda s: slope(s, inverse(s)), half_decay, dt))

    return prepare, step


def fourier_spectral(domain: Domain, dt: float) -> tuple[Prepare, Step]:
    """Dealiased pseudo-spectral advection and integrating-factor RK4."""
    forward, inverse = _transforms(domain)
    k = _wave_numbers(domain)
    inside = [(wave * dx).abs() < 2 * math.pi / 3 - 1e-9 for wave, dx in zip(k, domain.spacing, strict=True)]
    kept = torch.stack(inside).all(0).double()
    derivative = 1j * torch.stack(k)

    def slope(spectrum: Tensor) -> Tensor:
        u = inverse(spectrum)
        gradients = inverse(derivative[:, None] * spectrum[:, None])  # (B, j, i, *N)
        return -kept * forward((u[:, :, None] * gradients).sum(1))

    def prepare(viscosity: Tensor) -> tuple[Tensor, ...]:
        return (_decay(domain, viscosity, dt / 2),)

    def step(velocity: Tensor, half_decay: Tensor) -> Tensor:
        start = kept * forward(velocity)
        return inverse(_rk4(start, slope(start), slope, half_decay, dt))

    return prepare, step


def weno(domain: Domain, dt: float) -> tuple[Prepare, Step]:
    """Fifth-order upwind WENO advection and integrating-factor RK4."""
    forward, inverse = _transforms(domain)

    def slope(u: Tensor) -> Tensor:
        total: Tensor | float = 0.0
        for axis, dx in enumerate(domain.spacing):
            n, dim = domain.resolution[axis], 2 + axis
            padded = torch.cat([u.narrow(dim, n - 3, 3), u, u.narrow(dim, 0, 3)], dim)
            slopes = padded.diff(dim=dim) / dx
            near = [slopes.narrow(dim, j, n) for j in range(6)]
            along = u[:, axis : axis + 1]
            total = total - along.clamp(min=0) * _weighted(*near[:5]) - along.clamp(max=0) * _weighted(*near[:0:-1])
        return forward(total)

    def prepare(viscosity: Tensor) -> tuple[Tensor, ...]:
        return (_decay(domain, viscosity, dt / 2),)

    def step(velocity: Tensor, half_decay: Tensor) -> Tensor:
        start = forward(velocity)
        return inverse(_rk4(start, slope(velocity), lambda s: slope(inverse(s)), half_decay, dt))

    return prepare, step


def semi_lagrangian(domain: Domain, dt: float) -> tuple[Prepare, Step]:
    """Explicit diffusion, then one look-up along straight paths."""

    def prepare(viscosity: Tensor) -> tuple[Tensor, ...]:
        return (viscosity,)

    def step(velocity: Tensor, viscosity: Tensor) -> Tensor:
        laplacian: Tensor | float = 0.0
        for axis, dx in enumerate(domain.spacing):
            dim = 2 + axis
            laplacian = laplacian + (velocity.roll(1, dim) + velocity.roll(-1, dim) - 2 * velocity) / dx**2
        diffused = velocity + dt * viscosity * laplacian
        return _Lookup(domain, -dt * diffused).interpolate(diffused)

    return prepare, step


def mac_cormack(domain: Domain, dt: float) -> tuple[Prepare, Step]:
    """Half a step of diffusion, clamped MacCormack advection at the midpoint's velocity, half a step of diffusion."""
    forward, inverse = _transforms(domain)

    def prepare(viscosity: Tensor) -> tuple[Tensor, ...]:
        return (_decay(domain, viscosity, dt / 2),)

    def step(velocity: Tensor, half_decay: Tensor) -> Tensor:
        start = inverse(half_decay * forward(velocity))
        midway = _Lookup(domain, -dt / 2 * start).interpolate(start)
        back = _Lookup(domain, -dt * midway)
        advected = back.interpolate(start)
        returned = _Lookup(domain, dt * midway).interpolate(advected)
        lowest, highest = back.range_around(start)
        corrected = torch.clamp(advected + 0.5 * (start - returned), lowest, highest)
        return inverse(half_decay * forward(corrected))

    return prepare, step


class _Lookup:
    """Cells around the points that lie ``displacement`` away from the cell centres."""

    def __init__(self, domain: Domain, displacement: Tensor) -> None:
        strides = [math.prod(domain.resolution[axis + 1 :]) for axis in range(domain.dimension)]
        self._corners: list[tuple[Tensor, Tensor]] = []
        per_axis = []
        for axis, (n, dx) in enumerate(zip(domain.resolution, domain.spacing, strict=True)):
            shape = [n if i == axis else 1 for i in range(domain.dimension)]
            index = torch.arange(n, dtype=displacement.dtype).reshape(shape) + displacement[:, axis] / dx
            below = index.detach().floor()
            share = index - below
            cell = below.long() % n
            per_axis.append([(cell * strides[axis], 1 - share), ((cell + 1) % n * strides[axis], share)])
        for corner in range(2**domain.dimension):
            chosen = [sides[corner >> axis & 1] for axis, sides in enumerate(per_axis)]
            cell, weight = chosen[0]
            for c, w in chosen[1:]:
                cell, weight = cell + c, weight * w
            self._corners.append((cell, weight))

    def _values(self, u: Tensor, cell: Tensor) -> Tensor:
        index = cell.flatten(1)[:, None].expand(-1, u.shape[1], -1)
        return u.flatten(2).gather(2, index).reshape(u.shape)

    def interpolate(self, u: Tensor) -> Tensor:
        """Multilinear."""
        return sum([weight[:, None] * self._values(u, cell) for cell, weight in self._corners])

    def range_around(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Smallest and largest value of the cells around."""
        values = torch.stack([self._values(u, cell) for cell, _ in self._corners])
        return values.amin(0), values.amax(0)


def _weighted(a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor) -> Tensor:
    candidates = (2 * a - 7 * b + 11 * c) / 6, (-b + 5 * c + 2 * d) / 6, (2 * c + 5 * d - e) / 6
    roughness = (
        13 / 12 * (a - 2 * b + c).square() + 1 / 4 * (a - 4 * b + 3 * c).square(),
        13 / 12 * (b - 2 * c + d).square() + 1 / 4 * (b - d).square(),
        13 / 12 * (c - 2 * d + e).square() + 1 / 4 * (3 * c - 4 * d + e).square(),
    )
    size = (a * a + b * b + c * c + d * d + e * e) / 5 + 1e-30
    weights = [
        share / (1e-6 + rough / size).square() for share, rough in zip((0.1, 0.6, 0.3), roughness, strict=True)
    ]
    return sum([w * q for w, q in zip(weights, candidates, strict=True)]) / sum(weights)


def _rk4(start: Tensor, slope_1: Tensor, slope: Callable[[Tensor], Tensor], half_decay: Tensor, dt: float) -> Tensor:
    middle, decayed_1 = half_decay * start, half_decay * slope_1
    slope_2 = slope(torch.add(middle, decayed_1, alpha=dt / 2))
    slope_3 = slope(torch.add(middle, slope_2, alpha=dt / 2))
    slope_4 = slope(half_decay * torch.add(middle, slope_3, alpha=dt))
    inner = torch.add(middle, torch.add(decayed_1, slope_2 + slope_3, alpha=2), alpha=dt / 6)
    return torch.add(half_decay * inner, slope_4, alpha=dt / 6)


def _transforms(domain: Domain) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    axes = tuple(range(-domain.dimension, 0))
    return (
        lambda values: torch.fft.rfftn(values, dim=axes),
        lambda spectrum: torch.fft.irfftn(spectrum, s=domain.resolution, dim=axes),
    )


def _wave_numbers(domain: Domain) -> list[Tensor]:
    *full, half = zip(domain.resolution, domain.spacing, strict=True)
    frequencies = [torch.fft.fftfreq(n, dx, dtype=torch.float64) for n, dx in full]
    frequencies.append(torch.fft.rfftfreq(*half, dtype=torch.float64))
    return list(torch.meshgrid(*(2 * math.pi * f for f in frequencies), indexing="ij"))


def _decay(domain: Domain, viscosity: Tensor, time: float) -> Tensor:
    return torch.exp(-viscosity * time * sum(k * k for k in _wave_numbers(domain)))
