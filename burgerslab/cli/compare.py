"""`burgerslab compare`: a hybrid run beside its agents alone, at the same cost, over seeds."""

import csv
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import torch
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser
from rich.console import Console

from burgerslab.cli.comparison import (
    Row,
    other_start,
    parameter_error,
    print_table,
    rollout_errors,
    start_factors,
    summarise,
)
from burgerslab.cli.hybrid_fit import find_hybrid
from burgerslab.cli.restart import EndsAfter, keep_folders, last_checkpoint
from burgerslab.cli.training import TrainingCLI, run
from burgerslab.data.fingerprint import fingerprint
from burgerslab.evaluation.strict_json import finite
from burgerslab.hybrid import Hybrid, KeptState
from burgerslab.inversion import InversionWarning

_HYBRID, _SURROGATE, _PHYSICS = "hybrid", "surrogate only", "physics only"
_HYBRID_CLASS = "burgerslab.hybrid.Hybrid"


class ComparisonCLI(TrainingCLI):
    """The config of a hybrid run, taken apart: every method for every seed."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Beside the options of fit, how often, and from how many starts the physics alone is inverted."""
        super().add_arguments_to_parser(parser)
        parser.add_argument("--num_seeds", type=int, default=5, help="Seeds 0 to num_seeds - 1 are run.")
        parser.add_argument("--num_starts", type=int, default=3, help="Starts of the inversion alone.")
        parser.add_argument(
            "--vary_data",
            type=bool | None,
            default=None,
            help="Whether each seed draws its own training, validation and test trajectories from the store, with "
            "data.seed; null does so where data.split draws them, and not where they are named.",
        )

    def instantiate_classes(self) -> None:
        """Nothing yet: each run has objects of its own."""

    def _run_subcommand(self, subcommand: str) -> None:
        Comparison(self).run()

    def make(self, config: Namespace) -> None:
        """Model, datamodule and Trainer of a config."""
        self.config = Namespace({str(self.subcommand): config})
        pl.seed_everything(config.seed_everything, workers=True, verbose=False)
        super().instantiate_classes()


