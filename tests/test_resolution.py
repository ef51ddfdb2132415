"""Cell Péclet numbers by hand, and what is said about them."""

import pytest
import torch

from burgerslab.physics import Domain, cell_peclet, explain_under_resolution
from burgerslab.physics.resolution import likely_bias


def test_cell_peclet_numbers_by_hand() -> None:
    line = Domain((2.0,), (10,))  # cells of 0.2
    velocity = torch.zeros(2, 3, 1, 10)  # two trajectories of three frames
    velocity[0, 1, 0, 4] = -3.0
    velocity[1, 2, 0, 9] = 1.0
    assert cell_peclet(velocity, line, 0.1).tolist() == pytest.approx([6.0, 2.0])
    assert cell_peclet(velocity, line, torch.tensor([0.1, 0.4])).tolist() == pytest.approx([6.0, 0.5])
    assert cell_peclet(velocity[:, 1], line, 0.1).tolist() == pytest.approx([6.0, 0.0])  # one frame


def test_the_speed_counts_and_cells_need_not_be_square() -> None:
    velocity = torch.zeros(1, 2, 10, 10, dtype=torch.float64)
    velocity[0, :, 3, 5] = torch.tensor([3.0, 4.0])
    assert cell_peclet(velocity, Domain((1.0, 1.0), (10, 10)), 0.1).tolist() == pytest.approx([5.0])
    # ((3 · 0.4)² + (4 · 0.125)²)^½ = 1.3
    assert cell_peclet(velocity, Domain((4.0, 1.25), (10, 10)), 0.1).tolist() == pytest.approx([13.0])


def test_without_viscosity_what_moves_is_never_resolved() -> None:
    velocity = torch.tensor([3.0, 0.0, 1.0])[:, None, None].expand(3, 1, 8)
    numbers = cell_peclet(velocity, Domain((1.0,), (8,)), torch.tensor([0.0, 0.0, 0.1]))
    assert numbers.tolist() == pytest.approx([float("inf"), 0.0, 1.25])
    assert explain_under_resolution(numbers).startswith("the viscosity is 0 in 1 of 3 trajectories: fronts have no")


@pytest.mark.parametrize("peclet", [[0.1], [2.0, 1.9]])
def test_resolved_fronts_need_no_words(peclet: list[float]) -> None:
    assert explain_under_resolution(torch.tensor(peclet)) is None


@pytest.mark.parametrize(
    ("peclet", "expected"),
    [
        ([2.1], ("in 1 of 1 trajectories and reaches 2.1:", "off by about 0.45 %", "Set refine: 2 or more")),
        ([1.0, 5.0, 3.0], ("in 2 of 3 trajectories and reaches 5:", "off by about 3 %", "Set refine: 3 or more")),
        ([10.0], ("reaches 10:", "off by about 25 %", "Set refine: 5 or more")),
        ([50.0], ("reaches 50:", "off by more than 25 %", "Set refine: 25 or more")),
    ],
)
def test_what_is_said_about_unresolved_fronts(peclet: list[float], expected: tuple[str, ...]) -> None:
    message = explain_under_resolution(torch.tensor(peclet))
    assert message.startswith("the cell Péclet number |u| dx / viscosity is above 2 ")
    for part in (*expected, "0.02 % at 1, 0.4 % at 2, 1 to 3 % at 5, 25 % at 10"):
        assert part in message


def test_a_refined_grid_counts_for_what_it_resolves() -> None:
    peclet = torch.tensor([10.0, 1.0])
    assert explain_under_resolution(peclet, refine=5) is None
    message = explain_under_resolution(peclet, refine=2)
    assert "in 1 of 2 trajectories and reaches 5:" in message
    assert "Set refine: 5 or more" in message


def test_the_likely_bias_is_the_table_and_grows_beyond_it() -> None:
    assert [likely_bias(peclet) for peclet in (0.1, 1.0, 2.0, 5.0, 10.0)] == pytest.approx([0.02, 0.02, 0.4, 3, 25])
    assert likely_bias(40.0) == pytest.approx(100.0)
    assert likely_bias(0.0) == 0.0
