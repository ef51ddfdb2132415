"""Seeds before every test, and shape checks on every annotated function."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

# The hook rewrites modules while they are imported, so it must stand before the first import of any of them.
CHECKED = (
    "burgerslab.physics",
    "burgerslab.metrics",
    "burgerslab.surrogate",
    "burgerslab.inversion",
    "burgerslab.hybrid",
    "burgerslab.data",
)
INT_IS_A_FLOAT = "beartype.BeartypeConf(is_pep484_tower=True)"  # as type checkers have it: Sine(amplitude=1) is right
install_import_hook(CHECKED, f"beartype.beartype(conf={INT_IS_A_FLOAT})")

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - PhiFlow draws from the global state
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory):
    """A finished `burgerslab fit` of one epoch; take it as it is, write elsewhere."""
    from tests.small_run import SmallRun  # after the import hook

    run = SmallRun(tmp_path_factory.mktemp("small_run"))
    assert run.main("fit", run.folder / "runs") == 0
    return run


@pytest.fixture(scope="session")
def finished_runs(small_run, tmp_path_factory) -> dict[str, Path]:
    """Folders of finished fits by kind: surrogate, inversion, hybrid; take them as they are."""
    from tests.finished_runs import fit_inversion_and_hybrid  # after the import hook

    return {"surrogate": small_run.run, **fit_inversion_and_hybrid(tmp_path_factory.mktemp("finished_runs"))}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A complete store, to be copied before it is damaged."""
    from tests.small_store import make  # after the import hook

    path = tmp_path_factory.mktemp("sound") / "store.zarr"
    make(path)
    return path


@pytest.fixture
def copy(sound, tmp_path):
    return Path(shutil.copytree(sound, tmp_path / "copy.zarr"))
