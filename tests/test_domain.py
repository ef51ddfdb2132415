"""The box and its cells."""

import numpy as np
import pytest

from burgerslab.physics import Domain


def test_cells_of_a_box() -> None:
    domain = Domain((2.0, 0.5, 9.0), (8, 10, 12))
    assert domain.dimension == 3
    assert domain.axis_names == ("x", "y", "z")
    assert domain.spacing == (0.25, 0.05, 0.75)
    assert domain.num_cells == 960
    x, y, z = domain.centres()
    np.testing.assert_allclose(x, [0.125, 0.375, 0.625, 0.875, 1.125, 1.375, 1.625, 1.875], rtol=1e-15)
    np.testing.assert_allclose(y[[0, 9]], [0.025, 0.475], rtol=1e-15)
    np.testing.assert_allclose(z[[0, 11]], [0.375, 8.625], rtol=1e-15)


def test_a_domain_given_in_integers_is_the_same_domain() -> None:
    domain = Domain((2, 1), (16, 8))
    assert str(domain) == "Domain(extent=(2.0, 1.0), resolution=(16, 8))"
    assert domain == Domain((2.0, 1.0), (16, 8))
    assert hash(domain) == hash(Domain((2.0, 1.0), (16, 8)))


@pytest.mark.parametrize(
    ("extent", "resolution", "message"),
    [
        ((1.0,), (16, 16), r"domain.extent has 1 axes and domain.resolution has 2; give one number per axis in both"),
        ((1.0,) * 4, (16,) * 4, "domain.extent has 4 axes; 1, 2 or 3 are supported"),
        ((), (), "domain.extent has 0 axes; 1, 2 or 3 are supported"),
        ((1.0, 0.0), (16, 16), r"domain.extent must be positive and finite, got \[1.0, 0.0\]"),
        ((float("inf"),), (16,), r"domain.extent must be positive and finite, got \[inf\]"),
        ((1.0, 1.0), (16, 7), r"domain.resolution must be at least 8 cells along each axis, got \[16, 7\]"),
    ],
)
def test_a_box_that_makes_no_sense_is_refused(extent: tuple, resolution: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Domain(extent, resolution)
