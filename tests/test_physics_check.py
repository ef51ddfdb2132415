"""The physics of whole stores: exact ones are confirmed, wrongly recorded ones are noticed, and why."""

import math

import numpy as np
import pytest

from burgerslab.cli.main import main
from burgerslab.data import FieldSpec, StoreLayout
from burgerslab.data.physics_check import check_physics, sampled_frames
from burgerslab.data.physics_verdict import findings, likely_cause, warnings
from burgerslab.physics import ColeHopf, Domain, RandomFourier
from tests.reference import spectral_burgers
from tests.small_stores import write_store


def store_of(path, frames, viscosity, dt, extent=1.0):
    """Write ``(trajectory, frame, component, *space)`` as float32."""
    domain = Domain((extent,) * frames.shape[2], frames.shape[3:])
    velocity = FieldSpec("velocity", domain.axis_names)
    layout = StoreLayout(domain, len(frames), frames.shape[1], dt, (velocity,))
    return write_store(path, layout, {"velocity": frames.astype(np.float32)}, np.asarray(viscosity))


def exact(resolution, peclet, dt=0.03, num_frames=13, num_trajectories=2):
    """Exact frames on a unit box, and the viscosities at which the largest cell Péclet number is as asked."""
    domain = Domain((1.0,) * len(resolution), resolution)
    initial = RandomFourier(amplitude=0.6, max_mode=3, curl_free=True)
    frames, viscosities = [], []
    for seed in range(num_trajectories):
        potential = initial.sample_potential(domain, np.random.default_rng(seed))
        speed = np.sqrt((potential.velocity(domain.centres()) ** 2).sum(0)).max()
        viscosities.append(float(speed * domain.spacing[0] / peclet))
        frames.append(ColeHopf().frames(potential, viscosities[-1], dt * np.arange(num_frames), domain))
    return np.stack(frames), np.array(viscosities)


@pytest.fixture(scope="module")
def line():
    return exact((128,), 1.0)


@pytest.mark.parametrize("peclet", [0.2, 2.0])
@pytest.mark.parametrize("resolution", [(64,), (256,), (32, 32)])
def test_exact_stores_are_confirmed_within_a_percent(resolution, peclet, tmp_path) -> None:
    frames, viscosity = exact(resolution, peclet)
    check = check_physics(store_of(tmp_path / "s.zarr", frames, viscosity, 0.03))
    results = findings(check)
    assert [finding.method for finding in results] == ["energy balance", "short rollout"]
    for finding in results:
        assert finding.mean_ratio == pytest.approx(1.0, abs=0.01)
        np.testing.assert_allclose(finding.ratio, 1.0, atol=0.01)
    np.testing.assert_allclose(results[1].ratio, 1.0, atol=5e-3)
    np.testing.assert_allclose(results[1].advection, 1.0, atol=2e-3)
    assert warnings(results) == []
    np.testing.assert_allclose(check.peclet, peclet, rtol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "ratio", "advection", "cause"),
    [
        ({"viscosity": math.pi}, 1 / math.pi, 1.0, "may be π times the viscosity, as Nu is in PDEBench"),
        ({"viscosity": 1 / math.pi}, math.pi, 1.0, "may be the viscosity over π"),
        ({"viscosity": 2.0}, 0.5, 1.0, "may be 2 times the viscosity"),
        ({"velocity": 0.5}, 1.0, 2.0, "(u²)_x in place of (u²/2)_x"),
        ({"dt": 0.1}, 10.0, 10.0, "The time between frames may be 10 times the recorded dt"),
        ({"dt": 1.014}, 1 / 1.014, 1 / 1.014, "its clock counted in float32 and drifted"),
        ({"extent": 2.0}, 4.0, 2.0, "The box may be 0.5 times as long"),
    ],
)
def test_what_is_recorded_wrongly_is_noticed_and_named(wrong, ratio, advection, cause, line, tmp_path) -> None:
    frames, viscosity = line
    store = store_of(
        tmp_path / "s.zarr",
        frames * wrong.get("velocity", 1.0),
        viscosity * wrong.get("viscosity", 1.0),
        0.03 * wrong.get("dt", 1.0),
        wrong.get("extent", 1.0),
    )
    results = findings(check_physics(store))
    for finding, tolerance in zip(results, (0.01, 1e-3), strict=True):
        np.testing.assert_allclose(finding.ratio, ratio, rtol=tolerance)
        np.testing.assert_allclose(finding.advection, advection, rtol=tolerance)
    messages = warnings(results)
    assert messages[-1].startswith("short rollout: in 2 of 2 trajectories the ")
    assert cause in messages[-1]


