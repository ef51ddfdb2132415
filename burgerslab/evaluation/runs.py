"""Runs read back from their folders: the config, the model with its weights, what it was trained on."""

import pickle
from argparse import ArgumentError
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
import yaml
from jsonargparse import ArgumentParser

from burgerslab.data import DataDescription, Store, StoreError
from burgerslab.data.split import Split
from burgerslab.evaluation.from_settings import innermost, instantiate
from burgerslab.evaluation.run_folder import RunFolder, find_run
from burgerslab.evaluation.strict_json import read_record
from burgerslab.inversion import Inversion
from burgerslab.surrogate import Surrogate

Model = Surrogate | Inversion
Kind = Literal["surrogate", "inversion", "hybrid"]

_HYBRID_CLASS = "burgerslab.hybrid.Hybrid"
_CHANNELS = ("in_channels", "out_channels", "dimension")
_ROUNDING = 1e-12
_CURE = "it was written by another version, or one of the two was changed; train anew"


@dataclass(frozen=True)
class Run:
    """A run of `burgerslab fit`, ready to be rolled out.

    Args:
        name: Folder of the runs and version, as in ``burgers_1d/version_3``.
        folder: The run's folder.
        kind: What was trained.
        settings: The config of the run, class paths resolved.
        models: By name, in evaluation mode on the CPU: ``surrogate``, ``inversion``, or ``surrogate`` and ``physics``
            of a hybrid run.
        checkpoints: Of each model, the file that its weights are from.
        description: What the models know of the data they were trained on.
        store: The store they were trained on, as the config names it; it may be gone.
        test_trajectories: Numbers of the test trajectories in that store; None if neither the store nor the config
            tell which.
        notes: What was chosen among several, or is missing, for the user.
    """

    name: str
    folder: Path
    kind: Kind
    settings: Mapping[str, Any]
    models: Mapping[str, Model]
    checkpoints: Mapping[str, Path]
    description: DataDescription
    store: Path
    test_trajectories: tuple[int, ...] | None
    notes: tuple[str, ...] = ()

    @property
    def data(self) -> Mapping[str, Any]:
        """Options of the run's datamodule."""
        return self.settings["data"]["init_args"]


