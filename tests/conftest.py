"""Seeds before every test, and shape checks on every annotated function."""

import random

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

# The hook rewrites modules while they are imported, so it must stand before the first import of any of them.
CHECKED = ("burgerslab.physics", "burgerslab.metrics", "burgerslab.surrogate", "burgerslab.data")
INT_IS_A_FLOAT = "beartype.BeartypeConf(is_pep484_tower=True)"  # as type checkers have it: Sine(amplitude=1) is right
install_import_hook(CHECKED, f"beartype.beartype(conf={INT_IS_A_FLOAT})")

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - PhiFlow draws from the global state
    torch.manual_seed(0)
