"""From simulation or file to batches of windows: stores, datasets, datamodule."""

from typing import TYPE_CHECKING, Any

from burgerslab.data.dataset import HybridDataset as HybridDataset
from burgerslab.data.description import DataDescription as DataDescription
from burgerslab.data.description import Statistics as Statistics
from burgerslab.data.generate import generate as generate
from burgerslab.data.layout import FieldSpec as FieldSpec
from burgerslab.data.layout import StoreLayout as StoreLayout
from burgerslab.data.simulation import Simulation as Simulation
from burgerslab.data.store import Store as Store
from burgerslab.data.store_errors import StoreError as StoreError
from burgerslab.data.store_writer import StoreWriter as StoreWriter
from burgerslab.data.trajectories import Trajectories as Trajectories
from burgerslab.data.trajectories import TrajectoriesInMemory as TrajectoriesInMemory

if TYPE_CHECKING:
    from burgerslab.data.datamodule import BurgersDataModule as BurgersDataModule


def __getattr__(name: str) -> Any:
    """Import the datamodule when it is asked for: Lightning takes seconds, and stores do without it."""
    if name != "BurgersDataModule":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from burgerslab.data.datamodule import BurgersDataModule

    globals()[name] = BurgersDataModule
    return BurgersDataModule
