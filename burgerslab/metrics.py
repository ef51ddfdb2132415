"""Errors and spectra of velocity fields, one value per trajectory and frame.

Legend of the shapes: B trajectories, T frames, C components, *N cells (one, two or three periodic axes),
K shells of wave numbers.

All sums run in float64, whatever the precision of the input, and results are float64. Nothing is averaged
over trajectories or frames. Four rules hold for every function:

- Prediction and target of different shapes, or an extent with another number of axes than the cells, raise a
  ValueError; nothing is broadcast.
- A prediction that has blown up in a frame (a value that is not finite, or whose square overflows) has the
  error inf and the correlation and spectrum nan in that frame.
- A target that is not finite gives nan.
- A relative error against a target that is zero is inf, and nan where the prediction is zero as well:
  IEEE division without a hidden small constant, as in PDEBench.

Wave numbers are integers: cycles per box along each axis. Shell k holds the Fourier modes whose vector of
wave numbers has a length in [k, k + 1), as in PDEBench; in a box with unequal sides it is therefore an
ellipsoidal shell of physical wave numbers. The corners of the Fourier grid are included.
"""

from math import isqrt, pi

import torch
from jaxtyping import Bool, Float
from torch import Tensor

BAND_EDGES = (4, 12)


def rmse(prediction: Float[Tensor, "B T C *N"], target: Float[Tensor, "B T C *N"]) -> Float[Tensor, "B T"]:
    """Root mean square error over cells and components: sqrt(mean((p - t)²)).

    PDEBench takes the root of each component before it averages them; the two agree for one component.

    Args:
        prediction: Predicted velocity, units L/T.
        target: True velocity, units L/T.

    Returns:
        Error, units L/T.
    """
    p, t = _float64(prediction, target)
    return _error((p - t).square().flatten(2).mean(dim=2).sqrt(), p, t)


def nrmse(prediction: Float[Tensor, "B T C *N"], target: Float[Tensor, "B T C *N"]) -> Float[Tensor, "B T"]:
    """Normalised root mean square error of PDEBench: mean over c of sqrt(mean((p_c - t_c)²) / mean(t_c²)).

    The inner means run over the cells. The mean over B and T is the "nRMSE" of Takamoto et al. (2022, arXiv
    2210.07182) as their code computes it. One component that is zero everywhere makes the frame inf or nan.

    Args:
        prediction: Predicted velocity, units L/T.
        target: True velocity, units L/T.

    Returns:
        Relative error, no unit.
    """
    p, t = _float64(prediction, target)
    error = (p - t).square().flatten(3).mean(dim=3).sqrt()
    norm = t.square().flatten(3).mean(dim=3).sqrt()
    return _error((error / norm).mean(dim=2), p, t)


def max_error(prediction: Float[Tensor, "B T C *N"], target: Float[Tensor, "B T C *N"]) -> Float[Tensor, "B T"]:
    """Largest error of any cell and component: max |p - t|.

    Args:
        prediction: Predicted velocity, units L/T.
        target: True velocity, units L/T.

    Returns:
        Error, units L/T.
    """
    p, t = _float64(prediction, target)
    return _error((p - t).abs().flatten(2).amax(dim=2), p, t)


def mean_error(prediction: Float[Tensor, "B T C *N"], target: Float[Tensor, "B T C *N"]) -> Float[Tensor, "B T"]:
    """Error of the mean velocity: Euclidean length over components of mean(p) - mean(t).

    The mean over the cells is what a conservative scheme keeps to round-off. For one component and one
    trajectory this is the "cRMSE" of Takamoto et al. (2022, arXiv 2210.07182).

    Args:
        prediction: Predicted velocity, units L/T.
        target: True velocity, units L/T.

    Returns:
        Error, units L/T.
    """
    p, t = _float64(prediction, target)
    return _error(torch.linalg.vector_norm((p - t).flatten(3).mean(dim=3), dim=2), p, t)


