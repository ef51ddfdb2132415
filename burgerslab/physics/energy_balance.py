"""Viscosity and advection coefficient from the energy balance of frames, band by band of wave numbers.

Per band s of |k|, with the equation u_t + c (u·∇)u = ν Δu:

    d/dt ½ Σ_s |û_k|² = -c Re Σ_s û_k*·[(u·∇)u]_k - ν Σ_s |k|² |û_k|²

Over all bands of one dimension advection drops out; between bands it moves energy, which is what tells c. The
phases of the waves, and with them the mean flow, drop out everywhere. Between two frames the rate is integrated by
the two-point Hermite rule of order 6, whose second and third derivatives of the energy come from the equation too:
the residual is a polynomial in c and ν, and needs no other frames.

Energy transfer between bands: Kraichnan, J. Fluid Mech. 47 (1971) 525. Two-point rules: Obreshkov (1940); Davis and
Rabinowitz, Methods of Numerical Integration (1984), section 2.8.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from burgerslab.physics.coefficients import Coefficients, fit_coefficients
from burgerslab.physics.domain import Domain

_NUM_DERIVATIVES = 3
_NUM_REWEIGHTINGS = 6
_NUM_ITERATIONS = 30
_BELIEVED = 1e-3  # of a rate: no balance is trusted further
_CONVERGED_DIFFERENCE = 0.1  # relative to the rates; above it the difference bounds nothing any more
_ROWS_PER_ERROR = 12  # balances of bands and overlapping intervals share their errors
_FLOAT32_ROUNDING = 2.0**-24 / 3**0.5  # root mean square, relative to the largest value


@dataclass(frozen=True)
class BandEnergies:
    """Energies of bands of wave numbers and their derivatives in time, as polynomials in c and ν.

    Args:
        energy: ½ Σ |û_k|² of each of S bands, ``(B, S)``, units L²/T².
        rates: For n = 1 to 3 the n-th derivative in time, ``(B, S, n + 1)``: the coefficients of
            c^n, c^(n-1) ν, ..., ν^n.
        rounding: Standard error of the energies of data rounded to float32, ``(B, S)``.
    """

    energy: Float[Tensor, "B S"]
    rates: tuple[Float[Tensor, "B S _"], ...]
    rounding: Float[Tensor, "B S"]


def band_energies(velocity: Float[Tensor, "B C *N"], domain: Domain) -> BandEnergies:
    """Energies of octaves of |k|, from the longest wave of the box to a third of the cells per axis.

    Derivatives in space are spectral and products are taken on a grid 3/2 as fine, without aliasing. Waves shorter
    than three cells take part in the products, but no balance of theirs is used: what a grid misses it misses there.

    Args:
        velocity: Frames, ``(B, C, *N)``, float64, units L/T.
        domain: Box and grid.
    """
    modes = _Modes(domain, velocity.dtype)
    start = modes.spectrum(velocity)
    # derivatives[n][i]: coefficient of c^(n-i) ν^i in the n-th derivative of the spectrum in time
    derivatives = [[start]]
    values = [[modes.values_and_gradients(start)]]
    for order in range(_NUM_DERIVATIVES):
        following = [torch.zeros_like(start) for _ in range(order + 2)]
        for power, spectrum in enumerate(derivatives[order]):
            following[power + 1] -= modes.square * spectrum
        # Leibniz: the n-th derivative of (u·∇)u; pairs are taken once, in both roles
        for low in range(order // 2 + 1):
            high = order - low
            weight = math.comb(order, low) * (0.5 if low == high else 1.0)
            for i, one in enumerate(values[low]):
                for j, other in enumerate(values[high]):
                    following[i + j] -= weight * modes.advection(one, other)
        derivatives.append(following)
        if order + 1 < _NUM_DERIVATIVES:
            values.append([modes.values_and_gradients(spectrum) for spectrum in following])
    rates = []
    for order in range(1, _NUM_DERIVATIVES + 1):
        coefficients = [torch.zeros_like(modes.per_band(start, start)) for _ in range(order + 1)]
        for low in range(order + 1):
            for i, one in enumerate(derivatives[low]):
                for j, other in enumerate(derivatives[order - low]):
                    coefficients[i + j] += 0.5 * math.comb(order, low) * modes.per_band(one, other)
        rates.append(torch.stack(coefficients, dim=2))
    energy = 0.5 * modes.per_band(start, start)
    rounding = _FLOAT32_ROUNDING * velocity.flatten(1).abs().amax(1, keepdim=True)
    return BandEnergies(energy, tuple(rates), rounding * (2 * energy / domain.num_cells).sqrt())


def balance_coefficients(
    energies: BandEnergies, intervals: Sequence[tuple[int, int, float]], viscosity: Float[Tensor, "V"]
) -> Coefficients:
    """ν and c for which the energies of bands balance best over intervals between frames, per trajectory.

    Every balance is weighted by what is known of its error: that of the rule in time, as the difference of the rules
    of order 4 and 6, float32 rounding, and a thousandth of the rates for all else. Frames that are too far apart, or
    near rest, count for little.

    Args:
        energies: Of F frames of each of V trajectories, frames of a trajectory side by side: ``B = V·F``.
        intervals: Numbers of two frames, from 0 to F - 1, and the time between them, units T.
        viscosity: First guess, ``(V,)``, units L²/T, positive.

    Returns:
        The fit. Its residual is relative to the rates of advection and diffusion, balances weighted as in the fit.
    """
    balance = _Balance(energies, intervals, len(viscosity))
    guess, advection = viscosity, torch.ones_like(viscosity)
    for _ in range(_NUM_REWEIGHTINGS):
        weight = balance.weight(guess, advection)

        def misfit(nu: Tensor, c: Tensor, weight: Tensor = weight) -> Tensor:
            return balance.imbalance(nu, c) * weight

        num_errors = max(1, weight.shape[1] // _ROWS_PER_ERROR)
        fit = fit_coefficients(misfit, guess, advection, num_errors, torch.ones_like(guess), _NUM_ITERATIONS)
        guess, advection = fit.viscosity, fit.advection
    scale = (balance.scale(guess, advection) * weight).square().mean(1).sqrt()
    return replace(fit, residual=torch.where(scale > 0, fit.residual / scale, torch.zeros_like(scale)))


class _Balance:
    """E(t₁) - E(t₀) - ∫ E' dt of every interval and band, as functions of ν and c, ``(V, R)``."""

    def __init__(self, energies: BandEnergies, intervals: Sequence[tuple[int, int, float]], count: int) -> None:
        first, last = ([interval[end] for interval in intervals] for end in (0, 1))
        width = torch.tensor([time for _, _, time in intervals], dtype=energies.energy.dtype)[:, None]
        bands = energies.energy.shape[1]

        def ends(values: Tensor) -> tuple[Tensor, Tensor]:
            each = values.reshape(count, -1, *values.shape[1:])
            return each[:, first], each[:, last]

        before, after = ends(energies.energy)
        self._gain = (after - before).flatten(1)
        before, after = ends(energies.rounding)
        self._rounding = (before**2 + after**2).sqrt().flatten(1)
        (before, after), slopes, bends = (ends(rate) for rate in energies.rates)
        width = width[..., None]
        self._mean_rate = [(width / 2 * part).flatten(1, 2) for part in (before, after)]
        self._slope = (width**2 * (slopes[0] - slopes[1])).flatten(1, 2)
        self._bend = (width**3 * (bends[0] + bends[1])).flatten(1, 2)
        assert self._gain.shape[1] == len(intervals) * bands

    def imbalance(self, viscosity: Tensor, advection: Tensor) -> Tensor:
        """By the rule of order 6, units L²/T²."""
        return self._gain - self._integral(viscosity, advection, 1 / 10, 1 / 120)

    def scale(self, viscosity: Tensor, advection: Tensor) -> Tensor:
        """What is advected into or out of a band, plus what diffuses, both without sign; units L²/T²."""
        terms = sum(part.abs() for part in self._mean_rate)
        return terms[..., 0] * advection.abs()[:, None] + terms[..., 1] * viscosity[:, None]

    def weight(self, viscosity: Tensor, advection: Tensor) -> Tensor:
        """One over the standard error; 0 where nothing happens."""
        fourth = self._integral(viscosity, advection, 1 / 12, 0.0)
        difference = self._integral(viscosity, advection, 1 / 10, 1 / 120) - fourth
        scale = self.scale(viscosity, advection)
        diverging = difference / torch.where(scale > 0, _CONVERGED_DIFFERENCE * scale, torch.ones_like(scale))
        in_time = difference * (1 + diverging**2)
        believed = _BELIEVED * scale
        error = (in_time**2 + believed**2 + self._rounding**2).sqrt()
        return torch.where(error > 0, 1 / error, torch.zeros_like(error))

    def _integral(self, viscosity: Tensor, advection: Tensor, slope: float, bend: float) -> Tensor:
        rate = sum(_polynomial(part, viscosity, advection) for part in self._mean_rate)
        slopes = _polynomial(self._slope, viscosity, advection)
        return rate + slope * slopes + bend * _polynomial(self._bend, viscosity, advection)


