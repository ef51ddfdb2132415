"""New trajectories for evaluation: like those of a store but for one setting, and solved better than any forecast."""

import json
from pathlib import Path

import numpy as np
import pytest

from burgerslab.data import BurgersDataModule, FieldSpec, Simulation, Store, StoreLayout, generate
from burgerslab.data.solvers import StepSolver
from burgerslab.evaluation import EvaluationData, Run, Sweep, evaluate
from burgerslab.evaluation.accuracy_and_time import solver_candidates
from burgerslab.evaluation.evaluation_files import summarise, write_evaluation
from burgerslab.evaluation.sweeps import _refined, recorded_simulation, sweep_sets
from burgerslab.evaluation.trajectory_sets import TrajectorySet
from burgerslab.physics import ConstantViscosity, Domain, FiniteDifference, LogUniformViscosity, RandomFourier
from burgerslab.surrogate import Surrogate, UNet
from tests.small_inversion import make, simulation
from tests.small_stores import write_store

NEW = "FourierSpectral() on a 3 times finer grid"


def whole(store) -> TrajectorySet:
    numbers = tuple(range(store.layout.num_trajectories))
    return TrajectorySet("test", store, numbers, store.layout.num_frames, 4, ("velocity",), True, "")


def untrained(path, dimension, **changes) -> tuple[Run, Store]:
    """A run whose network has random weights and reads the viscosity, and its store of rotational velocities."""
    settings = {
        "domain": Domain((1.0,) * dimension, (8,) * dimension),
        "viscosity": LogUniformViscosity(0.05, 0.1),
        "dt": 0.02,
        "num_frames": 4,
        "num_trajectories": 3,
        "initial": RandomFourier(amplitude=(0.2, 0.4), max_mode=2),
    }
    store = generate(Simulation(**settings | changes), path, progress=False)
    indices = {"train_sim_indices": [0], "val_sim_indices": [], "test_sim_indices": [1, 2]}
    options = {"store": str(path), "static_fields": ["viscosity"], "num_predict_steps": 1, **indices}
    data = BurgersDataModule(**options)
    model = Surrogate(UNet(data.in_channels, data.out_channels, dimension, filters=4, levels=1)).eval()
    model.adopt(data.description, data.statistics)
    weights = path.with_suffix(".ckpt")
    weights.touch()
    config = {"data": {"init_args": options}}
    names = {"surrogate": model}, {"surrogate": weights}
    return Run("net", path.parent, "surrogate", config, *names, data.description, Path(path), (1, 2)), store


def test_a_store_says_how_it_was_simulated(tmp_path):
    wanted = simulation(viscosity=LogUniformViscosity(0.05, 0.1), initial=RandomFourier((0.2, 0.4), max_mode=2))
    assert recorded_simulation(generate(wanted, tmp_path / "store.zarr", progress=False)) == wanted
    store = write_store(tmp_path / "other.zarr")
    with pytest.raises(ValueError, match=r"other.zarr was not simulated \(its source is 'test'\)"):
        recorded_simulation(store)


def test_one_setting_is_changed_and_the_rest_stays(tmp_path):
    store = make(tmp_path / "store.zarr")
    sweep = Sweep(viscosity=(0.05, 0.1), amplitude=(0.25,), resolution=(48,), num_trajectories=2)
    same, thick, slow, fine = sweep_sets(sweep, whole(store), tmp_path / "sweeps", progress=False)
    assert [it.name for it in (same, thick, slow, fine)] == [
        "viscosity 0.05",
        "viscosity 0.1",
        "amplitude 0.25",
        "resolution 48",
    ]
    assert [it.in_distribution for it in (same, thick, slow, fine)] == [True, False, False, False]
    frames = [it.store.read("velocity", [0, 1]) for it in (same, thick, slow, fine)]
    assert np.array_equal(frames[0][:, 0], frames[1][:, 0])  # the same first frames
    assert np.allclose(frames[2][:, 0], 0.5 * frames[0][:, 0], rtol=1e-5)
    assert frames[3].shape == (2, 9, 1, 48)
    # cells 1, 4, 7 ... of 48 have the centres of cells 0, 2, 4 ... of 32 in them: x = 1.5/48 = 0.5/16
    energy = [np.square(values).mean(axis=(2, 3)) for values in frames]
    assert np.allclose(energy[3], energy[0], rtol=1e-4)
    assert (energy[1][:, -1] < energy[0][:, -1]).all()  # what is thicker has lost more
    assert not np.isclose(frames[0][:, 0], store.read("velocity", [0, 1])[:, 0]).all(axis=(1, 2)).any()
    with pytest.raises(ValueError, match=r"would make .* cells of the store's"):
        list(sweep_sets(Sweep(resolution=(9,)), whole(write_exact(tmp_path)), tmp_path / "sweeps"))


