"""Quantities of a flow and their pictures; lines and spectra; animations."""

import subprocess

import numpy as np
import pytest
from matplotlib.animation import FFMpegWriter
from PIL import Image

from burgerslab.evaluation.animation import rollout_animation, write_animation
from burgerslab.evaluation.derived_fields import Quantity, divergence, velocity_scale, vorticity
from burgerslab.evaluation.energy_plots import energy_figure, spectrum_figure
from burgerslab.evaluation.line_styles import LINE_COLOURS, TRUTH_COLOUR
from burgerslab.evaluation.quantity_plots import flow_figure, quantity_figure, sections_figure
from burgerslab.evaluation.time_labels import time_labels

EXTENT = (2.0, 3.0)
TIMES = np.linspace(0.0, 1.0, 5)


def plane_waves(amplitude: float = 1.0) -> np.ndarray:
    """u = a sin(k y), v = a sin(k' x) with one wave along each axis, in a box of 2 by 3; 5 frames, 16 by 12 cells."""
    x, y = ((np.arange(number) + 0.5) * length / number for number, length in zip((16, 12), EXTENT, strict=True))
    u = np.broadcast_to(np.sin(2 * np.pi * y / 3.0), (16, 12))
    v = np.broadcast_to(np.sin(2 * np.pi * x / 2.0)[:, None], (16, 12))
    return amplitude * np.repeat(np.stack([u, v])[None], 5, axis=0)


def noise(*shape: int, signed: bool = False) -> tuple[Quantity, Quantity]:
    generator = np.random.default_rng(0)
    values = generator.standard_normal((5, *shape))
    return Quantity(values, "q", "1/T", signed), Quantity(values + 0.1 * values**2, "q", "1/T", signed)


def test_vorticity_and_divergence_of_plane_waves_are_exact() -> None:
    velocity = plane_waves()
    x, y = (np.arange(16) + 0.5) / 8, (np.arange(12) + 0.5) / 4
    curl = np.pi * np.cos(np.pi * x)[:, None] - 2 * np.pi / 3 * np.cos(2 * np.pi / 3 * y)
    found = vorticity(velocity, EXTENT)
    np.testing.assert_allclose(found.values, np.broadcast_to(curl, (5, 16, 12)), atol=1e-13)
    np.testing.assert_allclose(divergence(velocity, EXTENT).values, 0.0, atol=1e-13)
    # Turned by a quarter it is the gradient of a potential: the same numbers are now the divergence.
    turned = np.stack([velocity[:, 1], -velocity[:, 0]], axis=1)
    np.testing.assert_allclose(divergence(turned, EXTENT).values, found.values, atol=1e-13)
    np.testing.assert_allclose(vorticity(turned, EXTENT).values, 0.0, atol=1e-13)
    assert (found.symbol, found.unit, found.signed) == ("ω", "1/T", True)


def test_vorticity_in_three_dimensions_is_the_length_of_the_curl() -> None:
    z = (np.arange(8) + 0.5) / 8
    velocity = np.zeros((1, 3, 4, 6, 8))
    velocity[0, 0], velocity[0, 1] = np.sin(2 * np.pi * z), np.cos(2 * np.pi * z)  # of Beltrami: curl u = 2π u
    np.testing.assert_allclose(vorticity(velocity, (1.0, 1.0, 1.0)).values, 2 * np.pi, rtol=1e-13)


def test_a_frame_that_is_broken_has_no_derivative() -> None:
    velocity = plane_waves()
    velocity[3, 0, 5, 5] = np.nan
    values = vorticity(velocity, EXTENT).values
    assert np.isnan(values[3]).all()
    assert np.isfinite(values[[0, 1, 2, 4]]).all()
    with pytest.raises(ValueError, match=r"velocity expected shape \(frame, 2, \*cells\).* got \(5, 1, 16, 12\)"):
        divergence(velocity[:, :1], EXTENT)
    with pytest.raises(ValueError, match="vorticity needs at least two axes"):
        vorticity(np.zeros((2, 1, 8)), (1.0,))


def test_a_signed_quantity_is_drawn_around_zero_in_other_hues_than_a_difference() -> None:
    truth, prediction = noise(16, 12, signed=True)
    figure = quantity_figure(truth, prediction, TIMES, EXTENT, name="surrogate")
    images = [ax.images[0] for ax in figure.axes[:12]]
    largest = np.abs(truth.values[[0, 1, 3, 4]]).max()
    assert {image.get_clim() for image in images[:8]} == {(-largest, largest)}
    assert [images[row].get_cmap().name for row in (0, 4, 8)] == ["PuOr_r", "PuOr_r", "RdBu_r"]
    np.testing.assert_array_equal(images[5].get_array(), prediction.values[1].T)
    assert figure.axes[-2].get_ylabel() == "q [1/T]"
    unsigned = quantity_figure(*noise(16, 12), TIMES, EXTENT)
    shown = truth.values[[0, 1, 3, 4]]
    assert unsigned.axes[0].images[0].get_clim() == (shown.min(), shown.max())
    assert len(quantity_figure(*noise(16), TIMES, (1.0,)).axes) == 3 + 2
    assert quantity_figure(*noise(4, 4, 8), TIMES, (1.0, 1.0, 2.0)).get_suptitle() == "section at z = 1.12 [L]"