def test_one_wrong_viscosity_among_several_is_noticed(line, tmp_path) -> None:
    frames, viscosity = line
    results = findings(check_physics(store_of(tmp_path / "s.zarr", frames, viscosity * [1.0, 1.1], 0.03)))
    assert results[0].viscosity_off.tolist() == results[1].viscosity_off.tolist() == [False, True]
    assert "in 1 of 2 trajectories the viscosity is 0.90" in warnings(results)[-1]


@pytest.mark.parametrize("divergence", [False, True])
def test_with_vorticity_the_divergence_form_is_another_equation(divergence, tmp_path) -> None:
    domain = Domain((1.0, 1.0), (48, 48))
    frames = [RandomFourier(amplitude=0.6, max_mode=3).sample(domain, np.random.default_rng(0))]
    for _ in range(8):
        frames.append(spectral_burgers(frames[-1], (1.0, 1.0), 0.03, 0.02, 8, divergence=divergence))
    results = findings(check_physics(store_of(tmp_path / "s.zarr", np.stack(frames)[None], [0.03], 0.02)))
    if divergence:
        assert "do not obey u_t + c (u·∇)u = ν Δu with any ν and c" in warnings(results)[-1]
        assert "another equation (∇·(u⊗u) in more than one dimension)" in warnings(results)[-1]
    else:
        np.testing.assert_allclose(np.concatenate([finding.ratio for finding in results]), 1.0, atol=2e-3)
        assert warnings(results) == []


def test_two_frames_suffice(tmp_path) -> None:
    frames, viscosity = exact((128,), 1.0, dt=0.05, num_frames=2)
    results = findings(check_physics(store_of(tmp_path / "s.zarr", frames, viscosity, 0.05)))
    np.testing.assert_allclose(np.concatenate([finding.ratio for finding in results]), 1.0, atol=0.01)
    assert warnings(results) == []


def test_frames_that_come_to_rest_are_read_as_far_as_they_tell(tmp_path) -> None:
    frames, viscosity = exact((64,), 0.2, dt=0.5, num_frames=30)
    assert np.abs(frames[:, -1]).max() < 1e-6 * np.abs(frames).max()
    check = check_physics(store_of(tmp_path / "s.zarr", frames, viscosity, 0.5))
    assert check.rollout is not None
    np.testing.assert_allclose(check.rollout.viscosity.numpy(), viscosity[: len(check.rollout.viscosity)], rtol=1e-3)
    assert warnings(findings(check)) == []


@pytest.mark.parametrize("speed", [0.0, 0.5])
def test_frames_without_change_tell_nothing_and_warn_of_nothing(speed, tmp_path, capsys) -> None:
    store = store_of(tmp_path / "s.zarr", np.full((2, 4, 1, 32), speed), [0.01, 0.02], 0.1)
    results = findings(check_physics(store))
    for finding in results:
        assert np.isnan(finding.viscosity).all()
        assert np.isnan(finding.advection).all()
    assert warnings(results) == []
    assert main(["inspect", str(store.path), "--physics"]) == 0
    assert "the frames change too little, or too wildly, to tell a viscosity" in capsys.readouterr().out