def band_error(prediction: Float[Tensor, "B T C *N"], target: Float[Tensor, "B T C *N"]) -> Float[Tensor, "B T 3"]:
    """Root mean square error in the low, middle and high band of wave numbers.

    The bands hold the shells k < 4, 4 <= k < 12 and 12 <= k, the edges of PDEBench (Takamoto et al. 2022,
    arXiv 2210.07182). The normalisation differs from theirs: here each band is the root mean square of the
    error filtered to that band, so that by Parseval low² + middle² + high² = rmse². A band without modes
    (high on fewer than 24 cells in 1D) is zero.

    Args:
        prediction: Predicted velocity, units L/T.
        target: True velocity, units L/T.

    Returns:
        Errors (low, middle, high), units L/T.
    """
    p, t = _float64(prediction, target)
    power = _shell_power(p - t) / p.shape[2]
    low, high = BAND_EDGES
    bands = torch.stack(
        (power[..., :low].sum(dim=2), power[..., low:high].sum(dim=2), power[..., high:].sum(dim=2)), dim=2
    )
    return _error(bands.sqrt(), p, t)


def energy_spectrum(velocity: Float[Tensor, "B T C *N"]) -> Float[Tensor, "B T K"]:
    """Kinetic energy in each shell of wave numbers, E(k) = ½ Σ |û(m)|² over k <= |m| < k + 1.

    û are the Fourier coefficients of all components, such that Σ_k E(k) = mean over cells of ½ |u|².

    Args:
        velocity: Velocity, units L/T.

    Returns:
        Energy in the shells k = 0 ... K - 1, units L²/T². K - 1 is the shell of the corner mode, whose
        wave numbers are half the number of cells. A frame with a value that is not finite is nan.
    """
    u = velocity.double()
    return torch.where(_blown_up(u).unsqueeze(2), torch.nan, 0.5 * _shell_power(u))


def spectrum_error(prediction: Float[Tensor, "B T C *N"], target: Float[Tensor, "B T C *N"]) -> Float[Tensor, "B T"]:
    """Relative L1 error of the energy spectrum: Σ_k |E_p(k) - E_t(k)| / Σ_k E_t(k).

    It is blind to phases: a shifted prediction has no error. A prediction of zero has the error 1.

    Args:
        prediction: Predicted velocity, units L/T.
        target: True velocity, units L/T.

    Returns:
        Relative error, no unit.
    """
    p, t = _float64(prediction, target)
    predicted, true = energy_spectrum(p), energy_spectrum(t)
    return _error((predicted - true).abs().sum(dim=2) / true.sum(dim=2), p, t)


def h1(
    prediction: Float[Tensor, "B T C *N"], target: Float[Tensor, "B T C *N"], extent: tuple[float, ...]
) -> Float[Tensor, "B T"]:
    """Relative error in the Sobolev norm H1: ‖p - t‖ / ‖t‖ with ‖v‖² = mean(|v|² + |∇v|²).

    Derivatives are exact in Fourier space, |∇v|² = Σ |2π m / extent|² |v̂(m)|², the highest wave number
    included. The sum of the two terms takes the unit of length of the extent as given.

    Args:
        prediction: Predicted velocity, units L/T.
        target: True velocity, units L/T.
        extent: Length of the box along each axis, units L.

    Returns:
        Relative error, no unit.
    """
    p, t = _float64(prediction, target)
    cells = tuple(p.shape[3:])
    if len(extent) != len(cells):
        raise ValueError(f"extent expected {len(cells)} lengths, one per axis of cells, got {extent}")
    wave_numbers = zip(_wave_numbers(cells, p.device), extent, strict=True)
    weight = 1 + torch.stack([(2 * pi / length * m).square() for m, length in wave_numbers]).sum(dim=0)
    error = (_mode_power(p - t) * weight).flatten(2).sum(dim=2)
    norm = (_mode_power(t) * weight).flatten(2).sum(dim=2)
    return _error(error.sqrt() / norm.sqrt(), p, t)


def correlation(prediction: Float[Tensor, "B T C *N"], target: Float[Tensor, "B T C *N"]) -> Float[Tensor, "B T"]:
    """Pearson correlation of prediction and target over cells and components.

    r = Σ p' t' / sqrt(Σ p'² Σ t'²), where ' subtracts from each component its own mean over the cells, so
    that a uniform flow counts for nothing.

    Args:
        prediction: Predicted velocity, units L/T.
        target: True velocity, units L/T.

    Returns:
        Correlation in [-1, 1] up to round-off; nan where prediction or target is uniform or not finite.
    """
    p, t = _float64(prediction, target)
    undefined = _blown_up(p) | _blown_up(t)
    p, t = ((field - field.mean(dim=-1, keepdim=True)).flatten(2) for field in (p.flatten(3), t.flatten(3)))
    # Each norm divides alone, for the product of two small variances would underflow.
    p, t = (field / torch.linalg.vector_norm(field, dim=2, keepdim=True) for field in (p, t))
    return torch.where(undefined, torch.nan, (p * t).sum(dim=2))


