"""solve_alone: what Trainer.fit finds, without files, lines and bars; and how an estimate reads."""

import logging

import pytest
import torch

from burgerslab.inversion import Inversion, Viscosity, solve_alone
from burgerslab.inversion.posterior import Estimate
from tests import small_inversion


@pytest.mark.slow
def test_it_finds_what_the_trainer_finds_and_leaves_nothing_behind(tmp_path, monkeypatch, caplog, capfd) -> None:
    store, folder = tmp_path / "store.zarr", tmp_path / "work"
    small_inversion.make(store)
    expected = small_inversion.fit(store).result
    folder.mkdir()
    monkeypatch.chdir(folder)
    capfd.readouterr()
    caplog.clear()
    with caplog.at_level(logging.INFO):
        result = solve_alone(Inversion([Viscosity(0.2)]), small_inversion.data(store))
    for part in ("value", "std", "low", "high"):
        assert torch.equal(
            getattr(result.estimates["viscosity"], part), getattr(expected.estimates["viscosity"], part)
        )
    assert list(folder.iterdir()) == []
    assert caplog.messages == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the solve has not converged. stopped by trainer.max_epochs=1")
def test_it_stops_where_it_is_told(tmp_path) -> None:
    small_inversion.make(tmp_path / "store.zarr")
    inversion = Inversion([Viscosity(0.2)])
    result = solve_alone(inversion, small_inversion.data(tmp_path / "store.zarr"), max_iterations=1)
    assert result.solution.num_iterations == 1


def test_an_estimate_is_one_line() -> None:
    number = Estimate(*(torch.tensor(value) for value in (0.01, 2.5e-5, 0.00995, 0.01005)))
    assert str(number) == "0.01 ± 2.5e-05, 95 % interval 0.00995 to 0.01005"
    field = Estimate(torch.tensor([[0.01, 0.03]]), torch.tensor([[1e-4, 2e-4]]), torch.zeros(1, 2), torch.zeros(1, 2))
    assert str(field) == "1 x 2 values from 0.01 to 0.03, ± 0.0002 at most"
