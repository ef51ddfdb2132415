"""Generated trajectories on disk: for how long, and whether a run is the same with them."""

import pytest
from lightning.pytorch.callbacks import Callback

from burgerslab.data import StoreError, TrajectoriesInMemory
from burgerslab.hybrid import Exchange, Hybrid
from burgerslab.inversion import Inversion, Viscosity
from tests.hybrid_run import data, fit, make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("hybrid_stores") / "exact.zarr")


class Folders(Callback):
    """Lists the generated stores at each epoch, and what the windows come from."""

    def __init__(self, folder) -> None:
        self.folder, self.stores, self.kinds = folder, [], []

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        self.stores.append(sorted(path.name for path in self.folder.glob("generated/*")))
        self.kinds.append([type(it) for it in trainer.datamodule.training_windows().sources[1:]])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* does not have many workers")
def test_beyond_the_budget_trajectories_lie_in_a_store_for_one_cycle_and_give_the_same_run(store, tmp_path) -> None:
    ends = {}
    for name, options in {
        "memory": {},
        "store": {"memory_budget_gib": 0.0},
        "kept": {"keep_generated": True},
    }.items():
        folder = tmp_path / name
        inversion = Inversion([Viscosity(0.06)])
        exchange = Exchange(alpha=0.5, **options)
        hybrid = Hybrid(inversion, num_cycles=2, max_iterations=3, warmup_epochs=1, exchange=exchange)
        folders = Folders(folder)
        fit(store, folder, hybrid, folders, datamodule=data(store, num_workers=2 if name == "store" else 0))
        ends[name] = float(inversion.coefficients()["viscosity"])
        if name == "memory":
            assert folders.kinds[1:] == [[TrajectoriesInMemory]] * 2
        else:
            assert TrajectoriesInMemory not in [kind for kinds in folders.kinds for kind in kinds]
        left = sorted(path.name for path in folder.glob("generated/*"))
        of_cycles = [[f"cycle_{cycle}_for_{agent}" for agent in ("physical", "surrogate")] for cycle in (1, 2)]
        if name == "memory":
            assert folders.stores == [[], [], []]
            assert left == []
        elif name == "store":
            assert folders.stores == [[], *of_cycles]
            assert not (folder / "generated").exists()
        else:
            assert left == of_cycles[0] + of_cycles[1]
    assert abs(ends["kept"] / ends["memory"] - 1) < 1e-2
    assert ends["store"] > 0


def test_generated_stores_go_when_a_run_fails(store, tmp_path) -> None:
    class Fail(Callback):
        def on_train_epoch_end(self, trainer, pl_module) -> None:
            if trainer.current_epoch == 1:
                assert any((tmp_path / "generated").iterdir())
                raise StoreError("disk full")

    hybrid = Hybrid(
        Inversion([Viscosity(0.06)]), num_cycles=2, warmup_epochs=1, exchange=Exchange(0.5, memory_budget_gib=0.0)
    )
    with pytest.raises(StoreError, match="disk full"):
        fit(store, tmp_path, hybrid, Fail())
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints"}
