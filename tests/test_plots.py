import io

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from matplotlib.figure import Figure

from burgerslab.evaluation.plots import error_growth_figure, rollout_figure, summary_figure

NUM_FRAMES = 7
TIMES = np.linspace(0.5, 2.0, NUM_FRAMES)


def fields(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    truth = generator.standard_normal((NUM_FRAMES, *shape))
    return truth, truth + 0.1 * generator.standard_normal(truth.shape)


def drawn(ax) -> np.ndarray:
    return np.asarray((ax.images or ax.collections)[0].get_array())


def limits(ax) -> tuple[float, float]:
    return (ax.images or ax.collections)[0].get_clim()


def png(figure: Figure) -> bytes:
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=150)
        return buffer.getvalue()


def test_one_dimension_is_three_space_time_diagrams() -> None:
    truth, prediction = fields(1, 16)
    figure = rollout_figure(truth, prediction, TIMES, (3.0,), name="surrogate")
    true, predicted, difference, *bars = figure.axes
    assert len(bars) == 2
    np.testing.assert_array_equal(drawn(true), truth[:, 0].T)
    np.testing.assert_array_equal(drawn(predicted), prediction[:, 0].T)
    np.testing.assert_array_equal(drawn(difference), (prediction - truth)[:, 0].T)
    assert limits(true) == limits(predicted) == (truth.min(), truth.max())
    largest = np.abs(prediction - truth).max()
    assert limits(difference) == (-largest, largest)
    assert true.get_ylim() == (0.0, 3.0)
    # Frames 0.25 apart: each fills 0.125 to both sides of its time.
    np.testing.assert_allclose(true.get_xlim(), (0.375, 2.125))
    assert [ax.get_xlabel() for ax in figure.axes[:3]] == ["time t [T]"] * 3
    assert true.get_ylabel() == "x [L]"
    assert [bar.get_ylabel() for bar in bars] == ["u [L/T]", "difference of u [L/T]"]
    assert [ax.get_title() for ax in figure.axes[:3]] == ["truth: u", "surrogate: u", "surrogate − truth"]


def test_two_dimensions_are_rows_of_four_frames_of_the_speed() -> None:
    truth, prediction = fields(2, 8, 12)
    figure = rollout_figure(truth, prediction, TIMES, (1.0, 2.0))
    assert len(figure.axes) == 3 * 4 + 2
    speed, predicted = (np.sqrt((field**2).sum(axis=1)) for field in (truth, prediction))
    for column, frame in enumerate([0, 2, 4, 6]):
        np.testing.assert_allclose(drawn(figure.axes[column]), speed[frame].T, rtol=1e-15)
        np.testing.assert_allclose(drawn(figure.axes[4 + column]), predicted[frame].T, rtol=1e-15)
        np.testing.assert_allclose(drawn(figure.axes[8 + column]), (predicted - speed)[frame].T, atol=1e-15)
        assert figure.axes[column].get_title() == f"t = {TIMES[frame]:.3g} [T]"
        assert figure.axes[8 + column].get_xlabel() == "x [L]"
    assert len({limits(ax) for ax in figure.axes[:8]}) == 1
    ((low, high),) = {limits(ax) for ax in figure.axes[8:12]}
    assert low == -high < 0
    assert [figure.axes[row].get_ylabel() for row in (0, 4, 8)] == [
        "truth\ny [L]", "prediction\ny [L]", "prediction − truth\ny [L]",
    ]  # fmt: skip
    assert figure.axes[0].images[0].get_extent() == [0, 1.0, 0, 2.0]
    assert figure.axes[-2].get_ylabel() == "|u| [L/T]"


def test_three_dimensions_are_cut_at_the_middle_layer() -> None:
    truth, prediction = fields(3, 8, 6, 10)
    figure = rollout_figure(truth, prediction, TIMES, (1.0, 1.0, 5.0), component=2)
    np.testing.assert_array_equal(drawn(figure.axes[0]), truth[0, 2, :, :, 5].T)
    np.testing.assert_array_equal(drawn(figure.axes[7]), prediction[6, 2, :, :, 5].T)
    # The centre of layer 5 of 10 in a box of length 5.
    assert figure.get_suptitle() == "section at z = 2.75 [L]"
    assert figure.axes[-2].get_ylabel() == "$u_z$ [L/T]"


def test_prediction_that_blows_up_does_not_hide_the_truth() -> None:
    truth, prediction = fields(1, 16)
    prediction[5] = 1e30
    prediction[6] = np.nan
    figure = rollout_figure(truth, prediction, TIMES, (1.0,))
    assert limits(figure.axes[1]) == (truth.min(), truth.max())
    assert limits(figure.axes[2]) == (truth.min() - truth.max(), truth.max() - truth.min())
    assert figure.axes[1].collections[0].get_array().mask[:, 6].all()
    assert png(figure).startswith(b"\x89PNG")


