"""Options of the Trainer that a solve cannot honour."""

from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.trainer import Trainer

_NEUTRAL = {
    "accumulate_grad_batches": 1,
    "gradient_clip_val": None,
    "overfit_batches": 0.0,
    "limit_train_batches": 1.0,
    "reload_dataloaders_every_n_epochs": 0,
}


def check_options(trainer: Trainer) -> None:
    """Refuse what would not act on a solve, or would change its objective.

    Raises:
        ValueError: With the option and its value.
    """
    for option, neutral in _NEUTRAL.items():
        value = getattr(trainer, option)
        if value != neutral and not (option == "limit_train_batches" and trainer.fast_dev_run):
            raise ValueError(
                f"trainer.{option} is {value}, but an L-BFGS-B solve minimises one number over all training windows; "
                "leave it out"
            )
    if trainer.precision not in ("32-true", "64-true"):
        raise ValueError(
            f"trainer.precision is {trainer.precision}, but L-BFGS-B needs exact gradients; leave it out: unknowns "
            "are float64 whatever the data"
        )
    if not isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy):
        raise ValueError(
            f"trainer.strategy is {type(trainer.strategy).__name__}, but an L-BFGS-B solve runs on one device or "
            "with trainer.strategy: ddp"
        )
