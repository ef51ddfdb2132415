"""From simulation or file to batches of windows: stores, datasets, datamodule."""

from typing import TYPE_CHECKING, Any

from burgerslab.data.cell_patterns import CellPattern as CellPattern
from burgerslab.data.cell_patterns import CellRange as CellRange
from burgerslab.data.cell_patterns import Centre as Centre
from burgerslab.data.cell_patterns import EveryKthCell as EveryKthCell
from burgerslab.data.cell_patterns import RandomCells as RandomCells
from burgerslab.data.dataset import HybridDataset as HybridDataset
from burgerslab.data.description import DataDescription as DataDescription
from burgerslab.data.description import Statistics as Statistics
from burgerslab.data.frame_patterns import Endpoints as Endpoints
from burgerslab.data.frame_patterns import EveryKthFrame as EveryKthFrame
from burgerslab.data.frame_patterns import FrameFractions as FrameFractions
from burgerslab.data.frame_patterns import FramePattern as FramePattern
from burgerslab.data.generate import generate as generate
from burgerslab.data.layout import FieldSpec as FieldSpec
from burgerslab.data.layout import StoreLayout as StoreLayout
from burgerslab.data.mask import Mask as Mask
from burgerslab.data.observe import Observation as Observation
from burgerslab.data.observe import RandomPoints as RandomPoints
from burgerslab.data.physics_check import PhysicsCheck as PhysicsCheck
from burgerslab.data.physics_check import check_physics as check_physics
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
