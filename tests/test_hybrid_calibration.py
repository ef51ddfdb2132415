"""The weight of the surrogate's windows in the inversion: what they claim must agree with what they are off."""

import lightning.pytorch as pl
import pytest
import torch

from burgerslab.data import Observation, TrajectoriesInMemory
from burgerslab.inversion import Inversion, Viscosity
from burgerslab.inversion.calibration import largest_weight
from tests.hybrid_run import QUIET, data, make_store

DOUBLE = {"dtype": torch.float64}


def parabola(curvature: torch.Tensor, minimum: torch.Tensor, least: float) -> torch.Tensor:
    """Of a mean square error about 0, as `largest_weight` takes it."""
    slope = -curvature @ minimum
    size = least + minimum @ curvature @ minimum
    return torch.cat([torch.cat([curvature, slope[:, None]], dim=1), torch.cat([slope, size[None]])[None]])


def test_the_variance_of_one_number_is_the_upper_bound_that_its_difference_gives_less_that_of_the_data() -> None:
    observed = parabola(torch.tensor([[4.0]], **DOUBLE), torch.tensor([0.01], **DOUBLE), 1e-2)
    generated = parabola(torch.tensor([[3.0]], **DOUBLE), torch.tensor([0.06], **DOUBLE), 0.5)
    # σ²/n = 1e-2/100; V = 1e-4/4; c = 0.05; a square of a normal number is below 0.0039321 in 5 % of draws, so that
    # V + 1e-4/(3 w) = c² / 0.0039321
    expected = 1e-4 / 3 / (2.5e-3 / 0.003932140 - 2.5e-5)
    assert largest_weight(observed, generated, 100, most=1.0) == pytest.approx(expected, rel=1e-6)
    near = parabola(torch.tensor([[3.0]], **DOUBLE), torch.tensor([0.0103], **DOUBLE), 0.5)  # 0.06 deviations off
    assert largest_weight(observed, near, 100, most=1.0) == 1.0


def test_with_several_numbers_the_difference_is_at_the_end_of_its_interval() -> None:
    torch.manual_seed(0)
    factors = torch.randn(2, 3, 3, **DOUBLE)
    first, second = factors @ factors.mT + 0.1 * torch.eye(3, **DOUBLE)
    ends = torch.randn(2, 3, **DOUBLE)
    weight = largest_weight(parabola(first, ends[0], 0.04), parabola(second, ends[1], 1.0), 50, most=1.0)
    assert 0 < weight < 1
    variance = 0.04 / 50
    covariance = variance * (torch.linalg.inv(first) + torch.linalg.inv(second) / weight)
    difference = ends[1] - ends[0]
    assert float(difference @ torch.linalg.solve(covariance, difference)) == pytest.approx(0.351846, rel=1e-5)


def test_what_the_data_do_not_tell_contradicts_nothing() -> None:
    first = torch.diag(torch.tensor([1.0, 0.0], **DOUBLE))
    observed = parabola(first, torch.zeros(2, **DOUBLE), 0.01)
    generated = parabola(torch.eye(2, **DOUBLE), torch.tensor([0.0, 5.0], **DOUBLE), 0.5)
    assert largest_weight(observed, generated, 100, most=0.7) == 0.7


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("hybrid_calibration") / "exact.zarr")


@pytest.mark.slow
def test_windows_of_another_viscosity_move_the_inversion_by_less_than_its_own_deviation(store, tmp_path) -> None:
    observation = Observation(noise=0.02, initial_known=True)
    datamodule = data(store, num_predict_steps=10, use_sliding_window=False, observation=observation)

    def fit(viscosity: float | None, weight: float | str = 1.0) -> Inversion:
        inversion = Inversion([Viscosity(0.04)], interaction_weight=weight)
        datamodule.setup("fit")
        datamodule.set_generated([])
        if viscosity is not None:
            maker = Inversion([Viscosity(viscosity)])
            maker.begin(datamodule)
            first = datamodule.training_windows().batch([0, 1, 2])["initial"].repeat(4, 1, 1)
            frames = torch.cat([first[:, None], maker.rollout(first, 10)], dim=1).numpy()
            numbers = torch.arange(10**9, 10**9 + 12).numpy()
            made = TrajectoriesInMemory(
                frames, torch.full((12,), 0.03).double().numpy(), indices=numbers, observed=False
            )
            datamodule.set_generated([made])
        trainer = pl.Trainer(accelerator="cpu", max_epochs=20, default_root_dir=tmp_path, **QUIET)
        trainer.fit(inversion, datamodule=datamodule)
        return inversion

    alone = fit(None)
    found = float(alone.coefficients()["viscosity"])
    deviation = float(alone.result.estimates["viscosity"].std)
    shifts = {
        weight: (float(fit(0.033, weight).coefficients()["viscosity"]) - found) / deviation
        for weight in ("balanced", "calibrated")
    }
    assert shifts["balanced"] > 3
    assert abs(shifts["calibrated"]) < 0.1
    right = fit(found, "calibrated")
    assert abs(float(right.coefficients()["viscosity"]) - found) < 0.1 * deviation
