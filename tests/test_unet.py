import pytest
import torch
from torch import nn

from burgerslab.surrogate.unet import Doubling, UNet


def perturbed(network: UNet) -> UNet:
    """Give the last convolution, which starts at zero, ordinary weights."""
    nn.init.normal_(network.head.weight)
    nn.init.normal_(network.head.bias)
    return network


@pytest.mark.parametrize("cells", [(32,), (16, 24), (8, 16, 8)])
@pytest.mark.parametrize("norm", ["group", "none"])
def test_output_has_the_cells_of_the_input(cells: tuple[int, ...], norm: str) -> None:
    network = UNet(3, 2, dimension=len(cells), filters=4, levels=2, norm=norm)
    assert network(torch.randn(2, 3, *cells)).shape == (2, 2, *cells)


@pytest.mark.parametrize(("cells", "levels"), [((48,), 3), ((16, 32), 3), ((8, 12, 16), 2)])
@pytest.mark.parametrize("norm", ["group", "none"])
def test_shift_of_the_input_shifts_the_output(cells: tuple[int, ...], levels: int, norm: str) -> None:
    network = perturbed(UNet(2, 2, dimension=len(cells), filters=4, levels=levels, norm=norm).double())
    x = torch.randn(2, 2, *cells, dtype=torch.float64)
    axes = tuple(range(2, x.ndim))
    shifts = tuple(2**levels * (axis - 1) for axis in axes)
    y = network(x)
    torch.testing.assert_close(network(x.roll(shifts, axes)), y.roll(shifts, axes), rtol=0, atol=1e-10)
    # The output is not uniform, or any shift would do.
    assert (y - y.roll(shifts, axes)).abs().max() > 1e-3


def test_commutes_with_every_shift_without_levels() -> None:
    network = perturbed(UNet(1, 1, dimension=1, filters=4, levels=0).double())
    x = torch.randn(1, 1, 10, dtype=torch.float64)
    torch.testing.assert_close(network(x.roll(3, 2)), network(x).roll(3, 2), rtol=0, atol=1e-10)


def test_number_of_parameters_counted_by_hand() -> None:
    network = UNet(2, 1, dimension=2, filters=4, levels=1)
    stem = 2 * 4 * 9 + 4
    block_of_4 = 2 * (4 * 4 * 9 + 4) + 2 * (4 + 4)
    block_of_8 = 2 * (8 * 8 * 9 + 8) + 2 * (8 + 8)
    down = 4 * 8 * 4 + 8
    up = 8 * 4 + 4
    norm_and_head = (4 + 4) + (4 * 1 + 1)
    expected = stem + block_of_4 + down + block_of_8 + up + block_of_4 + norm_and_head
    assert expected == 2085
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_keys_of_the_state() -> None:
    network = UNet(1, 1, dimension=1, filters=4, levels=1, norm="none")
    blocks = [
        f"{block}.{layer}.{kind}"
        for block in ("encoder.0", "bottom", "decoder.0")
        for layer in ("conv1", "conv2")
        for kind in ("weight", "bias")
    ]
    others = [
        f"{layer}.{kind}" for layer in ("stem", "down.0", "up.0.convolution", "head") for kind in ("weight", "bias")
    ]
    assert set(network.state_dict()) == {*blocks, *others}


def test_doubling_interpolates_around_the_periodic_box() -> None:
    doubling = Doubling(1, 1, dimension=1)
    torch.nn.init.ones_(doubling.convolution.weight)
    torch.nn.init.zeros_(doubling.convolution.bias)
    fine = doubling(torch.tensor([[[0.0, 4.0, 8.0, 4.0]]]))
    assert fine.tolist() == [[[1.0, 1.0, 3.0, 5.0, 7.0, 7.0, 5.0, 3.0]]]


