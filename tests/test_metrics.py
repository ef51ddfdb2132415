import itertools

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from burgerslab import metrics

EXTENT = 3.0
CELLS = 64
ERRORS = (
    metrics.rmse,
    metrics.nrmse,
    metrics.max_error,
    metrics.mean_error,
    metrics.band_error,
    metrics.spectrum_error,
)


def angle(cells: int = CELLS) -> Tensor:
    return 2 * torch.pi * (torch.arange(cells, dtype=torch.float64) + 0.5) / cells


def frame(*components: Tensor) -> Tensor:
    """One trajectory of one frame."""
    return torch.stack(components)[None, None]


def random_fields(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(shape, generator=generator, dtype=torch.float64)
    return target + 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64), target


def close(actual: Tensor, expected: float | list[float], tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(
        actual.flatten(), torch.tensor(expected, dtype=torch.float64).flatten(), rtol=tolerance, atol=tolerance
    )


def test_errors_of_a_scaled_sine() -> None:
    target = frame(2 * torch.sin(angle()))
    prediction = 1.25 * target
    close(metrics.nrmse(prediction, target), 0.25)
    close(metrics.rmse(prediction, target), 0.5 / np.sqrt(2))
    close(metrics.max_error(prediction, target), 0.5 * np.cos(np.pi / CELLS))
    close(metrics.mean_error(prediction, target), 0.0)
    close(metrics.spectrum_error(prediction, target), 1.25**2 - 1)
    close(metrics.h1(prediction, target, (EXTENT,)), 0.25)
    close(metrics.correlation(prediction, target), 1.0)


def test_errors_of_a_shifted_sine() -> None:
    # sin(x + s) - sin(x) = 2 sin(s / 2) cos(x + s / 2)
    shift = 0.3
    target, prediction = frame(torch.sin(angle())), frame(torch.sin(angle() + shift))
    close(metrics.rmse(prediction, target), np.sqrt(2) * np.sin(shift / 2))
    close(metrics.nrmse(prediction, target), 2 * np.sin(shift / 2))
    close(metrics.h1(prediction, target, (EXTENT,)), 2 * np.sin(shift / 2))
    close(metrics.correlation(prediction, target), np.cos(shift))
    close(metrics.spectrum_error(prediction, target), 0.0)


def test_errors_of_a_uniform_offset() -> None:
    target = frame(torch.sin(angle()), torch.cos(angle()))
    prediction = target + torch.tensor([3.0, -4.0])[:, None]
    close(metrics.mean_error(prediction, target), 5.0)
    close(metrics.max_error(prediction, target), 4.0)
    close(metrics.rmse(prediction, target), np.sqrt((9 + 16) / 2))
    close(metrics.nrmse(prediction, target), (3 + 4) / 2 * np.sqrt(2))
    close(metrics.correlation(prediction, target), 1.0)


def test_float32_input_is_summed_in_float64() -> None:
    # In float32 1 + 1e-8 is 1, and a float32 sum of 10^6 equal numbers loses three digits.
    target = torch.full((1, 1, 1, 1000, 1000), 0.1, dtype=torch.float32)
    prediction = torch.full_like(target, 0.3)
    expected = float(np.float32(0.3)) - float(np.float32(0.1))
    close(metrics.rmse(prediction, target), expected)
    close(metrics.mean_error(prediction, target), expected)
    assert metrics.rmse(prediction, target).dtype == torch.float64


def test_nrmse_is_the_formula_of_pdebench() -> None:
    prediction, target = random_fields(3, 4, 2, 8, 12)
    # Layout of PDEBench: (batch, component, all cells, frame).
    p, t = (field.permute(0, 2, 3, 4, 1).reshape(3, 2, -1, 4).numpy() for field in (prediction, target))
    per_component = np.sqrt(np.mean((p - t) ** 2, axis=2)) / np.sqrt(np.mean(t**2, axis=2))
    published = np.mean(np.mean(per_component, axis=0), axis=(0, 1))
    np.testing.assert_allclose(metrics.nrmse(prediction, target).mean().item(), published, rtol=1e-13)
    np.testing.assert_allclose(metrics.nrmse(prediction, target), per_component.mean(axis=1), rtol=1e-13)


def test_zero_target_gives_inf_and_nan_like_ieee_division() -> None:
    zero, one = torch.zeros(1, 1, 1, CELLS), torch.ones(1, 1, 1, CELLS)
    for relative in (metrics.nrmse, metrics.spectrum_error):
        assert relative(one, zero).item() == torch.inf
        assert relative(zero, zero).isnan().item()
    assert metrics.h1(one, zero, (EXTENT,)).item() == torch.inf
    assert metrics.h1(zero, zero, (EXTENT,)).isnan().item()
    close(metrics.rmse(one, zero), 1.0)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 1e200])
