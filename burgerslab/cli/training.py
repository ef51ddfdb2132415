"""fit, validate, test and predict: LightningCLI with the package's defaults."""

import logging
import os
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from jsonargparse import SUPPRESS
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerStatus
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from burgerslab.cli.default_callbacks import default_callbacks
from burgerslab.cli.hybrid_fit import find_hybrid, fit_both, options_of_hybrid
from burgerslab.cli.main import COMMANDS
from burgerslab.cli.parser import DEFAULT_CLASSES, HELP_ON_CLASSES, ShortErrors, with_default_classes
from burgerslab.cli.quiet import quiet
from burgerslab.data import BurgersDataModule, Store, StoreError
from burgerslab.data.store_resolution import peclet_numbers
from burgerslab.inversion import Inversion
from burgerslab.physics import explain_under_resolution
from burgerslab.surrogate import Surrogate

_LOGGER = logging.getLogger(__name__)

DEFAULT_ROOT = "runs"
_VERSION_VARIABLE = "BURGERSLAB_RUN_VERSION"
_NETWORK = "model.init_args.network.init_args"
_FACTS = ("in_channels", "out_channels", "dimension")
_NUM_LOOKED_AT = 8
_OWN_MODELS = ("burgerslab.surrogate.Surrogate", "burgerslab.inversion.Inversion")
_ON_BEST = "; best.ckpt will be the best of the epochs from here on"
_PART_OF = {"validate": "val", "test": "test", "predict": "test"}


class TrainingParser(ShortErrors, LightningArgumentParser):
    """Lightning's parser with short errors."""


class RunFolder(SaveConfigCallback):
    """Saves the config in the run's folder, and says where that is."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Print the folder, once the config is in it."""
        is_new = not self.already_saved
        super().setup(trainer, pl_module, stage)
        folder = trainer.log_dir  # processes agree on it, so all must ask
        if is_new and trainer.is_global_zero:
            print(f"run: {folder}")