def test_difference_of_equal_fields_has_a_scale() -> None:
    truth, _ = fields(1, 16)
    figure = rollout_figure(truth, truth, TIMES, (1.0,))
    low, high = limits(figure.axes[2])
    assert low == -high < 0
    assert not drawn(figure.axes[2]).any()


def test_error_growth_draws_order_statistics() -> None:
    # Eleven trajectories with the values 0 ... 10 in frame 0 and ten times that in frame 1.
    values = np.arange(11.0)[::-1, None] * np.array([1.0, 10.0])
    figure = error_growth_figure(np.array([0.0, 1.0]), {"surrogate": values}, "RMSE [L/T]", log=False)
    (ax,) = figure.axes
    assert ax.lines[0].get_ydata().tolist() == [5.0, 50.0]
    band = ax.collections[0].get_paths()[0].vertices
    assert {tuple(vertex) for vertex in band.tolist()} == {(0.0, 1.0), (0.0, 9.0), (1.0, 10.0), (1.0, 90.0)}
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("time t [T]", "RMSE [L/T]", "linear")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["surrogate"]


def test_error_growth_ends_where_trajectories_blow_up() -> None:
    values = np.ones((3, 4))
    values[0, 2:], values[1, 3] = np.inf, np.nan
    figure = error_growth_figure(TIMES[:4], {"surrogate": values, "persistence": np.ones((3, 4))}, "nRMSE [-]")
    ax = figure.axes[0]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1.0, 1.0, 1.0, np.nan])
    assert ax.get_yscale() == "log"
    assert png(figure).startswith(b"\x89PNG")


def test_error_growth_of_zeros_is_linear() -> None:
    figure = error_growth_figure(TIMES, {"exact": np.zeros((2, NUM_FRAMES))}, "nRMSE [-]")
    assert figure.axes[0].get_yscale() == "linear"
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.0] * NUM_FRAMES


def test_error_growth_draws_into_given_axes() -> None:
    figure = Figure()
    ax = figure.subplots()
    assert error_growth_figure(TIMES, {"a": np.ones((1, NUM_FRAMES))}, "nRMSE [-]", ax=ax) is figure
    assert len(ax.lines) == 1


@pytest.mark.parametrize("cells", [(32,), (32, 32), (16, 16, 16)])
def test_summary_is_one_small_png(cells: tuple[int, ...]) -> None:
    truth, prediction = fields(len(cells), *cells)
    curves = {name: np.abs(fields(5)[0]).T for name in ("surrogate", "persistence")}
    figure = summary_figure(truth, prediction, TIMES, (1.0,) * len(cells), curves, "nRMSE [-]", name="surrogate")
    assert len(figure.axes) == (3 if len(cells) == 1 else 12) + 2 + 1
    assert figure.axes[-1].get_ylabel() == "nRMSE [-]"
    assert len(png(figure)) < 500_000


@pytest.mark.parametrize("cells", [(16,), (8, 8)])
def test_summary_of_one_frame(cells: tuple[int, ...]) -> None:
    truth, prediction = (field[:1] for field in fields(1, *cells))
    figure = summary_figure(truth, prediction, TIMES[:1], (1.0,) * len(cells), {"a": np.ones((3, 1))}, "nRMSE [-]")
    assert len(figure.axes) == 3 + 2 + 1
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prediction": np.zeros((NUM_FRAMES, 1, 8))}, "truth and prediction must have one shape"),
        ({"times": TIMES[1:]}, r"times expected 7 entries, one per frame, got shape \(6,\)"),
        ({"extent": (1.0, 1.0)}, r"extent expected 1 lengths, one per axis of cells"),
        ({"component": 1}, r"component must be in 0 \.\.\. 0, got 1"),
    ],
)
def test_arrays_that_do_not_fit_are_told(changes: dict, message: str) -> None:
    truth, prediction = fields(1, 16)
    good = {"truth": truth, "prediction": prediction, "times": TIMES, "extent": (1.0,)}
    # Where the test run checks types, its error on the shape of an argument comes first.
    with pytest.raises((ValueError, TypeCheckError), match=rf"{message}|parameter '{next(iter(changes))}'"):
        rollout_figure(**good | changes)


def test_curves_that_do_not_fit_are_told() -> None:
    with pytest.raises(ValueError, match="curves expected 1 to 6 entries, got 0"):
        error_growth_figure(TIMES, {}, "nRMSE [-]")
    with pytest.raises((ValueError, TypeCheckError), match=r"expected shape \(trajectory, 7\)|parameter 'curves'"):
        error_growth_figure(TIMES, {"a": np.ones((2, 3))}, "nRMSE [-]")
