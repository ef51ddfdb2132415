import json
import math

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from burgerslab.evaluation.inversion_plots import inversion_figure, viscosity_field_figure
from burgerslab.evaluation.plots import rollout_figure
from burgerslab.evaluation.strict_json import finite
from tests.test_plots import drawn, limits, png

NUM_FRAMES = 6
TIMES = np.linspace(0.0, 1.0, NUM_FRAMES)
HISTORY = [
    {"objective": 1e-1, "viscosity": 0.1, "advection": 1.3},
    {"objective": 1e-3, "viscosity": 0.04, "advection": 1.1},
    {"objective": 1e-4, "viscosity": 0.0312, "advection": 1.01},
]
INTERVALS = {"viscosity": (0.0305, 0.0319), "advection": (0.98, 1.04)}
TRUTH = {"viscosity": 0.031, "advection": 1.0}


def fields(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    rollout = generator.standard_normal((NUM_FRAMES, *shape))
    return rollout + 0.1 * generator.standard_normal(rollout.shape), rollout


def figure_of(history: list, intervals: dict, truth: dict, *shape: int) -> Figure:
    data, rollout = fields(*(shape or (1, 16)))
    return inversion_figure(data, rollout, TIMES, (2.0,) * (data.ndim - 2), history, intervals, truth)


def by_label(ax) -> dict:
    return {artist.get_label(): artist for artist in (*ax.lines, *ax.patches)}


def test_panels_show_the_numbers_given() -> None:
    viscosity, advection, objective, data, *_ = figure_of(HISTORY, INTERVALS, TRUTH).axes
    for ax, name in ((viscosity, "viscosity"), (advection, "advection")):
        artists = by_label(ax)
        assert artists["estimate"].get_xdata().tolist() == [1, 2, 3]
        assert artists["estimate"].get_ydata().tolist() == [row[name] for row in HISTORY]
        band = artists["95 % interval"].get_extents().transformed(ax.transData.inverted())
        np.testing.assert_allclose((band.ymin, band.ymax), INTERVALS[name], rtol=1e-12)
        (bar,) = [line for line in ax.lines if line.get_marker() == "_"]
        assert (bar.get_xdata().tolist(), tuple(bar.get_ydata())) == ([3, 3], INTERVALS[name])
        assert list(artists[f"true {TRUTH[name]:.5g}"].get_ydata()) == [TRUTH[name]] * 2
        assert artists[f"true {TRUTH[name]:.5g}"].get_linestyle() == "--"
        assert ax.get_xlabel() == "accepted iteration"
    assert objective.lines[0].get_ydata().tolist() == [1e-1, 1e-3, 1e-4]
    assert [ax.get_ylabel() for ax in (viscosity, advection, objective, data)] == [
        "viscosity ν [L²/T]", "advection coefficient c [-]", "objective [-]", "x [L]",
    ]  # fmt: skip
    # Two digits of the width of the interval, 0.0014 and 0.06.
    assert viscosity.get_title() == "0.0312  (95 %: 0.0305 to 0.0319)"
    assert advection.get_title() == "1.010  (95 %: 0.9800 to 1.040)"


@pytest.mark.parametrize(("first", "scale"), [(0.092, "linear"), (0.094, "log")])
def test_viscosity_is_logarithmic_beyond_a_factor_of_three(first: float, scale: str) -> None:
    history = [{"objective": 1.0, "viscosity": first, "advection": first}, HISTORY[-1] | {"advection": 0.01}]
    viscosity, advection, objective, *_ = figure_of(history, {}, {"viscosity": 0.031}).axes
    assert (viscosity.get_yscale(), advection.get_yscale(), objective.get_yscale()) == (scale, "linear", "log")


def test_data_rollout_and_residual_of_one_trajectory() -> None:
    data, rollout = fields(1, 16)
    data[2, 0, 4:] = np.nan
    figure = inversion_figure(data, rollout, TIMES, (2.0,), [], {}, {})
    seen, solved, residual = figure.axes[1:4]
    assert [ax.get_title() for ax in (seen, solved, residual)] == ["data: u", "rollout: u", "rollout − data"]
    np.testing.assert_array_equal(drawn(solved), rollout[:, 0].T)
    for ax, values in ((seen, data), (residual, rollout - data)):
        hidden = ax.collections[0].get_array().mask
        assert hidden[4:, 2].all()
        assert hidden.sum() == 12
        np.testing.assert_array_equal(drawn(ax)[~hidden], values[:, 0].T[~hidden])
        assert to_rgb(ax.get_facecolor()) == (0.6, 0.6, 0.6)
    # The scale is that of what is observed.
    assert limits(seen) == limits(solved) == (np.nanmin(data), np.nanmax(data))
    assert figure.subfigs[1].get_suptitle() == "87.5 % of the data are observed, the rest is grey"


def test_sparse_data_are_points_at_their_place_and_time() -> None:
    data, rollout = fields(1, 16)
    sparse = np.full_like(data, np.nan)
    for frame, cell in ((0, 3), (4, 0), (5, 15)):
        sparse[frame, 0, cell] = data[frame, 0, cell]
    seen, solved, residual = inversion_figure(sparse, rollout, TIMES, (2.0,), [], {}, {}).axes[1:4]
    # Cells are 1/8 wide, frames 0.2 apart.
    for ax, values in ((seen, data), (residual, rollout - data)):
        np.testing.assert_allclose(ax.collections[0].get_offsets(), [[0.0, 0.4375], [0.8, 0.0625], [1.0, 1.9375]])
        np.testing.assert_array_equal(drawn(ax), [values[0, 0, 3], values[4, 0, 0], values[5, 0, 15]])
        # 3 square points are 2 points wide: more than a pixel.
        assert ax.collections[0].get_sizes().min() >= 3
        assert (ax.get_ylim(), ax.get_xlim()) == ((0.0, 2.0), solved.get_xlim())
    assert drawn(solved).shape == (16, NUM_FRAMES)


def test_sparse_data_in_two_dimensions_are_points_in_each_frame() -> None:
    data, rollout = fields(2, 8, 4)
    sparse = np.full_like(data, np.nan)
    sparse[:, :, 6, 1] = data[:, :, 6, 1]
    figure = inversion_figure(sparse, rollout, TIMES, (4.0, 2.0), [], {}, {})
    for column, frame in enumerate((0, 2, 3, 5)):
        ax = figure.axes[1 + column]
        np.testing.assert_allclose(ax.collections[0].get_offsets(), [[3.25, 0.75]])
        np.testing.assert_allclose(drawn(ax), [np.hypot(*data[frame, :, 6, 1])], rtol=1e-15)
        assert (ax.get_xlim(), ax.get_ylim()) == ((0.0, 4.0), (0.0, 2.0))


def test_snapshots_are_of_observed_frames() -> None:
    data, rollout = fields(2, 8, 4)
    data[[0, 2, 4, 5]] = np.nan
    figure = inversion_figure(data, rollout, TIMES, (4.0, 2.0), [], {}, {})
    assert [ax.get_title() for ax in figure.axes[1:3]] == ["t = 0.2 [T]", "t = 0.6 [T]"]
    np.testing.assert_allclose(drawn(figure.axes[3]), np.hypot(*rollout[1].transpose(0, 2, 1)), rtol=1e-15)


def test_section_is_through_what_is_observed() -> None:
    data, rollout = fields(3, 4, 4, 10)
    data[..., :8] = np.nan
    figure = inversion_figure(data, rollout, TIMES, (1.0, 1.0, 5.0), [], {}, {})
    # Layer 8 of 10, each 0.5 high: its centre is at 4.25.
    title = "section at z = 4.25 [L]; 20 % of the data are observed, the rest is grey"
    assert figure.subfigs[1].get_suptitle() == title


def test_data_without_a_value_leave_the_scale_to_the_rollout() -> None:
    data, rollout = fields(1, 16)
    figure = inversion_figure(np.full_like(data, np.nan), rollout, TIMES, (2.0,), [], {}, {})
    assert limits(figure.axes[2]) == (rollout.min(), rollout.max())
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("shape", "num_iterations", "learned"),
    [
        ((1, 16), 0, ()),
        ((1, 16), 0, ("viscosity",)),
        ((1, 16), 3, ()),
        ((1, 16), 1, ("viscosity", "advection")),
        ((2, 8, 6), 1, ("viscosity",)),
        ((3, 6, 4, 8), 3, ("viscosity", "advection")),
    ],
)
def test_every_shape_is_drawn(shape: tuple[int, ...], num_iterations: int, learned: tuple[str, ...]) -> None:
    history = [{name: row[name] for name in ("objective", *learned)} for row in HISTORY[:num_iterations]]
    intervals = {name: INTERVALS[name] for name in learned}
    figure = figure_of(history, intervals, TRUTH, *shape)
    num_panels = 3 if len(shape) == 2 else 12
    assert len(figure.axes) == len(learned) + 1 + num_panels + 2
    assert all(len(ax.lines[-1].get_xdata()) == num_iterations for ax in figure.axes[: len(learned) + 1])
    assert png(figure).startswith(b"\x89PNG")


