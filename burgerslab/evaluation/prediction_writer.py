"""PredictionWriter: predicted trajectories as a store of the same schema as the data."""

import hashlib
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.callbacks import BasePredictionWriter

from burgerslab.data import BurgersDataModule, FieldSpec, Store, StoreLayout, StoreWriter
from burgerslab.data.generate import provenance


class PredictionWriter(BasePredictionWriter):
    """Writes each predicted batch to a zarr store, which everything that reads stores can read.

    Trajectory i of the store is the i-th test trajectory; the settings name the source store, its fingerprint, the
    trajectories and the checkpoint.

    Args:
        store: Path of the new store; None is ``predictions.zarr`` in the run's folder.
        overwrite: Replace a store of other predictions.
    """

    def __init__(self, store: str | None = None, overwrite: bool = False) -> None:
        super().__init__(write_interval="batch")
        self._path = store
        self._overwrite = overwrite
        self._writer: StoreWriter | None = None
        self._pending: Any = None
        self._next: tuple[int, range] | None = None

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the store of predictions.

        Raises:
            ValueError: If there is no datamodule to tell what is predicted, or there are several devices.
        """
        datamodule = getattr(trainer, "datamodule", None)
        if not isinstance(datamodule, BurgersDataModule):
            raise ValueError("predict needs a BurgersDataModule, which knows the source of the data")
        if trainer.world_size > 1:
            raise ValueError(f"predict runs on one device, got {trainer.world_size}; set trainer.devices: 1")
        if trainer.fast_dev_run:  # leaves no files
            return
        source = Store(datamodule.store_path)
        num_predicted = int(sum(trainer.num_predict_batches)) * datamodule.eval_batch_size
        trajectories = datamodule.trajectories_of("test")[:num_predicted]
        description = datamodule.description
        num_frames = datamodule.num_frames or source.layout.num_frames
        units = {field.name: field.units for field in source.layout.fields}
        fields = tuple(
            FieldSpec(name, description.components[name], units=units[name]) for name in description.dynamic_fields
        )
        layout = StoreLayout(description.domain, len(trajectories), num_frames, description.dt, fields)
        settings = {
            "source": "prediction",
            "store": str(datamodule.store_path),
            "store_fingerprint": source.fingerprint,
            "trajectories": trajectories.tolist(),
            "checkpoint": str(trainer.ckpt_path) if trainer.ckpt_path else None,
            "weights": _digest(pl_module),
        }
        path = Path(self._path or Path(trainer.log_dir or trainer.default_root_dir) / "predictions.zarr")
        self._writer = StoreWriter.open(
            path,
            layout,
            settings,
            source.viscosity[trajectories],
            source.seeds[trajectories],
            overwrite=self._overwrite,
            block_size=datamodule.eval_batch_size,
            provenance=provenance(),
        )
        size = min(len(trajectories), datamodule.eval_batch_size)
        if not self._writer.is_complete and self._writer.block_size != size:
            raise ValueError(
                f"{path} was begun with batches of {self._writer.block_size} trajectories; set data.eval_batch_size: "
                f"{self._writer.block_size} to finish it, or choose another path"
            )
        self._pending = iter(() if self._writer.is_complete else self._writer.pending())
        self._next = next(self._pending, None)

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Any,
        batch_indices: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write one batch, unless an earlier run has."""
        if self._writer is None or self._next is None or self._next[0] != batch_idx:
            return
        description = trainer.datamodule.description  # type: ignore[attr-defined]
        sizes = [len(description.components[name]) for name in description.dynamic_fields]
        parts = np.split(prediction.float().cpu().numpy(), np.cumsum(sizes)[:-1], axis=2)
        self._writer.write(batch_idx, dict(zip(description.dynamic_fields, parts, strict=True)))
        self._next = next(self._pending, None)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Mark the store complete and say where it is."""
        if self._writer is not None:
            store = self._writer.finish()
            print(f"predictions: {store.path}")


def _digest(module: pl.LightningModule) -> str:
    """sha256 of a module's weights: a checkpoint of the same name may hold others tomorrow."""
    digest = hashlib.sha256()
    for name, values in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.detach().cpu().double().contiguous().numpy().tobytes())
    return digest.hexdigest()