def test_trajectories_without_viscosity_are_left_out(line, tmp_path, capsys) -> None:
    frames, viscosity = line
    store = store_of(tmp_path / "one.zarr", frames, viscosity * [0.0, 1.0], 0.03)
    check = check_physics(store)
    assert check.trajectories == (1,)
    np.testing.assert_allclose(findings(check)[1].ratio, 1.0, atol=5e-3)
    assert main(["inspect", str(store.path), "--physics"]) == 0
    printed = capsys.readouterr().out
    assert "cell Péclet:    1 to inf, |u|max dx" in printed
    assert "left out:       1 of 2 trajectories, recorded with a viscosity of 0" in printed
    store = store_of(tmp_path / "both.zarr", frames, viscosity * 0, 0.03)
    assert main(["inspect", str(store.path), "--physics"]) == 0
    assert "physics:        not checked: the recorded viscosity is 0" in capsys.readouterr().out
    with pytest.raises(ValueError, match="the viscosity of every trajectory is 0"):
        check_physics(store)


def test_noise_obeys_no_equation(tmp_path, capsys) -> None:
    noise = np.random.default_rng(0).standard_normal((2, 5, 1, 64))
    store = store_of(tmp_path / "s.zarr", noise, [0.1, 0.1], 0.1)
    assert main(["inspect", str(store.path), "--physics"]) == 0
    printed = capsys.readouterr().out
    assert "with any ν and c" in printed.splitlines()[-1]
    assert "too wildly" not in printed


def test_three_dimensions(tmp_path) -> None:
    frames, viscosity = exact((16, 16, 16), 0.5, num_frames=4, num_trajectories=1)
    results = findings(check_physics(store_of(tmp_path / "s.zarr", frames, viscosity, 0.03)))
    np.testing.assert_allclose(np.concatenate([finding.ratio for finding in results]), 1.0, atol=0.01)
    assert warnings(results) == []


def test_inspect_prints_fitted_beside_recorded_and_still_succeeds(line, tmp_path, capsys) -> None:
    frames, viscosity = line
    store = store_of(tmp_path / "s.zarr", frames, viscosity * math.pi, 0.03)
    assert main(["inspect", str(store.path)]) == 0
    printed = capsys.readouterr().out
    assert "cell Péclet:    0.318, |u|max dx / viscosity" in printed
    assert "rollout" not in printed
    assert main(["inspect", str(store.path), "--physics"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert any(text.startswith("short rollout:") and "ratio 0.3183 (" in text for text in printed)
    assert sum(text.startswith("warning:") for text in printed) == 2


def test_inspect_says_what_too_coarse_a_grid_does(tmp_path, capsys) -> None:
    store = store_of(tmp_path / "s.zarr", *exact((64,), 5.0, num_frames=2), 0.03)
    assert main(["inspect", str(store.path)]) == 0
    printed = capsys.readouterr().out
    assert "cell Péclet:    5, |u|max dx" in printed
    assert "warning:        the cell Péclet number |u| dx / viscosity is above 2 in 2 of 2" in printed


@pytest.mark.parametrize(
    ("num_frames", "most", "frames", "pairs"),
    [
        (2, 100, [0, 1], [(0, 1)]),
        (3, 4, [0, 1], [(0, 1)]),
        (6, 8, [0, 1, 4, 5], [(0, 1), (0, 2), (2, 3)]),
        (40, 4, [0, 1, 4, 16], [(0, 1), (0, 2), (0, 3)]),
        (41, 2, [0, 1], [(0, 1)]),
    ],
)
def test_sampled_frames_by_hand(num_frames, most, frames, pairs) -> None:
    assert sampled_frames(num_frames, most) == (frames, pairs)


def test_causes_that_no_single_mistake_explains() -> None:
    assert likely_cause(1.2, 1.0) == (
        "The solver that made the data may add numerical diffusion; or the viscosity is recorded wrongly"
    )
    assert likely_cause(0.7, 1.0) == "The viscosity may be recorded wrongly"
    assert likely_cause(1.3, 0.004) == "The data may solve u_t = ν Δu, without advection"
    assert likely_cause(5.0, 0.7).startswith("More than one of dt, extent, viscosity")