def test_an_unbounded_interval_is_told_but_not_drawn() -> None:
    ax = figure_of(HISTORY, {"viscosity": (0.01, math.inf)}, {}).axes[0]
    assert sorted(by_label(ax)) == ["estimate"]
    assert ax.get_title() == "0.031200  (95 %: 0.010000 to inf)"


def test_four_parameters_are_drawn_and_more_are_told() -> None:
    history = [{"objective": 1.0, **{name: 1.0 for name in "abcde"}}]
    figure = figure_of(history, {}, {})
    assert [ax.get_ylabel() for ax in figure.axes[:5]] == ["a", "b", "c", "d", "objective [-]"]
    assert figure.subfigs[0].get_suptitle() == "4 of 5 parameters"


def test_an_objective_of_zero_has_a_linear_axis() -> None:
    figure = figure_of([{"objective": 0.0}, {"objective": 0.0}], {}, {})
    assert figure.axes[0].get_yscale() == "linear"
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.0, 0.0]


def test_rollout_figure_calls_its_first_argument_as_told() -> None:
    data, rollout = fields(1, 8, 6)
    figure = rollout_figure(data, rollout, TIMES, (1.0, 1.0), name="rollout", reference="data")
    assert [figure.axes[row].get_ylabel() for row in (0, 4, 8)] == [
        "data\ny [L]", "rollout\ny [L]", "rollout − data\ny [L]",
    ]  # fmt: skip