def test_rows_of_a_flow_are_its_quantities() -> None:
    velocity = plane_waves(0.5)
    quantities = [velocity_scale(velocity), vorticity(velocity, EXTENT), divergence(velocity, EXTENT)]
    figure = flow_figure(quantities, TIMES, EXTENT)
    for row, quantity in enumerate(quantities):
        np.testing.assert_array_equal(figure.axes[4 * row + 1].images[0].get_array(), quantity.values[1].T)
    assert [ax.get_ylabel() for ax in figure.axes[12:]] == ["|u| [L/T]", "ω [1/T]", "∇·u [1/T]"]
    with pytest.raises(ValueError, match=r"ω expected shape \(4, \*cells\)"):
        flow_figure([quantities[1]], TIMES[:4], EXTENT)


def test_sections_lie_across_each_axis() -> None:
    truth, prediction = noise(4, 6, 8)
    one, other = (Quantity(it.values[2:3], "q", "1/T") for it in (truth, prediction))
    figure = sections_figure(one, other, 0.5, (1.0, 2.0, 3.0))
    whole = prediction.values[2]
    for ax, section in zip(figure.axes[3:6], (whole[:, :, 4], whole[:, 3], whole[2]), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), section.T)
    # Layer 4 of 8 of a length of 3, 3 of 6 of 2, 2 of 4 of 1.
    assert [ax.get_title() for ax in figure.axes[:3]] == ["z = 1.69 [L]", "y = 1.17 [L]", "x = 0.625 [L]"]
    assert [ax.get_xlabel() for ax in figure.axes[:3]] == ["x [L]", "x [L]", "y [L]"]


def test_spectra_share_axes_and_the_truth_is_black() -> None:
    shells = np.arange(9.0)
    truth = np.repeat(10 ** -shells[None], 5, axis=0)
    figure = spectrum_figure(TIMES, {"truth": truth, "surrogate": 2 * truth, "diverged": 1e30 * truth})
    lines = figure.axes[1].lines
    np.testing.assert_allclose(lines[1].get_ydata(), 2 * 10 ** -shells[1:])
    assert lines[0].get_xdata().tolist() == shells[1:].tolist()  # the mean flow has no place on this axis
    assert [line.get_color() for line in lines] == [TRUTH_COLOUR, *LINE_COLOURS[:2]]
    assert lines[0].get_linewidth() > lines[1].get_linewidth()  # for those who see no colours
    assert [line.get_linestyle() for line in lines[1:]] == ["-", "--"]
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == pytest.approx((1e-8 / 3, 0.1 * 1e3 * 3))
    decay = energy_figure(TIMES, {"truth": np.ones((2, 5))})
    assert decay.axes[0].get_ylabel() == "kinetic energy ½⟨|u|²⟩ [L²/T²]"


def test_times_have_the_digits_that_they_need() -> None:
    assert time_labels(np.array([0.0, 0.025, 0.05])) == ["0.000", "0.025", "0.050"]
    assert time_labels(0.1 * np.arange(4)) == ["0.0", "0.1", "0.2", "0.3"]
    assert time_labels(np.array([2.0])) == ["2"]


@pytest.mark.parametrize(("shape", "extent"), [((16,), (1.0,)), ((6, 4, 4), (1.0, 1.0, 1.0))])
def test_an_animation_shows_every_frame(shape, extent, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda cls: False))
    truth, prediction = noise(*shape)
    animation = rollout_animation(truth, prediction, TIMES, extent)
    path = write_animation(animation, tmp_path / "run.v1", num_frames=5)
    assert path.name == "run.v1.gif"
    with Image.open(path) as picture:
        assert picture.n_frames == 5
    figure = animation._fig
    animation._func(4)
    panels = figure.axes
    if len(shape) == 1:
        shown = [line.get_ydata() for ax in panels for line in ax.lines]
        expected = [truth.values[4], prediction.values[4], (prediction.values - truth.values)[4]]
    else:
        shown = [ax.images[0].get_array().T for ax in panels[:3]]
        expected = [
            truth.values[4, ..., 2],
            prediction.values[4, ..., 2],
            (prediction.values - truth.values)[4, ..., 2],
        ]
    for values, wanted in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(values, wanted)
    assert figure.get_suptitle() == "t = 1.00 [T]"


@pytest.mark.skipif(not FFMpegWriter.isAvailable(), reason="ffmpeg, which writes mp4, is not installed")
def test_with_ffmpeg_an_animation_is_a_film_that_players_decode(tmp_path) -> None:
    path = write_animation(rollout_animation(*noise(8), TIMES, (1.0,)), tmp_path / "run", num_frames=5)
    assert path.suffix == ".mp4"
    told = subprocess.run(["ffmpeg", "-i", path], capture_output=True, text=True, check=False).stderr
    assert "h264" in told
    assert "yuv420p" in told
