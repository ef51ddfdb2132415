"""Which rollouts share what they record, and which solves may go on from each other."""

import numpy as np
import pytest

from burgerslab.inversion import LBFGSB, Inversion, Viscosity
from burgerslab.inversion.state import SolveState
from burgerslab.physics import Domain, FiniteDifference
from burgerslab.physics.solver_step import shared_step


class _ComparedByIdentity(FiniteDifference):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def test_steps_are_shared_by_schemes_of_equal_value_alone() -> None:
    domain, changing = Domain((1.0,), (16,)), _ComparedByIdentity()
    one, two = (shared_step(FiniteDifference(), domain, 0.1, False) for _ in range(2))
    assert one is two
    assert shared_step(FiniteDifference(), domain, 0.2, False) is not one
    assert shared_step(changing, domain, 0.1, False) is not shared_step(changing, domain, 0.1, False)


def test_a_solve_goes_on_with_the_same_weight_of_its_priors_alone() -> None:
    before, now = (Inversion([Viscosity(0.2)], noise_std=std).problem() for std in (0.1, 0.2))
    state = SolveState.begin(np.zeros(1), [(None, None)], LBFGSB(), before)
    state.check_continues([(None, None)], LBFGSB(), before)
    with pytest.raises(ValueError, match=r"model\.noise_std was 0\.1 and is 0\.2"):
        state.check_continues([(None, None)], LBFGSB(), now)
