import pytest
import torch

from burgerslab.surrogate import BackpropagationThroughTime, Curriculum, Pushforward


def window(num_steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ones(2, 1, 4, dtype=torch.float64), torch.zeros(2, num_steps, 1, 4, dtype=torch.float64)


def test_backpropagation_through_time_multiplies_the_factors_of_all_steps() -> None:
    factor = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    predicted, wanted = BackpropagationThroughTime().unroll(lambda u: factor * u, *window(3))
    assert predicted[0, :, 0, 0].tolist() == [2.0, 4.0, 8.0]
    assert wanted.shape == (2, 3, 1, 4)
    gradient = torch.autograd.grad(predicted[0, :, 0, 0].sum(), factor)[0]
    assert gradient.item() == 1 + 2 * 2.0 + 3 * 2.0**2


def test_pushforward_differentiates_the_first_and_the_last_step_only() -> None:
    factor = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    initial, target = window(4)
    target = target + torch.arange(4.0).view(1, 4, 1, 1)
    predicted, wanted = Pushforward().unroll(lambda u: factor * u, initial, target)
    assert predicted[0, :, 0, 0].tolist() == [2.0, 16.0]
    assert wanted[0, :, 0, 0].tolist() == [0.0, 3.0]
    gradient = torch.autograd.grad(predicted[0, :, 0, 0].sum(), factor)[0]
    assert gradient.item() == 1 + 2.0**3


@pytest.mark.parametrize("unrolling", [BackpropagationThroughTime(), Pushforward()])
def test_a_window_of_one_step_is_one_step(unrolling: BackpropagationThroughTime | Pushforward) -> None:
    predicted, wanted = unrolling.unroll(lambda u: 3.0 * u, *window(1))
    assert predicted.shape == wanted.shape == (2, 1, 1, 4)
    assert predicted[0, 0, 0, 0].item() == 3.0


def test_a_curriculum_lengthens_by_one_until_the_window_is_full() -> None:
    curriculum = Curriculum(start=2, epochs_per_step=3)
    assert [curriculum.num_steps(epoch, longest=4) for epoch in range(9)] == [2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert curriculum.num_steps(0, longest=1) == 1


def test_a_curriculum_of_no_steps_is_refused() -> None:
    with pytest.raises(ValueError, match=r"curriculum\.start and curriculum\.epochs_per_step must be at least 1"):
        Curriculum(start=0)