def test_blown_up_prediction_is_inf_in_its_frame_only(bad: float) -> None:
    prediction, target = random_fields(2, 3, 2, 8, 8)
    healthy = metrics.frame_metrics(prediction, target, (1.0, EXTENT))
    prediction[1, 2, 0, 3, 5] = bad
    found = metrics.frame_metrics(prediction, target, (1.0, EXTENT))
    hit = torch.zeros(2, 3, dtype=torch.bool)
    hit[1, 2] = True
    for name, values in found.items():
        torch.testing.assert_close(values[~hit], healthy[name][~hit], rtol=0, atol=0)
        if name == "correlation":
            assert values[hit].isnan().item()
        else:
            assert values[hit].item() == torch.inf, name
    assert metrics.energy_spectrum(prediction)[1, 2].isnan().all()
    assert metrics.energy_spectrum(prediction)[0].isfinite().all()


def test_target_that_is_not_finite_gives_nan() -> None:
    prediction, target = random_fields(1, 1, 1, CELLS)
    target[..., 0] = torch.inf
    for values in metrics.frame_metrics(prediction, target, (EXTENT,)).values():
        assert values.isnan().item()


@pytest.mark.parametrize(
    ("wave_number", "band"), [(0, 0), (3, 0), (4, 1), (7, 1), (11, 1), (12, 2), (20, 2), (32, 2)]
)
def test_a_mode_falls_into_its_band(wave_number: int, band: int) -> None:
    x = torch.arange(CELLS, dtype=torch.float64) * 2 * torch.pi / CELLS
    target = frame(torch.sin(x))
    mode = frame(torch.cos(wave_number * x))
    expected = [0.0, 0.0, 0.0]
    # The mean and the highest mode alternate between +1 and -1 at most, all others are sinusoidal.
    expected[band] = 1.0 if wave_number in (0, CELLS // 2) else np.sqrt(0.5)
    close(metrics.band_error(target + mode, target), expected)


def test_diagonal_mode_falls_into_the_band_of_its_length() -> None:
    # |(3, 3)| = 4.24 and |(2, 2, 2)| = 3.46
    plane = torch.cos(3 * (angle()[:, None] + angle()[None, :]))
    close(metrics.band_error(frame(plane), frame(0 * plane)), [0.0, np.sqrt(0.5), 0.0])
    x = angle(16)
    space = torch.cos(2 * (x[:, None, None] + x[None, :, None] + x[None, None, :]))
    close(metrics.band_error(frame(space), frame(0 * space)), [np.sqrt(0.5), 0.0, 0.0])


@pytest.mark.parametrize("cells", [(64,), (49,), (30, 24), (25, 27), (8, 10, 12), (9, 8, 11)])
def test_parseval(cells: tuple[int, ...]) -> None:
    prediction, target = random_fields(2, 3, 2, *cells)
    bands = metrics.band_error(prediction, target)
    torch.testing.assert_close(
        bands.square().sum(dim=2), metrics.rmse(prediction, target).square(), rtol=1e-12, atol=0
    )
    energy = 0.5 * target.square().sum(dim=2).flatten(2).mean(dim=2)
    torch.testing.assert_close(metrics.energy_spectrum(target).sum(dim=2), energy, rtol=1e-12, atol=0)


@pytest.mark.parametrize("cells", [49, 64, 98])
def test_every_wave_number_has_its_own_shell(cells: int) -> None:
    x = torch.arange(cells, dtype=torch.float64) * 2 * torch.pi / cells
    modes = torch.stack([torch.cos(k * x) for k in range(cells // 2 + 1)])[:, None, None]
    shells = metrics.energy_spectrum(modes)[:, 0]
    assert shells.shape == (cells // 2 + 1, cells // 2 + 1)
    assert shells.argmax(dim=1).tolist() == list(range(cells // 2 + 1))
    close(shells.diagonal()[1:4], [0.25, 0.25, 0.25])


@pytest.mark.parametrize("mode", [(5,), (3, 4), (2, 3, 6)])
def test_energy_spectrum_of_one_mode(mode: tuple[int, ...]) -> None:
    # Lengths 5, 5 and 7; ½ · 2² · mean(sin²) = 1
    cells = 16
    phase = sum(
        k * angle(cells).reshape([-1 if other == axis else 1 for other in range(len(mode))])
        for axis, k in enumerate(mode)
    )
    velocity = torch.zeros(1, 1, len(mode), *(cells for _ in mode), dtype=torch.float64)
    velocity[0, 0, -1] = 2 * torch.sin(phase)
    spectrum = metrics.energy_spectrum(velocity)
    expected = torch.zeros_like(spectrum)
    expected[..., 7 if len(mode) == 3 else 5] = 1.0
    # The corner of the grid, |(8, 8)| = 11.3 and |(8, 8, 8)| = 13.9, is in the last shell.
    assert spectrum.shape[2] == {1: 9, 2: 12, 3: 14}[len(mode)]
    torch.testing.assert_close(spectrum, expected, rtol=0, atol=1e-12)


def test_h1_weighs_each_mode_with_its_physical_wave_number() -> None:
    # ‖sin(κ x)‖² = (1 + κ²) / 2 with κ = 2π k / extent
    target = frame(torch.sin(angle()))
    prediction = target + frame(0.1 * torch.cos(5 * angle()))
    kappa = 2 * np.pi / EXTENT
    close(metrics.h1(prediction, target, (EXTENT,)), 0.1 * np.sqrt((1 + 25 * kappa**2) / (1 + kappa**2)))


def test_h1_in_two_dimensions_takes_the_extent_of_each_axis() -> None:
    x, y = torch.meshgrid(angle(16), angle(8), indexing="ij")
    target = frame(torch.sin(x), 0 * x)
    prediction = target + frame(0 * y, 0.2 * torch.sin(3 * y))
    kappa_x, kappa_y = 2 * np.pi / 2.0, 3 * 2 * np.pi / 5.0
    close(metrics.h1(prediction, target, (2.0, 5.0)), 0.2 * np.sqrt((1 + kappa_y**2) / (1 + kappa_x**2)))


def test_h1_wants_one_length_per_axis() -> None:
    field = torch.ones(1, 1, 2, 8, 8)
    with pytest.raises(ValueError, match=r"extent expected 2 lengths, one per axis of cells, got \(1.0,\)"):
        metrics.h1(field, field, (1.0,))


def test_correlation_of_orthogonal_and_of_parallel_fields() -> None:
    target = frame(torch.sin(angle()), torch.cos(2 * angle()))
    close(metrics.correlation(frame(torch.cos(angle()), torch.sin(2 * angle())), target), 0.0)
    close(metrics.correlation(1e-90 * target, 1e-90 * target), 1.0)
    close(metrics.correlation(-7 * target, target), -1.0)
    # One of two equally strong components is right.
    close(metrics.correlation(frame(torch.sin(angle()), torch.sin(2 * angle())), target), 0.5)


def test_correlation_with_a_uniform_field_is_nan() -> None:
    target = frame(torch.sin(angle()))
    assert metrics.correlation(torch.ones_like(target), target).isnan().item()


def test_correlation_time_is_the_first_frame_below_the_threshold() -> None:
    nan = torch.nan
    values = torch.tensor(
        [
            [1.0, 0.9, 0.8, 0.7, 0.9],
            [0.7, 0.9, 0.9, 0.9, 0.9],
            [1.0, 1.0, 1.0, 1.0, 0.9],
            [1.0, 1.0, 1.0, 1.0, 0.1],
            [1.0, nan, 1.0, 1.0, 1.0],
        ],
        dtype=torch.float64,
    )
    times = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0], dtype=torch.float64)
    assert metrics.correlation_time(values, times).tolist() == [1.5, 0.0, 2.0, 2.0, 0.5]
    assert (values >= 0.8).all(dim=1).tolist() == [False, False, True, False, False]
    assert metrics.correlation_time(values[:1], times, threshold=0.95).tolist() == [0.5]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_metrics_do_not_depend_on_the_order_of_axes_or_components(order: tuple[int, int, int]) -> None:
    prediction, target = random_fields(2, 2, 3, 8, 9, 10)
    extent = (1.0, 2.0, EXTENT)
    axes = (0, 1, 2, *(axis + 3 for axis in order))
    swapped = metrics.frame_metrics(
        prediction.permute(axes)[:, :, list(order)],
        target.permute(axes)[:, :, list(order)],
        tuple(extent[axis] for axis in order),
    )
    for name, values in metrics.frame_metrics(prediction, target, extent).items():
        torch.testing.assert_close(swapped[name], values, rtol=1e-12, atol=1e-12, msg=name)


def test_trajectories_and_frames_are_independent() -> None:
    prediction, target = random_fields(3, 4, 1, 16)
    together = metrics.frame_metrics(prediction, target, (EXTENT,))
    alone = metrics.frame_metrics(prediction[2:, 1:2], target[2:, 1:2], (EXTENT,))
    for name, values in together.items():
        assert values.shape == (3, 4)
        torch.testing.assert_close(alone[name][0, 0], values[2, 1], rtol=1e-13, atol=1e-15)


def test_frame_metrics_names() -> None:
    prediction, target = random_fields(1, 2, 2, 32, 32)
    found = metrics.frame_metrics(prediction, target, (1.0, 1.0))
    assert list(found) == [
        "nrmse", "rmse", "max_error", "mean_error", "band_low", "band_middle", "band_high",
        "spectrum_error", "h1", "correlation",
    ]  # fmt: skip
    bands = metrics.band_error(prediction, target)
    torch.testing.assert_close(
        torch.stack([found["band_low"], found["band_middle"], found["band_high"]], dim=2), bands
    )


@pytest.mark.parametrize("error", [*ERRORS, metrics.correlation])
def test_shapes_are_not_broadcast(error) -> None:
    # Under the type checker of the test run its error comes first.
    with pytest.raises(
        (ValueError, TypeCheckError), match=r"prediction and target must have one shape|parameter 'target'"
    ):
        error(torch.ones(2, 3, 1, 16), torch.ones(1, 3, 1, 16))


def test_rmse_has_the_gradient_of_its_formula() -> None:
    prediction, target = random_fields(1, 1, 1, 16)
    prediction.requires_grad_()
    metrics.rmse(prediction, target).sum().backward()
    difference = prediction.detach() - target
    torch.testing.assert_close(prediction.grad, difference / difference.norm() / 4, rtol=1e-12, atol=0)