class Comparison:
    """Runs what is not finished, each in its own folder, and writes the table.

    Args:
        cli: With the parsed config.

    Raises:
        ValueError: If the config is not that of a hybrid run, or the methods could not be given the same.
    """

    def __init__(self, cli: ComparisonCLI) -> None:
        self._cli = cli
        self._config: Namespace = cli.config[str(cli.subcommand)]
        self._num_seeds, self._num_starts = self._config.num_seeds, self._config.num_starts
        for option in ("num_seeds", "num_starts"):
            if self._config[option] < 1:
                raise ValueError(f"{option} must be at least 1, got {self._config[option]}")
        _hybrid_in(self._config)
        if self._config.ckpt_path is not None:
            raise ValueError("compare goes on by itself where it was killed: leave out ckpt_path")
        data = self._config.data.init_args
        are_named = data.get("train_sim_indices") is not None
        self._vary_data = not are_named if self._config.vary_data is None else self._config.vary_data
        if self._vary_data and are_named:
            raise ValueError(
                "vary_data lets data.split draw other trajectories for each seed, but data.train_sim_indices names "
                "them: leave out the data.*_sim_indices, or set vary_data: false"
            )
        model = self._config.model.init_args
        if model.get("lr_scheduler") is not None and model.get("lr_scheduler_interval") != "step":
            raise ValueError(
                "model.lr_scheduler runs by epochs, which are longer for the hybrid, but compare gives all methods "
                "the same number of steps: set model.lr_scheduler_interval: step, and count T_max in steps"
            )
        plain = self._config.clone()
        for option in ("num_seeds", "num_starts", "ckpt_path", "test_after_fit"):
            plain.pop(option, None)
        plain.vary_data = self._vary_data
        text = cli.parser.dump(
            Namespace({"subcommand": cli.subcommand, str(cli.subcommand): plain}), skip_validation=True
        )
        root = Path(self._config.trainer.default_root_dir or "runs")
        self.folder = root / f"compare_{fingerprint({'config': text})[:8]}"

    def run(self) -> None:
        """All methods and seeds, then the table."""
        self.folder.mkdir(parents=True, exist_ok=True)
        Console().print(f"comparison: {self.folder}", soft_wrap=True, highlight=False)
        rows = []
        for seed in range(self._num_seeds):
            hybrid = self._once(_HYBRID, seed, lambda seed=seed: self._hybrid(seed))
            rows.append(hybrid)
            rows.append(self._once(_SURROGATE, seed, lambda seed=seed, cost=hybrid: self._surrogate(seed, cost)))
            rows.append(self._once(_PHYSICS, seed, lambda seed=seed, cost=hybrid: self._physics(seed, cost)))
        summary = summarise(rows)
        document = {"num_seeds": self._num_seeds, "summary": summary, "runs": rows}
        (self.folder / "compare.json").write_text(json.dumps(finite(document), indent=1))
        with (self.folder / "compare.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        print_table(summary, self._num_seeds, self._vary_data)
        Console().print(f"table:      {self.folder / 'compare.json'}", soft_wrap=True, highlight=False)

    def _once(self, method: str, seed: int, run: Callable[[], Row]) -> Row:
        """The row of a run; that of an earlier comparison if it has finished it."""
        path = self._folder_of(method, seed).with_suffix(".json")
        if path.exists():
            row: Row = json.loads(path.read_text())
            Console().print(f"{method}, seed {seed}: finished before", highlight=False)
            return row
        Console().print(f"{method}, seed {seed}", highlight=False)
        row = run()
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(row, indent=1))
        temporary.replace(path)
        return row

    def _hybrid(self, seed: int) -> Row:
        hybrid = self._make_hybrid(seed, has_folder=True)
        trainer, path = self._cli.trainer, self._go_on(seed, _HYBRID)
        began = time.perf_counter()
        hybrid.fit(trainer, self._cli.model, self._cli.datamodule, ckpt_path=path)
        wall = time.perf_counter() - began + KeptState.of(trainer).seconds_before
        return {
            "method": _HYBRID,
            "seed": seed,
            **self._tested_surrogate(),
            "parameter_error": parameter_error(hybrid.physical),
            "wall_time": wall,
            "gradient_steps": trainer.global_step,
            "evaluations": sum(record.num_evaluations for record in hybrid.ledger.records),
            "epochs": trainer.current_epoch,
        }

    def _surrogate(self, seed: int, cost: Row) -> Row:
        config = self.seeded(seed, _SURROGATE)
        steps = int(cost["gradient_steps"])
        config.trainer.callbacks = [it for it in _callbacks(config) if it.class_path != _HYBRID_CLASS]
        config.trainer.max_epochs = -1
        self._cli.make(config)
        self._cli.trainer.callbacks.insert(0, EndsAfter(steps))
        # As often as the hybrid run looks at its validation data, counted in steps.
        self._cli.datamodule.prepare_data()
        self._cli.datamodule.setup("fit")
        per_epoch = len(self._cli.datamodule.train_dataloader())
        self._cli.trainer.check_val_every_n_epoch = max(1, round(steps / int(cost["epochs"]) / per_epoch))
        kept, path = KeptState.of(self._cli.trainer), self._go_on(seed, _SURROGATE)
        began = time.perf_counter()
        with warnings.catch_warnings():
            # Of the epochs before it looks there for the first time.
            warnings.filterwarnings("ignore", ".ModelCheckpoint.monitor=.* could not find the monitored key")
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
            self._cli.trainer.fit(self._cli.model, datamodule=self._cli.datamodule, ckpt_path=path, weights_only=True)
        wall = time.perf_counter() - began + kept.seconds_before
        return {
            "method": _SURROGATE,
            "seed": seed,
            **self._tested_surrogate(),
            "parameter_error": None,
            "wall_time": wall,
            "gradient_steps": self._cli.trainer.global_step,
            "evaluations": 0,
            "epochs": self._cli.trainer.current_epoch,
        }

    def _physics(self, seed: int, cost: Row) -> Row:
        """Inversions from several starts, of which that with the smallest objective counts."""
        hybrid = self._make_hybrid(seed, has_folder=False)
        self._cli.datamodule.prepare_data()
        self._cli.datamodule.setup("fit")
        each = max(1, int(cost["evaluations"]) // self._num_starts)
        began = time.perf_counter()
        tries = []
        for factor in start_factors(self._num_starts):
            tries.append(other_start(hybrid.physical, factor, each))
            trainer = pl.Trainer(
                accelerator="cpu",
                devices=1,
                max_epochs=each + 1,  # so that it is the evaluations that end it
                logger=False,
                default_root_dir=self.folder,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                limit_val_batches=0,
            )
            with warnings.catch_warnings():  # that one start ends before its minimum, or gives to doubt, is no news
                warnings.filterwarnings("ignore", "L-BFGS-B did not converge .*EVALUATIONS EXCEEDS LIMIT")
                warnings.simplefilter("ignore", InversionWarning)
                trainer.fit(tries[-1], datamodule=hybrid.windows_of_physics(self._cli.datamodule))
        wall = time.perf_counter() - began
        best = min(tries, key=lambda inversion: inversion.result.objective)
        return {
            "method": _PHYSICS,
            "seed": seed,
            **rollout_errors(best, self._cli.datamodule),
            "parameter_error": parameter_error(best),
            "wall_time": wall,
            "gradient_steps": 0,
            "evaluations": sum(inversion.result.solution.num_evaluations for inversion in tries),
            "epochs": 0,
        }

    def _make_hybrid(self, seed: int, has_folder: bool) -> Hybrid:
        config = self.seeded(seed, _HYBRID)
        if not has_folder:
            config.trainer.logger = False
        self._cli.make(config)
        hybrid = find_hybrid(self._cli.trainer.callbacks)
        assert hybrid is not None
        return hybrid

    def seeded(self, seed: int, method: str) -> Namespace:
        """The config of one run: another network, other noise, other states to exchange, other trajectories.

        Args:
            seed: Number of the seed.
            method: Which is run, for its folder.
        """
        config = self._config.clone()
        config.seed_everything = seed
        config.model.init_args.seed = seed
        if self._vary_data:
            config.data.init_args.seed += seed
        if config.data.init_args.observation is not None:
            config.data.init_args.observation.seed += seed
        config.trainer.default_root_dir = str(self._folder_of(method, seed))
        _hybrid_in(config).init_args.exchange.seed += seed
        return config

    def _folder_of(self, method: str, seed: int) -> Path:
        return self.folder / f"{method.replace(' ', '_')}_seed{seed}"

    def _go_on(self, seed: int, method: str) -> Path | None:
        """The checkpoint of a run that was killed, with callbacks set to go on from it; None if there is none."""
        path = last_checkpoint(self._folder_of(method, seed))
        if path is not None:
            Console().print(f"goes on from {path}", soft_wrap=True, highlight=False)
            keep_folders(self._cli.trainer.callbacks, path)
        return path

    def _tested_surrogate(self) -> dict[str, float]:
        """Errors of the best checkpoint; of the weights as they are where none was written."""
        path = getattr(self._cli.trainer.checkpoint_callback, "best_model_path", "")
        if path:
            weights = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
            self._cli.model.load_state_dict(weights)
        return rollout_errors(self._cli.model, self._cli.datamodule)


def _callbacks(config: Namespace) -> list[Namespace]:
    given = config.trainer.callbacks or []
    return given if isinstance(given, list) else [given]


def _hybrid_in(config: Namespace) -> Namespace:
    """Where a config speaks of its Hybrid."""
    found = [it for it in _callbacks(config) if it.class_path == _HYBRID_CLASS]
    if not found:
        raise ValueError(
            "compare sets a hybrid run beside its agents alone, but trainer.callbacks names no "
            "burgerslab.hybrid.Hybrid; see configs/burgers_hybrid_experiment.yaml"
        )
    return found[0]


def run_compare(options: list[str]) -> int:
    """Run the command.

    Args:
        options: Those of fit, ``--num_seeds``, ``--num_starts`` and ``--vary_data``.
    """
    return run("compare", options, ComparisonCLI)
