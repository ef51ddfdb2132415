"""Inversion against exact solutions: data that none of the package's schemes has made."""

import lightning.pytorch as pl
import numpy as np
import pytest

from burgerslab.data import BurgersDataModule, Observation, Simulation, generate
from burgerslab.inversion import Advection, InitialState, Inversion, Learnable, Viscosity
from burgerslab.physics import ColeHopf, ConstantViscosity, Domain, LogUniformViscosity, RandomFourier

VISCOSITY = 0.02


def _simulation(viscosity, num_frames: int = 31, resolution: int = 64) -> Simulation:
    return Simulation(
        domain=Domain((1.0,), (resolution,)),
        viscosity=viscosity,
        dt=0.02,
        num_frames=num_frames,
        num_trajectories=4,
        initial=RandomFourier(amplitude=0.5, max_mode=3),
        scheme=ColeHopf(),
    )


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    path = tmp_path_factory.mktemp("exact") / "one.zarr"
    generate(_simulation(ConstantViscosity(VISCOSITY)), path)
    return path


def fit(path, learnables: list[Learnable], observation: Observation | None = None, data=None, **options) -> Inversion:
    windows = {"num_predict_steps": 30, "train_sim_indices": [0, 1, 2], "val_sim_indices": [3]} | (data or {})
    data = BurgersDataModule(
        str(path), use_sliding_window=False, test_sim_indices=[], observation=observation, **windows
    )
    inversion = Inversion(learnables, **options)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = pl.Trainer(accelerator="cpu", max_epochs=-1, logger=False, **quiet)
    trainer.fit(inversion, datamodule=data)
    return inversion


@pytest.mark.parametrize("factor", [5.0, 0.2])
def test_the_viscosity_of_exact_data_is_found_from_five_times_off(exact, factor: float) -> None:
    inversion = fit(exact, [Viscosity(factor * VISCOSITY)])
    assert inversion.result is not None
    assert abs(float(inversion.coefficients()["viscosity"]) / VISCOSITY - 1) < 2e-3
    assert inversion.result.solution.converged
    assert inversion.result.solution.num_evaluations <= 15


def test_each_trajectory_has_its_own_viscosity(tmp_path) -> None:
    path = tmp_path / "many.zarr"
    store = generate(_simulation(LogUniformViscosity(0.015, 0.06)), path)
    inversion = fit(path, [Viscosity(0.03, each_trajectory=True)])
    np.testing.assert_allclose(inversion.coefficients()["viscosity"].numpy(), store.viscosity[:3], rtol=1e-2)
    assert np.ptp(store.viscosity[:3]) > 0.005


def test_viscosity_and_advection_together(exact) -> None:
    inversion = fit(exact, [Viscosity(0.1), Advection(0.3)])
    found = inversion.coefficients()
    assert abs(float(found["viscosity"]) / VISCOSITY - 1) < 2e-3
    assert abs(float(found["advection"]) - 1) < 2e-3


@pytest.mark.slow
def test_the_interval_holds_when_the_noisy_initial_state_is_learned_too(exact) -> None:
    errors = []
    for seed in range(4):
        learnables = [Viscosity(0.04), InitialState(num_modes=8)]
        result = fit(exact, learnables, Observation(noise=0.02, seed=seed)).result
        assert result is not None
        estimate = result.estimates["viscosity"]
        errors.append(float((estimate.value - VISCOSITY) / estimate.std))
    assert max(np.abs(errors)) < 4
    assert 0.1 < np.sqrt(np.mean(np.square(errors))) < 2.2


def test_nothing_to_learn_is_refused_with_the_lines_to_add() -> None:
    with pytest.raises(
        ValueError, match=r"No 'learnable_parameters' defined: .*\n  learnable_parameters:\n  - class_"
    ):
        Inversion()