class TrainingCLI(LightningCLI):
    """One command of LightningCLI: model, data and trainer from YAML, with run folder, loggers and checkpoints."""

    command = "fit"
    """Method of the Trainer that is run."""
    called = "fit"
    """The command as users know it."""

    @classmethod
    def subcommands(cls) -> dict[str, set[str]]:
        """Only the command at hand: each parser costs 0.1 s."""
        return {cls.command: LightningCLI.subcommands()[cls.command]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Channels and dimension come from the data; the user never writes them."""
        parser.set_defaults(DEFAULT_CLASSES)
        for fact in _FACTS:
            parser.link_arguments(f"data.{fact}", f"{_NETWORK}.{fact}", apply_on="instantiate")
        hidden = (
            "Whether to test the best checkpoint, or the solution of an inversion, in the end."
            if self.called == "fit"
            else SUPPRESS
        )
        parser.add_argument("--test_after_fit", type=bool, default=True, help=hidden)

    def before_instantiate_classes(self) -> None:
        """Look at what can be told from names alone, before anything is loaded or simulated."""
        classes = {name: self._get(self.config, name)["class_path"] for name in DEFAULT_CLASSES}
        datamodule = DEFAULT_CLASSES["data"]["class_path"]
        if classes["model"] in _OWN_MODELS and classes["data"] != datamodule:
            raise ValueError(f"{classes['model']} learns from {datamodule} only, got data: {classes['data']}")
        path = self._get(self.config, "ckpt_path")
        if path is None or "://" in str(path) or str(path).startswith("registry"):
            return
        if not Path(path).exists():
            raise ValueError(
                f"ckpt_path: there is no checkpoint at {Path(path).absolute()}; fit writes them to "
                "trainer.default_root_dir, version_N/checkpoints"
            )

    def instantiate_classes(self) -> None:
        """Make the objects, and refuse what the config says of the network that the data do not."""
        super().instantiate_classes()
        for fact in _FACTS:
            written = self._get(self.config, f"{_NETWORK}.{fact}")
            if written is not None and written != getattr(self.datamodule, fact):
                raise ValueError(
                    f"{_NETWORK}.{fact} is {written}, but the data need {getattr(self.datamodule, fact)}; leave it "
                    "out: it is taken from the data"
                )
        if isinstance(self.model, Surrogate):  # before a store is simulated for a network that does not fit
            self.model.check_network(self.datamodule.description)
        if self.command != "fit" and not self._get(self.config, "ckpt_path"):
            self._require_checkpoint()
        part = _PART_OF.get(self.command)
        if part is not None and not self._has_trajectories(part):
            raise ValueError(
                f"data.split or data.{part}_sim_indices leaves no trajectories to {self.command}; name at least one"
            )

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """A Trainer with the default loggers and callbacks that the config does not name itself."""
        options = self._get(self.config_init, "trainer", {})
        root = options["default_root_dir"] or DEFAULT_ROOT
        if options["logger"] in (None, True) and not options["fast_dev_run"]:
            version = _claim_version(Path(root))
            kwargs["logger"] = [
                CSVLogger(root, name="", version=version),
                TensorBoardLogger(root, name="", version=version),
            ]
        callbacks = options["callbacks"] or []
        callbacks = callbacks if isinstance(callbacks, list) else [callbacks]
        default = default_callbacks(
            self.model, callbacks, options, self.command == "fit", self._has_trajectories("val")
        )
        kwargs["callbacks"] = [*callbacks, *default]
        if isinstance(self.model, Inversion):
            kwargs |= _options_of_a_solve(self.model, options)
        if self.command == "fit" and (hybrid := find_hybrid(callbacks)) is not None:
            kwargs |= options_of_hybrid(hybrid, options)
        return super().instantiate_trainer(default_root_dir=root, **kwargs)

    def fit(self, model: pl.LightningModule, **options: Any) -> None:
        """Train the model; with a Hybrid among the callbacks, both its agents."""
        hybrid = find_hybrid(self.trainer.callbacks)
        if hybrid is None:
            self.trainer.fit(model, **options)
        else:
            fit_both(hybrid, self.trainer, model, self.datamodule, options["ckpt_path"])

    def before_fit(self) -> None:
        """Say where the run comes from, and whether its data resolve their fronts."""
        if not self.trainer.is_global_zero:
            return
        if path := self._get(self.config, "ckpt_path"):
            is_inversion = isinstance(self.model, Inversion)
            print(f"resumed from {path}{'' if is_inversion else _ON_BEST}")
        if isinstance(self.datamodule, BurgersDataModule):
            _warn_of_under_resolution(self.datamodule.store_path)

    def after_fit(self) -> None:
        """Test the best checkpoint, so that one command ends with numbers and a figure."""
        trainer = self.trainer
        if trainer.state.status != TrainerStatus.FINISHED:
            return
        checkpoint = getattr(trainer.checkpoint_callback, "best_model_path", "") or None
        if isinstance(self.model, Inversion):  # which stands at its solution, whatever a checkpoint is of
            checkpoint = None
            if self.model.result is not None:
                _keep_solution(trainer)
        if not self._get(self.config, "test_after_fit", False):
            return
        if not self._has_trajectories("test") or not is_overridden("test_step", self.model):
            return
        if isinstance(self.model, Inversion) and (reason := _reason_not_to_test(self.model)):
            if trainer.is_global_zero:
                print(f"no test: {reason}")
            return
        callbacks = trainer.callbacks
        # It would load the weights to train on with, instead of their average, which is what the checkpoint offers.
        trainer.callbacks = [callback for callback in callbacks if not isinstance(callback, WeightAveraging)]
        with quiet(trained_elsewhere=True):
            trainer.test(self.model, datamodule=self.datamodule, ckpt_path=checkpoint, verbose=False)
        trainer.callbacks = callbacks

    def _add_subcommands(self, parser: LightningArgumentParser, **kwargs: Any) -> None:
        """Usage and errors name the command as it was called."""
        super()._add_subcommands(parser, **kwargs)
        self._subcommand_parsers[self.command].prog = f"burgerslab {self.called}"

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        """Lightning's table of test results would repeat that of `TestReport`."""
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand == "test":
            parser.set_defaults(verbose=False)
        return parser

    def _parse_ckpt_path(self) -> None:
        """Keep the config as the user wrote it; Lightning would mix a checkpoint's hyperparameters into it."""

    def _has_trajectories(self, part: str) -> bool:
        return not isinstance(self.datamodule, BurgersDataModule) or len(self.datamodule.trajectories_of(part)) > 0

    def _require_checkpoint(self) -> None:
        """Of a model of this package; others may need none."""
        for kind, name, file in ((Surrogate, "surrogate", "best"), (Inversion, "inversion", "last")):
            if isinstance(self.model, kind):
                raise ValueError(
                    f"{self.command} needs a trained {name}: give --ckpt_path=RUN/checkpoints/{file}.ckpt of a fit"
                )


def _options_of_a_solve(model: Inversion, options: dict[str, Any]) -> dict[str, Any]:
    """Options of the Trainer that are others by default than when a network is trained."""
    defaults = {}
    if options["enable_model_summary"] is None:  # a table of networks, of which there are none
        defaults["enable_model_summary"] = False
    if options["max_epochs"] is None and options["max_steps"] == -1:
        defaults["max_epochs"] = model.solver.max_iterations + 1  # so that it is the solver that gives up
    return defaults


def _reason_not_to_test(model: Inversion) -> str | None:
    """Why an inversion has nothing to roll out with, if so."""
    if model.result is None:
        return "the fit ended before its first iteration"
    if not model.forecasts_any_trajectory:
        return "what was learned holds for the fitted trajectories only"
    return None


def _keep_solution(trainer: pl.Trainer) -> None:
    """A last checkpoint of a solve that had nothing left to do, so that no iteration has written one."""
    folder = getattr(trainer.checkpoint_callback, "dirpath", None)
    if folder is None or trainer.fast_dev_run:
        return
    path = Path(folder) / "last.ckpt"
    if not path.exists():
        trainer.save_checkpoint(path)
    if trainer.is_global_zero:
        print(f"checkpoint: {path}")


def _warn_of_under_resolution(path: Path) -> None:
    """One line for a store that is there; a simulation that is still to come warns by itself."""
    try:
        peclet = peclet_numbers(Store(path), _NUM_LOOKED_AT)
    except StoreError:  # what is wrong with the store, the datamodule says
        return
    if message := explain_under_resolution(torch.from_numpy(peclet)):
        _LOGGER.warning("warning: data.store, as far as looked at: %s", message)


def _claim_version(root: Path) -> int | None:
    """Number of a new folder ``version_N``, made at once, so that no run beside this one takes it too."""
    if rank_zero_only.rank != 0:  # often started by the process of rank 0, which leaves the number for it
        return int(os.environ[_VERSION_VARIABLE]) if _VERSION_VARIABLE in os.environ else None
    root.mkdir(parents=True, exist_ok=True)
    taken = [int(path.name[8:]) for path in root.glob("version_*") if path.name[8:].isdigit()]
    version = max(taken, default=-1) + 1
    while True:
        try:
            (root / f"version_{version}").mkdir()
        except FileExistsError:
            version += 1
        else:
            os.environ[_VERSION_VARIABLE] = str(version)
            return version


def run(command: str, options: list[str], cli: type[TrainingCLI] = TrainingCLI) -> int:
    """Run one training command.

    Args:
        command: fit, validate, test, predict, or compare, which fits.
        options: Its options.
        cli: What runs it.
    """
    cli.called = command
    description = f"{COMMANDS[command][0].upper()}{COMMANDS[command][1:]}."
    command = "fit" if command == "compare" else command
    cli.command = command
    with quiet(trained_elsewhere=command != "fit"):
        cli(
            pl.LightningModule,
            pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            seed_everything_default=0,
            trainer_defaults={"default_root_dir": DEFAULT_ROOT, "log_every_n_steps": 10},
            parser_class=TrainingParser,
            parser_kwargs={"prog": "burgerslab", command: {"description": description, "epilog": HELP_ON_CLASSES}},
            save_config_callback=RunFolder,
            save_config_kwargs={"overwrite": True},
            args=[command, *with_default_classes(options)],
        )
    return 0