def write_exact(tmp_path):
    initial = RandomFourier(amplitude=0.5, max_mode=2, curl_free=True)
    return make(tmp_path / "flat.zarr", domain=Domain((1.0, 2.0), (8, 12)), initial=initial, num_frames=2)


def test_the_reference_agrees_with_the_exact_solution():
    exact = simulation(num_trajectories=2, viscosity=ConstantViscosity(0.01))  # cell Péclet numbers of 2 to 3
    seeds = exact.trajectory_seeds()
    viscosity = np.full(2, 0.01)
    reference = _refined(exact, seeds, viscosity)
    assert reference.refine == 6
    times = exact.dt * np.arange(exact.num_frames)
    frames = StepSolver(reference).frames(seeds, viscosity)
    for row, seed in enumerate(seeds.tolist()):
        expected = exact.scheme.frames(exact.draw_potential(seed), 0.01, times, exact.domain)
        assert np.abs(frames[row] - expected).max() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("dimension", [2, 3])
def test_networks_that_read_the_viscosity_meet_new_flows_with_curl(tmp_path, dimension):
    run, _ = untrained(tmp_path / "store.zarr", dimension)
    sweep = Sweep(viscosity=(0.07,), resolution=(9,), num_trajectories=2)
    found = evaluate([run], tmp_path, schemes=[FiniteDifference()], sweep=sweep, timing=None)
    assert [(it.name, it.in_distribution, it.truth.rpartition(",")[0]) for it in found.sets[1:]] == [
        ("viscosity 0.07", True, NEW),
        ("resolution 9", False, NEW),
    ]
    (refusal,) = found.refused
    assert refusal.startswith("net cannot forecast the set resolution 9: the data have")
    summaries = summarise(found)
    assert [set(by_run) for by_run in summaries.values()] == [
        {"net", "persistence", "FiniteDifference"},
        {"net", "persistence", "FiniteDifference"},
        {"persistence", "FiniteDifference"},
    ]
    for by_run in summaries.values():
        assert by_run["FiniteDifference"]["nrmse"].mean < 0.02
    assert "the data were made by FiniteDifference on this very grid" in "".join(found.notes)
    cells = {it.coarsening for it in solver_candidates([FiniteDifference()], found.sets[0], compile=True)}
    assert cells == set()  # 8 cells cannot be fewer
    assert {it.coarsening for it in solver_candidates([FiniteDifference()], found.sets[1], compile=True)} == {1}
    write_evaluation(found, tmp_path, summaries)
    document = json.loads((tmp_path / "evaluation.json").read_text())
    assert document["refused"] == [refusal]
    assert document["sets"][0]["trajectories"] == [1, 2]


def test_other_data_than_those_trained_on_are_refused_or_new(tmp_path):
    run, store = untrained(tmp_path / "store.zarr", 2)
    layout = StoreLayout(store.layout.domain, 3, 4, 0.02, (FieldSpec("velocity", ("x", "y")),))
    other = write_store(tmp_path / "other.zarr", layout, viscosity=np.full(3, 0.1))
    found = evaluate([run], tmp_path, schemes=[], timing=None)
    assert found.sets[0].trajectories == (1, 2)
    found = evaluate([run], tmp_path, EvaluationData(str(other.path)), schemes=[], timing=None)
    assert found.sets[0].trajectories == (0, 1, 2)
    assert not found.sets[0].in_distribution
    assert "all 3 trajectories are new to it" in "".join(found.notes)
    with pytest.raises(ValueError, match=r"sweep: .*other.zarr was not simulated"):
        evaluate([run], tmp_path, EvaluationData(str(other.path)), sweep=Sweep(viscosity=(0.1,)), timing=None)


def test_what_would_be_one_set_or_no_forecast_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sweep\.viscosity has 0\.1 twice"):
        Sweep(viscosity=(0.1, 0.2, 0.10000001))
    with pytest.raises(ValueError, match=r"data\.num_frames must be at least 2, .*, got 0"):
        EvaluationData(num_frames=0)