def correlation_time(
    correlation: Float[Tensor, "B T"], times: Float[Tensor, " T"], threshold: float = 0.8
) -> Float[Tensor, " B"]:
    """Time of the first frame whose correlation is below the threshold, without interpolation.

    The threshold 0.8 is that of Lippe et al. (2023, PDE-Refiner, arXiv 2308.05732). A correlation that is
    nan counts as below it.

    Args:
        correlation: Correlation of each frame.
        times: Time of each frame, ascending, units T.
        threshold: Correlation that still counts as correlated.

    Returns:
        Time, units T. A trajectory that never falls below the threshold has the last time, which is then a
        lower bound; ``(correlation >= threshold).all(dim=1)`` tells these trajectories.
    """
    lost = ~(correlation >= threshold)
    first = lost.int().argmax(dim=1)
    return times[torch.where(lost.any(dim=1), first, len(times) - 1)]


def frame_metrics(
    prediction: Float[Tensor, "B T C *N"], target: Float[Tensor, "B T C *N"], extent: tuple[float, ...]
) -> dict[str, Float[Tensor, "B T"]]:
    """All metrics of this module that have one value per trajectory and frame.

    Args:
        prediction: Predicted velocity, units L/T.
        target: True velocity, units L/T.
        extent: Length of the box along each axis, units L.

    Returns:
        The metrics nrmse, rmse, max_error, mean_error, band_low, band_middle, band_high, spectrum_error,
        h1 and correlation.
    """
    low, middle, high = band_error(prediction, target).unbind(dim=2)
    return {
        "nrmse": nrmse(prediction, target),
        "rmse": rmse(prediction, target),
        "max_error": max_error(prediction, target),
        "mean_error": mean_error(prediction, target),
        "band_low": low,
        "band_middle": middle,
        "band_high": high,
        "spectrum_error": spectrum_error(prediction, target),
        "h1": h1(prediction, target, extent),
        "correlation": correlation(prediction, target),
    }


def _float64(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction and target must have one shape, got {tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    return prediction.double(), target.double()


def _blown_up(field: Float[Tensor, "B T C *N"]) -> Bool[Tensor, "B T"]:
    return ~field.square().flatten(2).mean(dim=2).isfinite()


def _error(
    value: Float[Tensor, "B T *K"], prediction: Float[Tensor, "B T C *N"], target: Float[Tensor, "B T C *N"]
) -> Float[Tensor, "B T *K"]:
    one_per_frame = (*value.shape[:2], *(1 for _ in value.shape[2:]))
    value = torch.where(_blown_up(prediction).reshape(one_per_frame), torch.inf, value)
    return torch.where(_blown_up(target).reshape(one_per_frame), torch.nan, value)


def _wave_numbers(cells: tuple[int, ...], device: torch.device) -> list[Float[Tensor, "..."]]:
    # The last axis is one-sided, as rfftn has it.
    axes = [torch.fft.fftfreq(number, dtype=torch.float64, device=device) for number in cells[:-1]]
    axes.append(torch.fft.rfftfreq(cells[-1], dtype=torch.float64, device=device))
    # Rounded, because a wave number of 4.999... would fall into the wrong shell.
    whole = ((axis * number).round() for axis, number in zip(axes, cells, strict=True))
    return list(torch.meshgrid(*whole, indexing="ij"))


def _mode_power(field: Float[Tensor, "B T C *N"]) -> Float[Tensor, "B T C *M"]:
    """Squared Fourier coefficients whose sum is the mean square; the one-sided axis counts its pairs twice."""
    axes = tuple(range(3, field.ndim))
    coefficients = torch.fft.rfftn(field, dim=axes, norm="forward")
    power = coefficients.real.square() + coefficients.imag.square()
    power[..., 1 : (field.shape[-1] + 1) // 2] *= 2
    return power


def _shell_power(field: Float[Tensor, "B T C *N"]) -> Float[Tensor, "B T K"]:
    cells = tuple(field.shape[3:])
    squares = torch.stack(_wave_numbers(cells, field.device)).square().sum(dim=0)
    shell = squares.sqrt().floor().long().flatten()
    power = _mode_power(field).sum(dim=2).flatten(2)
    num_shells = isqrt(sum((number // 2) ** 2 for number in cells)) + 1
    return power.new_zeros((*power.shape[:2], num_shells)).index_add(2, shell, power)