def test_viscosity_in_one_dimension_has_a_band_of_95_percent() -> None:
    x, value, std = np.array([0.25, 0.75, 1.25]), np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.5])
    (ax,) = viscosity_field_figure((x,), value, std, truth=value + 0.1).axes
    estimate, true = ax.lines
    assert (estimate.get_ydata().tolist(), true.get_ydata().tolist()) == ([1.0, 2.0, 3.0], [1.1, 2.1, 3.1])
    band = ax.collections[0].get_paths()[0].vertices
    # 1.96 standard deviations to both sides.
    expected = {(0.25, 0.804), (0.25, 1.196), (0.75, 1.608), (0.75, 2.392), (1.25, 2.02), (1.25, 3.98)}
    assert {tuple(np.round(vertex, 12).tolist()) for vertex in band} == expected
    assert ax.get_xlim() == (0.0, 1.5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x [L]", "viscosity ν [L²/T]")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["95 % interval", "estimate", "true"]


def test_viscosity_in_two_dimensions_is_maps() -> None:
    x, y = (np.arange(4) + 0.5) / 4, (np.arange(6) + 0.5) / 2
    value, std = 1 + x[:, None] * y, 0.1 * np.ones((4, 6))
    true, estimate, deviation, bar, bar_of_std = viscosity_field_figure((x, y), value, std, truth=value - 0.5).axes
    for ax, values in ((true, value - 0.5), (estimate, value), (deviation, std)):
        np.testing.assert_array_equal(drawn(ax), values.T)
        np.testing.assert_allclose(ax.images[0].get_extent(), [0, 1, 0, 3])
    assert limits(true) == limits(estimate)
    assert limits(deviation) == (0.0, 0.1)
    assert [ax.get_ylabel() for ax in (bar, bar_of_std)] == ["viscosity ν [L²/T]", "standard deviation [L²/T]"]
    titles = [ax.get_title() for ax in viscosity_field_figure((x, y), value, std).axes]
    assert titles == ["estimated ν", "standard deviation of ν", "", ""]


def test_viscosity_in_three_dimensions_is_cut_at_the_middle_layer() -> None:
    axis = (np.arange(4) + 0.5) / 4
    value = np.random.default_rng(0).uniform(1, 2, (4, 4, 4))
    figure = viscosity_field_figure((axis,) * 3, value, np.zeros_like(value))
    np.testing.assert_array_equal(drawn(figure.axes[0]), value[:, :, 2].T)
    assert figure.get_suptitle() == "section at z = 0.625 [L]"
    assert png(figure).startswith(b"\x89PNG")


def test_viscosity_of_another_shape_than_its_axes_is_told() -> None:
    x = np.linspace(0, 1, 4)
    with pytest.raises((ValueError, TypeCheckError), match=r"std expected shape \(4,\)|parameter 'std'"):
        viscosity_field_figure((x,), np.ones(4), np.ones(3))
    with pytest.raises(ValueError, match=r"value expected shape \(4,\), that of the centres .* got \(3,\)"):
        viscosity_field_figure((x,), np.ones(3), np.ones(3))


def test_strict_json_holds_no_infinity() -> None:
    value = {"a": [1.5, math.inf, (-math.inf, 2)], "b": {"c": math.nan, "d": None, "e": True}, "f": np.float64("inf")}
    text = json.dumps(finite(value), allow_nan=False)
    expected = {"a": [1.5, "inf", ["-inf", 2]], "b": {"c": "nan", "d": None, "e": True}, "f": "inf"}
    assert json.loads(text) == expected
