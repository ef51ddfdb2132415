"""A hybrid run that is killed or interrupted goes on as if nothing had been."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from burgerslab.hybrid import Exchange, Hybrid
from tests.hybrid_run import Stop, make_store, run

EXCHANGE = Exchange(alpha=0.5)
ON_DISK = Exchange(alpha=0.5, memory_budget_gib=0.0)
BOTH_ORDERS = pytest.mark.parametrize("begin_with", ["physical", "surrogate"])
BOTH_PHASES = pytest.mark.parametrize("phase", ["physical", "surrogate"])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("hybrid_resume") / "exact.zarr")


@pytest.fixture(scope="module")
def undisturbed(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return {order: run(store, folder / order, order, exchange=EXCHANGE) for order in ("physical", "surrogate")}


@pytest.fixture(scope="module")
def undisturbed_on_disk(store, tmp_path_factory):  # which serves windows in another order
    return run(store, tmp_path_factory.mktemp("undisturbed"), "physical", exchange=ON_DISK)


def assert_same(found: tuple[torch.Tensor, Hybrid], whole: tuple[torch.Tensor, Hybrid]) -> None:
    assert torch.equal(found[0], whole[0])
    viscosities = [it[1].physical.coefficients()["viscosity"] for it in (found, whole)]
    assert torch.equal(*viscosities)
    assert found[1].ledger.state_dict() == whole[1].ledger.state_dict()
    assert len(whole[1].ledger.records) == 3
    assert all(len(record.parameters["viscosity"]["ci95"]) == 2 for record in found[1].ledger.records)


@pytest.mark.slow
@BOTH_ORDERS
@BOTH_PHASES
def test_a_killed_run_resumes_bit_by_bit(store, undisturbed, tmp_path, begin_with: str, phase: str) -> None:
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "tests.hybrid_run", str(store), str(tmp_path), begin_with, phase],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    checkpoint = tmp_path / "checkpoints" / "hybrid.ckpt"
    found = run(store, tmp_path / "resumed", begin_with, ckpt_path=checkpoint, exchange=EXCHANGE)
    assert_same(found, undisturbed[begin_with])


@pytest.mark.slow
@BOTH_PHASES
def test_ctrl_c_leaves_a_checkpoint_to_go_on_from_and_nothing_else(
    store, undisturbed_on_disk, tmp_path, phase: str
) -> None:
    with pytest.raises(SystemExit) as caught:  # Lightning turns Ctrl-C into one
        run(store, tmp_path, "physical", Stop(phase, by_kill=False), exchange=ON_DISK)
    assert isinstance(caught.value.__context__, KeyboardInterrupt)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints", "hybrid.json"}
    checkpoint = tmp_path / "checkpoints" / "hybrid.ckpt"
    found = run(store, tmp_path / "resumed", "physical", ckpt_path=checkpoint, exchange=ON_DISK)
    assert_same(found, undisturbed_on_disk)


def test_a_checkpoint_of_another_run_is_refused_with_what_differs(store, tmp_path) -> None:
    run(store, tmp_path, "physical", exchange=Exchange(alpha=0))
    with pytest.raises(ValueError, match=r"ckpt_path: the run of this checkpoint is another: begin_with was phys"):
        run(store, tmp_path, "surrogate", ckpt_path=tmp_path / "checkpoints/hybrid.ckpt", exchange=Exchange(alpha=0))
    torch.save({"callbacks": {}}, tmp_path / "none.ckpt")
    with pytest.raises(ValueError, match=r"none\.ckpt was not written by a hybrid run; give hybrid\.ckpt"):
        run(store, tmp_path, "physical", ckpt_path=tmp_path / "none.ckpt", exchange=Exchange(alpha=0))
