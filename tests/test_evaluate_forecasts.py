"""Forecasts by models and by solvers on grids of all sizes, and their cost."""

import math

import numpy as np
import pytest
import torch

from burgerslab.data import Store
from burgerslab.evaluation.accuracy_and_time import Timed, Timing, mean_nrmse, time_against_solvers, verdicts
from burgerslab.evaluation.coarse_grid import coarsenings, low_pass
from burgerslab.evaluation.error_table import measure_errors
from burgerslab.evaluation.forecasts import Persistence, SchemeForecast, until_divergence
from burgerslab.evaluation.trajectory_sets import TrajectorySet
from burgerslab.physics import DivergedError, Domain, FourierSpectral
from tests.small_inversion import make


@pytest.fixture(scope="module")
def exact(tmp_path_factory) -> TrajectorySet:
    """Five exact trajectories of 9 frames on 32 cells, cell Péclet number below 1."""
    path = tmp_path_factory.mktemp("exact") / "store.zarr"
    make(path)
    return TrajectorySet("test", Store(path), (0, 1, 2, 3, 4), 9, 3, ("velocity",), True, "exact")


def test_a_coarser_grid_gets_the_waves_it_holds_and_no_others():
    domain = Domain((2.0, 1.0), (32, 24))
    x, y = (torch.from_numpy(axis) for axis in np.meshgrid(*domain.centres(), indexing="ij"))
    long_wave = torch.cos(2 * np.pi * (2 * x / 2.0 - 3 * y) + 0.3)
    short_wave = torch.cos(2 * np.pi * 10 * x / 2.0 + 0.1)
    coarse = Domain((2.0, 1.0), (16, 12))
    x, y = (torch.from_numpy(axis) for axis in np.meshgrid(*coarse.centres(), indexing="ij"))
    expected = torch.cos(2 * np.pi * (2 * x / 2.0 - 3 * y) + 0.3)
    assert torch.allclose(low_pass(long_wave + short_wave, domain, 2), expected, atol=1e-13)
    assert coarsenings(domain) == [1, 2]  # 24 / 4 would leave fewer than 8 cells
    assert coarsenings(Domain((1.0,), (96,))) == [1, 2, 4, 8]
    assert coarsenings(Domain((1.0,), (33,))) == [1]


def test_a_solver_on_coarser_grids_is_less_accurate_and_takes_fewer_steps(exact):
    facts = exact.facts()
    forecasts = [SchemeForecast(FourierSpectral(), factor) for factor in (1, 2, 4)]
    assert [it.substeps(facts) for it in forecasts] == [1, 1, 1]
    few = [SchemeForecast(FourierSpectral(), factor, courant=0.1).substeps(facts) for factor in (1, 2, 4)]
    ratio = facts.description.dt * facts.speed[0] * 32 / 0.1
    assert few == [math.ceil(ratio), math.ceil(ratio / 2), math.ceil(ratio / 4)]
    errors = [mean_nrmse(measure_errors(it, exact)) for it in forecasts]
    assert errors[0] < 1e-4 < errors[1] < errors[2] < 0.3
    assert measure_errors(Persistence(), exact).by_frame["nrmse"].shape == (5, 8)


def test_models_are_timed_beside_solvers_on_all_grids(exact):
    measured = {Persistence(): 0.5, SchemeForecast(FourierSpectral()): 1e-6}
    timed = time_against_solvers(measured, [FourierSpectral()], exact, Timing(repeats=1))
    assert [(it.name, it.is_solver, it.cells) for it in timed] == [
        ("persistence", False, (32,)),
        ("FourierSpectral", True, (32,)),
        ("FourierSpectral", True, (16,)),
        ("FourierSpectral", True, (8,)),
    ]
    assert [it.nrmse for it in timed[:2]] == [0.5, 1e-6]
    assert all(it.seconds > 0 for it in timed)
    assert timed[0].seconds < timed[1].seconds


def solver(nrmse, seconds, cells=64):
    return Timed("FiniteDifference", True, (cells,), 2, nrmse, seconds, seconds)


def test_the_answer_names_the_fastest_solver_as_accurate_and_the_most_accurate_as_fast():
    net = Timed("net", False, (64,), 1, 0.05, 0.010, 0.010)
    solvers = [solver(1e-5, 0.08), solver(0.01, 0.02, 32), solver(0.04, 0.005, 16), solver(0.5, 0.001, 8)]
    (verdict,) = verdicts([net, *solvers])
    assert (verdict.as_accurate, verdict.as_fast) == (solvers[2], solvers[2])
    assert verdict.speed_up == pytest.approx(0.5)
    assert str(verdict) == (
        "net: nRMSE 0.05 in 10 ms per trajectory; it is 2 times slower than a solver of at least its accuracy "
        "(FiniteDifference on 16 cells with 2 steps per frame: nRMSE 0.04 in 5 ms); in its time FiniteDifference on "
        "16 cells with 2 steps per frame has a 1.25 times smaller error"
    )
    (verdict,) = verdicts([net, solvers[0], solvers[3], solver(math.inf, 0.001)])
    assert (verdict.as_accurate, verdict.as_fast) == (solvers[0], solvers[3])
    assert "it is 8 times faster than a solver" in str(verdict)
    assert "has a 10 times larger error" in str(verdict)
    (verdict,) = verdicts([net, solver(0.0, 0.001)])
    assert "has a inf times smaller error" in str(verdict)
    (verdict,) = verdicts([net, solver(math.nan, 0.001)])
    assert str(verdict).endswith("no solver tried is as accurate; no solver tried is as fast")
    (verdict,) = verdicts([Timed("net", False, (64,), 1, math.inf, 0.01, 0.01), *solvers])
    assert "its rollouts diverge" in str(verdict)


def test_a_trajectory_that_diverges_leaves_the_others_alone():
    def solve(batch, num_steps):
        """Trajectory k diverges at frame k."""
        if bool((batch["initial"].flatten() <= num_steps).any()):
            raise DivergedError("not finite")
        return batch["initial"][:, None].repeat_interleave(num_steps, dim=1)

    initial = torch.tensor([1.0, 4.0, 9.0, 8.0]).reshape(4, 1, 1).repeat(1, 1, 8)
    frames = until_divergence(solve)({"initial": initial}, 8)
    finite = torch.isfinite(frames).flatten(2).all(dim=2)
    assert finite.sum(dim=1).tolist() == [0, 3, 8, 7]
    assert torch.equal(frames[1, :3], initial[1].expand(3, 1, 8))
