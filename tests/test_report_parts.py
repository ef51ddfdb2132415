"""The parts of a report, from arrays and records."""

import base64
import json

import numpy as np
import pytest

from burgerslab.evaluation.derived_fields import Quantity
from burgerslab.evaluation.number_text import interval_text, number_text
from burgerslab.evaluation.report.blocks import Facts, Listing, Page, Picture, Remarks, Section, Table
from burgerslab.evaluation.report.line_charts import band_chart, estimate_chart, history_chart, spectrum_chart
from burgerslab.evaluation.report.page import render
from burgerslab.evaluation.report.rollout_slider import rollout_slider
from burgerslab.evaluation.report.run_files import read_files
from burgerslab.evaluation.report.settings_tables import differences

TIMES = np.linspace(0.0, 1.0, 9)
MANY = 10**9


def quantity(*shape: int, seed: int = 0) -> Quantity:
    return Quantity(np.random.default_rng(seed).standard_normal((9, *shape)), "u", "L/T")


def test_every_frame_of_the_slider_holds_truth_predictions_and_differences() -> None:
    truth, one, other = (quantity(32, seed=seed) for seed in range(3))
    chart = rollout_slider(truth, {"one": one, "other": other}, TIMES, (2.0,), MANY)
    assert [trace.name for trace in chart.data] == ["truth", "one", "other", "one", "other"]
    np.testing.assert_allclose(chart.data[0].x[[0, -1]], [1 / 32, 2 - 1 / 32])
    fields = [truth.values, one.values, other.values, one.values - truth.values, other.values - truth.values]
    for number, frame in enumerate(chart.frames):
        for drawn, values in zip(frame.data, fields, strict=True):
            np.testing.assert_allclose(drawn.y, values[number], rtol=1e-6)
    (slider,) = chart.layout.sliders
    assert [step.label for step in slider.steps] == [f"{time:.3f}" for time in TIMES]
    assert [tuple(step.args[0]) for step in slider.steps] == [(frame.name,) for frame in chart.frames]
    np.testing.assert_allclose(chart.data[0].y, truth.values[slider.active], rtol=1e-6)


def test_maps_of_several_predictions_share_the_scale_of_the_truth() -> None:
    truth, one, other = (quantity(24, 36, seed=seed) for seed in range(3))
    chart = rollout_slider(truth, {"one": one, "other": other}, TIMES, (2.0, 3.0), MANY)
    np.testing.assert_allclose(chart.frames[7].data[1].z, one.values[7].T, rtol=1e-6)
    np.testing.assert_allclose(chart.frames[7].data[4].z, (other.values - truth.values)[7].T, rtol=1e-6)
    assert [trace.coloraxis[9:] for trace in chart.data] == ["", "", "2", "", "2"]
    bounds = chart.layout.coloraxis
    assert (bounds.cmin, bounds.cmax) == pytest.approx((truth.values.min(), truth.values.max()))
    assert chart.layout.coloraxis2.cmin == -chart.layout.coloraxis2.cmax < 0
    assert len(rollout_slider(truth, {"one": one}, TIMES, (2.0, 3.0), MANY).data) == 3
    box = quantity(4, 6, 8)
    section = rollout_slider(box, {"one": box}, TIMES, (1.0, 1.0, 1.0), MANY)
    np.testing.assert_allclose(section.frames[3].data[0].z, box.values[3, :, :, 4].T, rtol=1e-6)


def test_large_fields_are_thinned_in_time_and_then_in_space() -> None:
    truth = quantity(96, 96)
    # Three fields of 9 frames of 96 x 96 cells; a third of them, and then a quarter of that.
    fewer = rollout_slider(truth, {"one": truth}, TIMES, (1.0, 1.0), 3 * 3 * 96**2)
    assert [step.label for step in fewer.layout.sliders[0].steps] == ["0.0", "0.5", "1.0"]
    assert fewer.data[0].z.shape == (96, 96)
    coarse = rollout_slider(truth, {"one": truth}, TIMES, (1.0, 1.0), 3 * 3 * 48**2)
    means = truth.values[8].reshape(48, 2, 48, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(coarse.frames[-1].data[0].z, means.T, rtol=1e-5)
    np.testing.assert_allclose(coarse.data[0].x[:2], [1 / 96, 3 / 96], rtol=1e-6)


def test_a_slider_of_other_shapes_or_too_many_predictions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"predictions\['one'\] expected shape \(9, 8\), got \(9, 6\)"):
        rollout_slider(quantity(8), {"one": quantity(6)}, TIMES, (1.0,), MANY)
    with pytest.raises(ValueError, match="predictions expected 1 to 4 entries, got 5"):
        rollout_slider(quantity(8), {str(number): quantity(8) for number in range(5)}, TIMES, (1.0,), MANY)