def load_run(place: str | Path) -> Run:
    """Make the models of a run again and load their weights.

    Classes of the user's own are imported by the class paths of the config. Where weights were averaged in training,
    the average is loaded: it is what the checkpoint offers.

    Args:
        place: The run's folder; a folder of runs ``version_N``, of which the newest with a checkpoint is taken; or a
            checkpoint in a run's folder.

    Raises:
        ValueError: If there is no run, its files are damaged or do not fit together, or its model is none of this
            package's.
    """
    files = find_run(place)
    settings = _read_config(files.config)
    checkpoint = read_checkpoint(files.checkpoint)
    channels = _channels(files, checkpoint)
    model = _instantiate(files, settings["model"], channels)
    if not isinstance(model, Surrogate | Inversion):
        raise ValueError(
            f"run {files.folder}: its model is {settings['model']['class_path']}; only a Surrogate, an Inversion and "
            "a Hybrid of both can be rolled out"
        )
    _load(files.checkpoint, model, checkpoint, checkpoint["state_dict"])
    assert model.description is not None
    name = "surrogate" if isinstance(model, Surrogate) else "inversion"
    models: dict[str, Model] = {name: model}
    checkpoints = {name: files.checkpoint}
    kind: Kind = "surrogate" if isinstance(model, Surrogate) else "inversion"
    notes = list(files.notes)
    if (physical := _physical_settings(settings)) is not None:
        kind = "hybrid"
        path = files.last_of_both or files.checkpoint
        state = _physical_state(path, checkpoint if path == files.checkpoint else read_checkpoint(path))
        if state is None or "inversion" not in state:
            notes.append(f"{path}: the inversion of this hybrid run had not been fitted when it was written")
        else:
            inversion = _instantiate(files, physical, channels)
            assert isinstance(inversion, Inversion)
            _load(path, inversion, state, state["state_dict"])
            models["physics"], checkpoints["physics"] = inversion, path
            notes += _not_the_last(files, path, inversion)
    data = settings["data"]["init_args"]
    return Run(
        name="/".join(files.folder.absolute().parts[-2:]),
        folder=files.folder,
        kind=kind,
        settings=settings,
        models=models,
        checkpoints=checkpoints,
        description=model.description,
        store=Path(data["store"]),
        test_trajectories=_test_trajectories(data),
        notes=tuple(notes),
    )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What is in a checkpoint, on the CPU.

    Raises:
        ValueError: If it is no checkpoint, or damaged, or holds objects.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(
            f"{path}: the file is no checkpoint, or damaged (half-written, say), or it holds more than tensors and "
            f"plain values ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ValueError(f"{path}: the file is no checkpoint of Lightning's: it has no state_dict")
    return checkpoint


def _read_config(path: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: this is no YAML: {str(error).splitlines()[0]}") from error
    for section, option in (("model", "class_path"), ("data", "init_args")):
        found = settings.get(section) if isinstance(settings, dict) else None
        if not isinstance(found, dict) or option not in found:
            raise ValueError(f"{path}: this is no config of a run: it has no {section}.{option}; was it cut short?")
    if "store" not in settings["data"]["init_args"]:
        raise ValueError(f"{path}: data.init_args.store is missing: the run did not learn from a BurgersDataModule")
    return settings


class _Channels:
    """What a datamodule says to a network."""

    def __init__(self, in_channels: int, out_channels: int, dimension: int) -> None:
        self.in_channels, self.out_channels, self.dimension = in_channels, out_channels, dimension


def _channels(files: RunFolder, checkpoint: Mapping[str, Any]) -> dict[str, int]:
    if "description" not in checkpoint:
        raise ValueError(
            f"{files.checkpoint}: the checkpoint was written by neither a Surrogate nor an Inversion, or before the "
            "first step of a solve"
        )
    description = DataDescription.from_dict(checkpoint["description"])
    num_dynamic, num_static = description.num_dynamic_channels, description.num_static_channels
    return dict(zip(_CHANNELS, (num_dynamic + num_static, num_dynamic, description.domain.dimension), strict=True))


def _instantiate(files: RunFolder, settings: Mapping[str, Any], channels: Mapping[str, int]) -> Any:
    """The model of a config, the channels of its network filled in as the command line does."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(_Channels, "channels")
    parser.add_subclass_arguments(pl.LightningModule, "model", fail_untyped=False, required=True)
    for name in _CHANNELS:
        parser.link_arguments(f"channels.{name}", f"model.init_args.network.init_args.{name}", apply_on="instantiate")
    try:
        return instantiate(parser, {"model": dict(settings), "channels": dict(channels)}).model
    except (ArgumentError, ValueError) as error:
        raise ValueError(
            f"{files.config}: the model cannot be made again: {innermost(error)}. Classes of your own are looked for "
            "in the working directory and where Python finds modules"
        ) from error


def _load(path: Path, model: Model, checkpoint: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    try:
        model.on_load_checkpoint(dict(checkpoint))
        model.load_state_dict(dict(weights))
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise ValueError(
            f"{path}: the checkpoint does not fit the config.yaml of its run "
            f"({lines[min(1, len(lines) - 1)].strip()}): {_CURE}"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    model.eval()
    model.requires_grad_(False)


def _physical_settings(settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Where a config speaks of the inversion of a hybrid run; None if it is of another run."""
    callbacks = (settings.get("trainer") or {}).get("callbacks") or []
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        if callback.get("class_path") == _HYBRID_CLASS:
            return callback["init_args"]["physical"]
    return None


def _physical_state(path: Path, checkpoint: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for state in checkpoint.get("callbacks", {}).values():
        if isinstance(state, dict) and {"physical", "records"} <= state.keys():
            return state["physical"]
    return None


def _not_the_last(files: RunFolder, path: Path, inversion: Inversion) -> list[str]:
    """Say so where the checkpoint and the records end with different fits of the inversion.

    The guard of a hybrid run may take the inversion back after the last checkpoint.
    """
    record = files.folder / "hybrid.json"
    cycles = read_record(record).get("cycles")
    if path != files.last_of_both or not cycles:
        return []
    last = cycles[-1]["parameters"]
    here = {name: float(value) for name, value in inversion.coefficients().items() if value.ndim == 0}
    changed = [
        f"{name} is {value:.6g} and {last[name]['estimate']:.6g}"
        for name, value in here.items()
        if name in last and abs(last[name]["estimate"] - value) > _ROUNDING * abs(value)
    ]
    return (
        [f"{path} and {record.name} are of different fits: {', '.join(changed)}; taking the first"] if changed else []
    )


def _test_trajectories(data: Mapping[str, Any]) -> tuple[int, ...] | None:
    number = (data.get("simulation") or {}).get("num_trajectories")
    names = {part: data.get(f"{part}_sim_indices") for part in ("train", "val", "test")}
    try:
        number = Store(data["store"]).layout.num_trajectories
    except StoreError:  # gone, or being made again
        if number is None:
            return None if names["test"] is None else tuple(names["test"])
    split = Split(data.get("split", (0.8, 0.1, 0.1)), data.get("seed", 0), **names)
    return tuple(split.parts(number)["test"].tolist())
