"""A hybrid run that is killed or interrupted goes on as if nothing had been."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from burgerslab.hybrid import Exchange, Hybrid
from burgerslab.inversion import Inversion, Viscosity
from tests.hybrid_run import Stop, fit, make_store, run

EXCHANGE = Exchange(alpha=0.5)
ON_DISK = Exchange(alpha=0.5, memory_budget_gib=0.0)
BOTH_ORDERS = pytest.mark.parametrize("begin_with", ["physical", "surrogate"])
BOTH_PHASES = pytest.mark.parametrize("phase", ["physical", "surrogate"])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("hybrid_resume") / "exact.zarr")


@pytest.fixture(scope="module")
def folder_of_undisturbed(tmp_path_factory):
    return tmp_path_factory.mktemp("undisturbed")


@pytest.fixture(scope="module")
def undisturbed(store, folder_of_undisturbed):
    orders = ("physical", "surrogate")
    return {order: run(store, folder_of_undisturbed / order, order, exchange=EXCHANGE) for order in orders}


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


def killed(store, folder: Path, begin_with: str, phase: str, exchange: Exchange) -> Path:
    """The checkpoint that a run leaves which is killed in a phase of its second cycle."""
    root = Path(__file__).parents[1]
    options = [str(store), str(folder), begin_with, phase, str(exchange.alpha), str(exchange.memory_budget_gib)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.hybrid_run", *options],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return folder / "checkpoints" / "hybrid.ckpt"


@pytest.mark.slow
@BOTH_ORDERS
@BOTH_PHASES
def test_a_killed_run_resumes_bit_by_bit(store, undisturbed, tmp_path, begin_with: str, phase: str) -> None:
    checkpoint = killed(store, tmp_path, begin_with, phase, EXCHANGE)
    found = run(store, tmp_path / "resumed", begin_with, ckpt_path=checkpoint, exchange=EXCHANGE)
    assert_same(found, undisturbed[begin_with])


@pytest.mark.slow
def test_the_last_checkpoint_holds_the_last_fit_of_the_inversion(
    store, undisturbed, folder_of_undisturbed, tmp_path
) -> None:
    checkpoint = folder_of_undisturbed / "surrogate" / "checkpoints" / "hybrid.ckpt"
    found = run(store, tmp_path, "surrogate", ckpt_path=checkpoint, exchange=EXCHANGE)
    assert found[1].physical.num_fits == 0
    assert_same(found, undisturbed["surrogate"])


@pytest.mark.slow
def test_a_run_that_was_killed_while_it_generated_resumes_and_leaves_no_half_a_store(
    store, undisturbed_on_disk, tmp_path
) -> None:
    checkpoint = killed(store, tmp_path, "physical", "generating", ON_DISK)
    left = {path.name for path in (tmp_path / "generated").iterdir()}
    assert left == {"cycle_2_for_physical", "cycle_2_for_surrogate"}
    found = run(store, tmp_path / "resumed", "physical", ckpt_path=checkpoint, exchange=ON_DISK)
    assert_same(found, undisturbed_on_disk)
    assert not (tmp_path / "generated").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "phase"),
    [
        (signal.SIGINT, "physical"),
        (signal.SIGINT, "surrogate"),
        (signal.SIGTERM, "physical"),
        (signal.SIGTERM, "generating"),
    ],
)
def test_an_interrupted_run_leaves_a_checkpoint_to_go_on_from_and_nothing_else(
    store, undisturbed_on_disk, tmp_path, number: int, phase: str
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:  # Lightning turns Ctrl-C into one
        run(store, tmp_path, "physical", Stop(phase, number), exchange=ON_DISK)
    if number == signal.SIGINT:
        assert isinstance(caught.value.__context__, KeyboardInterrupt)
    else:
        assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints", "hybrid.json"}
    checkpoint = tmp_path / "checkpoints" / "hybrid.ckpt"
    found = run(store, tmp_path / "resumed", "physical", ckpt_path=checkpoint, exchange=ON_DISK)
    assert_same(found, undisturbed_on_disk)


class FullDisk(Callback):
    """In the third epoch a write breaks off in the middle."""

    def on_save_checkpoint(self, trainer, pl_module, checkpoint) -> None:
        if trainer.current_epoch == 3:
            Path(trainer.default_root_dir, "checkpoints", "hybrid.unfinished").write_text("half of it")
            raise OSError(errno.ENOSPC, "No space left on device", "hybrid.unfinished")


def test_a_full_disk_leaves_the_checkpoint_before(store, tmp_path) -> None:
    hybrid = Hybrid(Inversion([Viscosity(0.06)]), num_cycles=1, epochs_per_cycle=4, exchange=Exchange(alpha=0))
    with pytest.raises(OSError, match="No space left"):
        fit(store, tmp_path, hybrid, FullDisk())
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["hybrid.ckpt"]
    assert torch.load(tmp_path / "checkpoints" / "hybrid.ckpt", weights_only=True)["epoch"] == 2


def test_a_checkpoint_of_another_run_is_refused_with_what_differs(store, tmp_path) -> None:
    run(store, tmp_path, "physical", exchange=Exchange(alpha=0))
    with pytest.raises(ValueError, match=r"ckpt_path: the run of this checkpoint is another: begin_with was phys"):
        run(store, tmp_path, "surrogate", ckpt_path=tmp_path / "checkpoints/hybrid.ckpt", exchange=Exchange(alpha=0))
    torch.save({"callbacks": {}}, tmp_path / "none.ckpt")
    with pytest.raises(ValueError, match=r"none\.ckpt was not written by a hybrid run; give hybrid\.ckpt"):
        run(store, tmp_path, "physical", ckpt_path=tmp_path / "none.ckpt", exchange=Exchange(alpha=0))
    saved = torch.load(tmp_path / "checkpoints/hybrid.ckpt", weights_only=True)["callbacks"]["Hybrid"]
    assert (saved["settings"]["data.seed"], saved["settings"]["model.seed"], saved["cycle"]) == (0, 0, 3)