def _polynomial(coefficients: Tensor, viscosity: Tensor, advection: Tensor) -> Tensor:
    """Σ_i a_i c^(n-i) ν^i for ``(V, R, n + 1)``."""
    order = coefficients.shape[2] - 1
    powers = torch.stack([advection ** (order - i) * viscosity**i for i in range(order + 1)], dim=1)
    return (coefficients * powers[:, None]).sum(2)


class _Modes:
    """Spectra of the waves longer than two cells, and products of theirs without aliasing."""

    def __init__(self, domain: Domain, dtype: torch.dtype) -> None:
        self._axes = tuple(range(-domain.dimension, 0))
        self._cells = domain.resolution
        largest = [(cells - 1) // 2 for cells in domain.resolution]
        # a product of two reaches 2·largest, which must not alias to largest
        self._fine = tuple(cells + cells % 2 for cells in (3 * most + 1 for most in largest))
        kept = [torch.cat([torch.arange(most + 1), torch.arange(-most, 0)]) for most in largest]
        kept[-1] = torch.arange(largest[-1] + 1)
        self._kept = [mode.reshape(-1, *(1,) * (len(kept) - 1 - axis)) for axis, mode in enumerate(kept)]
        self._waves = [
            2 * torch.pi / length * mode.to(dtype) for length, mode in zip(domain.extent, self._kept, strict=True)
        ]
        self.square = sum((wave**2 for wave in self._waves), start=torch.zeros((), dtype=dtype))
        longest = 2 * torch.pi / max(domain.extent)
        octave = torch.floor(torch.log2(self.square.sqrt() / longest * (1 + 1e-9)))
        for mode, cells in zip(self._kept, domain.resolution, strict=True):
            octave = torch.where(mode.abs() <= cells // 3, octave, torch.inf)
        # real fields: waves k and -k are stored once but for those of the plane 0
        doubled = torch.where(self._kept[-1] > 0, 2.0, 1.0).to(dtype)
        present = sorted(set(octave[octave.isfinite()].tolist()))
        self._bands = torch.stack([torch.where(octave == band, doubled, 0.0) for band in present])

    def spectrum(self, velocity: Tensor) -> Tensor:
        """Fourier coefficients ``(B, C, *K)`` of point values ``(B, C, *N)``; the mean square is Σ_k |û_k|²."""
        whole = torch.fft.rfftn(velocity, dim=self._axes, norm="forward")
        return whole[(..., *self._kept)]

    def values_and_gradients(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """On the finer grid: ``(B, C, *M)`` and, the direction of the derivative first, ``(D, B, C, *M)``."""
        gradients = torch.stack([self._fine_values(1j * wave * spectrum) for wave in self._waves])
        return self._fine_values(spectrum), gradients

    def advection(self, one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
        """Spectrum of (a·∇)b + (b·∇)a."""
        values = sum(
            one[0][:, axis, None] * other[1][axis] + other[0][:, axis, None] * one[1][axis]
            for axis in range(len(self._axes))
        )
        return torch.fft.rfftn(values, dim=self._axes, norm="forward")[(..., *self._kept)]

    def per_band(self, one: Complex[Tensor, "B C *K"], other: Complex[Tensor, "B C *K"]) -> Float[Tensor, "B S"]:
        """Re Σ a_k*·b_k over the waves of each band."""
        product = (one.conj() * other).real.sum(1)
        return product.flatten(1) @ self._bands.flatten(1).T

    def _fine_values(self, spectrum: Tensor) -> Tensor:
        fine = spectrum.new_zeros((*spectrum.shape[:2], *self._fine[:-1], self._fine[-1] // 2 + 1))
        fine[(..., *self._kept)] = spectrum
        return torch.fft.irfftn(fine, s=self._fine, dim=self._axes, norm="forward")