def test_lines_are_those_of_the_figures() -> None:
    values = np.arange(1.0, 12.0)[::-1, None] * np.ones(9)
    chart = band_chart(TIMES, {"truth": values, "one": 2 * values}, "energy")
    lines = {trace.name: trace for trace in chart.data if trace.name}
    assert (lines["truth"].y.tolist(), lines["one"].y.tolist()) == ([6.0] * 9, [12.0] * 9)
    assert lines["truth"].line.color == "#262626"
    bands = [trace.y[0] for trace in chart.data if not trace.name]
    assert bands == [2.0, 10.0, 4.0, 20.0]
    assert chart.layout.yaxis.type == "log"
    few = band_chart(TIMES, {"one": np.array([[1.0], [4.0]]) * np.ones(9)}, "energy")
    assert [trace.y[0] for trace in few.data] == [1.0, 4.0, 2.5]  # the median of two lies between them
    spectrum = spectrum_chart(TIMES, {"truth": 10.0 ** -np.arange(5.0) * np.ones((9, 1))})
    assert len(spectrum.data) == 4
    np.testing.assert_allclose(spectrum.data[3].y, [1e-1, 1e-2, 1e-3, 1e-4], rtol=1e-6)
    assert spectrum.layout.annotations[3].text == "t = 1.000 [T]"
    assert history_chart({"loss": ([0, 1], [1.0, -1.0])}, "step", "loss").layout.yaxis.type is None
    way = estimate_chart([1, 2], [0.03, 0.02], [None, (0.019, 0.022)], 0.02, "cycle", "ν")
    bars = way.data[-1].error_y
    assert (bars.array[0], bars.arrayminus[0]) == pytest.approx((0.002, 0.001))


def test_settings_that_differ_have_dotted_names_without_init_args() -> None:
    first = {"model": {"class_path": "a.B", "init_args": {"width": 3, "names": ["x", "y"]}}, "seed": 1, "lists": []}
    second = {"model": {"class_path": "a.B", "init_args": {"width": 4, "depth": None}}, "seed": 1, "lists": []}
    assert differences([first, second]) == [
        ["model.width", "3", "4"],
        ["model.names", "['x', 'y']", "–"],
        ["model.depth", "–", "none"],
    ]


def test_numbers_have_the_digits_that_are_certain() -> None:
    assert interval_text(0.0200123456, 0.01994, 0.02009) == ("0.02001", "0.01994 to 0.02009")
    assert interval_text(123.456, 100.0, 150.0) == ("123", "100 to 150")
    assert interval_text(0.5, float("nan"), float("nan"))[1] == "–"
    assert [number_text(value) for value in (None, float("nan"), 0.123456, float("inf"))] == [
        "–",
        "–",
        "0.1235",
        "inf",
    ]


def test_records_of_a_run_are_read_and_damaged_ones_are_told(tmp_path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,step,train/loss,val/nrmse\n0,9,0.5,\n0,19,0.25,\n0,19,,0.7\n")
    files = read_files(tmp_path)
    assert files.losses == {"training loss": ([9.0, 19.0], [0.5, 0.25])}
    assert files.validation == {"validation nRMSE": ([0.0], [0.7])}
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("1,29,1.2e-")  # of a run that was killed
    assert read_files(tmp_path) == files
    for name, content, message in (
        ("hybrid.json", b'{"cycles": [', r"hybrid\.json: this is no JSON .* was it cut short"),
        ("hybrid.json", b"[]", r"hybrid\.json: expected names and values, got list"),
        ("inversion.npz", b"PK\x03\x04", r"inversion\.npz: these are no arrays of numpy"),
        (
            "metrics.csv",
            b"epoch,step,train/loss\n0,9,0.5\n0,19,0.5e\n",
            r"metrics\.csv: line 3 is damaged \(could not",
        ),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_files(tmp_path)
        (tmp_path / name).unlink()


def test_words_of_users_are_shown_and_never_run() -> None:
    evil = "</script><script>document.title='broken'</script><b>\"&'"
    truth = quantity(8)
    chart = rollout_slider(truth, {evil: truth}, TIMES, (1.0,), MANY)
    blocks = [
        Table([evil], [[evil]], evil, title=evil, folded=True),
        Picture(evil, evil, None, chart),
        Facts([(evil, evil)], evil),
        Remarks([evil]),
        Listing(evil, evil),
    ]
    text = render(Page(evil, evil, [(evil, evil)], [Section(evil, blocks, evil)]))
    assert "<script>document.title" not in text
    assert text.count("&lt;/script&gt;&lt;script&gt;document.title=") >= 12


def test_fields_are_sent_as_bytes() -> None:
    truth = quantity(64)
    chart = rollout_slider(truth, {"one": truth}, TIMES, (1.0,), MANY)
    sent = json.loads(chart.to_json())["frames"][2]["data"][0]["y"]
    assert sent["dtype"] == "f4"
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(sent["bdata"]), "<f4"), truth.values[2].astype("f4"))