def test_output_is_zero_at_initialisation() -> None:
    network = UNet(2, 2, dimension=2, filters=4, levels=1)
    assert torch.equal(network(torch.randn(1, 2, 8, 8)), torch.zeros(1, 2, 8, 8))


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_gradient_reaches_every_parameter(dimension: int) -> None:
    network = perturbed(UNet(2, 2, dimension, filters=4, levels=2).double())
    x = torch.randn(2, 2, *(8,) * dimension, dtype=torch.float64)
    network(x).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 1e-6, name


def test_gradient_is_that_of_finite_differences() -> None:
    network = perturbed(UNet(1, 1, dimension=1, filters=2, levels=1).double())
    x = torch.randn(1, 1, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, x)


@pytest.mark.parametrize("cells", [(32,), (16, 16), (8, 8, 8)])
def test_autocast_agrees_with_full_precision_to_the_digits_of_bfloat16(cells: tuple[int, ...]) -> None:
    network = perturbed(UNet(1, 1, dimension=len(cells), filters=8, levels=2))
    x = torch.randn(2, 1, *cells)
    with torch.no_grad():
        full = network(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = network(x)
    assert half.dtype == torch.bfloat16
    # bfloat16 has 8 bits: 0.4 % per operation.
    assert (half.float() - full).norm() < 0.05 * full.norm()


@pytest.mark.parametrize(("filters", "groups"), [(32, 8), (16, 8), (8, 4), (12, 2), (7, 1), (2, 1)])
def test_number_of_groups_leaves_two_channels_or_more(filters: int, groups: int) -> None:
    assert UNet(1, 1, dimension=1, filters=filters, levels=1).norm.num_groups == groups


def test_activation_of_the_user_is_applied() -> None:
    # With the identity and no normalisation the network is linear up to its biases.
    network = perturbed(UNet(1, 1, dimension=1, filters=4, levels=2, norm="none", activation=nn.Identity()).double())
    x, zero = torch.randn(1, 1, 16, dtype=torch.float64), torch.zeros(1, 1, 16, dtype=torch.float64)
    doubled = 2 * (network(x) - network(zero))
    torch.testing.assert_close(network(2 * x) - network(zero), doubled, rtol=1e-10, atol=1e-10)


def test_cells_must_be_divisible() -> None:
    network = UNet(1, 1, dimension=2, filters=4, levels=3)
    message = r"levels: 3 expected a multiple of 8 cells along every axis, got \(32, 20\); lower its levels"
    with pytest.raises(ValueError, match=message):
        network(torch.zeros(1, 1, 32, 20))


def test_two_cells_must_be_left() -> None:
    network = UNet(1, 1, dimension=2, filters=4, levels=3)
    assert network(torch.zeros(1, 1, 16, 16)).shape == (1, 1, 16, 16)
    with pytest.raises(ValueError, match=r"levels: 3 expected at least 16 cells along every axis, got \(16, 8\)"):
        network(torch.zeros(1, 1, 16, 8))


def test_wrong_input_is_told() -> None:
    network = UNet(2, 1, dimension=2, filters=4, levels=1)
    with pytest.raises(ValueError, match="expected 2 channels, got 3; set its in_channels: 3"):
        network(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"expected an input of 4 axes .* got shape \(1, 2, 8\); set its dimension"):
        network(torch.zeros(1, 2, 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": 4}, "dimension must be 1, 2 or 3, got 4"),
        ({"in_channels": 0}, "in_channels must be at least 1, got 0"),
        ({"out_channels": 0}, "out_channels must be at least 1, got 0"),
        ({"filters": 0}, "filters must be at least 1, got 0"),
        ({"levels": -1}, "levels must be at least 0, got -1"),
        ({"activation": nn.ReLU(inplace=True)}, "set its inplace: false"),
    ],
)
def test_bad_options_are_told(options: dict, message: str) -> None:
    good = {"in_channels": 1, "out_channels": 1, "dimension": 1, "filters": 4}
    with pytest.raises(ValueError, match=message):
        UNet(**good | options)
