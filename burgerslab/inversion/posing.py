"""How an inversion is posed: what is learned, through which solver, with which weights."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from burgerslab.data import BurgersDataModule, DataDescription
from burgerslab.inversion.calibration import calibrate
from burgerslab.inversion.chunks import Batch
from burgerslab.inversion.facts import survey
from burgerslab.inversion.l_curve import asks_for_l_curve
from burgerslab.inversion.learnable import Learnable
from burgerslab.inversion.objective import Objective, suitable_rollout
from burgerslab.inversion.problem import Problem
from burgerslab.inversion.scaled import ScaledObjective
from burgerslab.inversion.solvable import Gather, Total
from burgerslab.inversion.state import Plain
from burgerslab.physics import Scheme

_OF_CHECKPOINT = frozenset({"learnable_parameters", "problem", "history", "start_number"})


@dataclass(frozen=True)
class Posing:
    """Options of an `Inversion` that its objective depends on; see there.

    Args:
        learnables: What is learned.
        scheme: Space-time discretisation.
        substeps: Solver steps per frame; None takes the fewest that are accurate in time.
        refine: As in `Rollout`.
        noise_std: Standard deviation of the noise, units L/T, for priors.
        interaction_weight: Of generated windows beside observed ones.

    Raises:
        ValueError: If nothing is to be learned, or a coefficient twice, or a number is out of range.
    """

    learnables: tuple[Learnable, ...]
    scheme: Scheme
    substeps: int | None
    refine: int
    noise_std: float | None
    interaction_weight: float | Literal["balanced", "calibrated"]

    def __post_init__(self) -> None:
        if not self.learnables:
            raise ValueError(
                "No 'learnable_parameters' defined: say in model.learnable_parameters what to learn, as in\n"
                "  learnable_parameters:\n"
                "  - class_path: burgerslab.inversion.Viscosity\n"
                "    init_args: {initial_guess: 0.05}"
            )
        names = [learnable.name for learnable in self.learnables]
        if len(set(names)) < len(names):
            raise ValueError(f"model.learnable_parameters names a coefficient twice: {', '.join(names)}")
        if self.refine < 1:
            raise ValueError(f"model.refine must be at least 1, got {self.refine}")
        if self.noise_std is not None and not self.noise_std > 0:
            raise ValueError(f"model.noise_std must be positive, got {self.noise_std}")
        if not isinstance(self.interaction_weight, str) and not self.interaction_weight >= 0:
            raise ValueError(f"model.interaction_weight must not be negative, got {self.interaction_weight}")
        asks_for_l_curve(self.learnables)

    def survey(self, chunks: Iterable[Batch], datamodule: BurgersDataModule, gather: Gather) -> Problem:
        """The facts of a datamodule's training windows; see `burgerslab.inversion.facts.survey`."""
        observation = datamodule.observation
        known = observation is not None and observation.initial_known
        return survey(chunks, datamodule.description, self.learns_initial_state, gather, known)

    @property
    def learns_initial_state(self) -> bool:
        """Whether first frames are learned."""
        return any(learnable.name == "initial_state" for learnable in self.learnables)

    def objective(self, problem: Problem) -> Objective:
        """The misfit of some windows; where weights are to be balanced or calibrated, they still are 1."""
        rollout = suitable_rollout(problem, self.learnables, self.scheme, self.substeps, self.refine)
        weight = 1.0 if isinstance(self.interaction_weight, str) else self.interaction_weight
        return Objective(problem, self.learnables, rollout, weight, self.noise_std)

    def scaled(
        self, objective: Objective, chunks: Iterable[Batch], total: Total, origin: Float[Tensor, " P"]
    ) -> ScaledObjective:
        """An objective in variables that are round about some free numbers, its weights found there if asked for.

        Raises:
            DivergedError: If the rollout from there is not finite.
        """
        curvature = None
        if self.interaction_weight == "balanced":
            objective.balance(origin, chunks, total)
        elif self.interaction_weight == "calibrated":
            curvature = calibrate(objective, origin, chunks, total)
        return ScaledObjective(objective, origin, chunks, total, curvature)

    def facts(self) -> dict[str, Plain]:
        """What a solve must share with another to go on from it."""
        return {
            "model.learnable_parameters": [repr(learnable) for learnable in self.learnables],
            "model.scheme": repr(self.scheme),
            "model.refine": self.refine,
            "model.substeps": self.substeps,
            "model.interaction_weight": self.interaction_weight,
            "model.noise_std": self.noise_std,
        }

    def check_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Refuse one that is not of an inversion, of another version, or of an inversion with other parameters.

        Raises:
            ValueError: Says why, and what to give.
        """
        if "inversion" not in checkpoint:
            raise ValueError("the checkpoint was not written by an Inversion; choose one from an inversion's run")
        kept = checkpoint["inversion"]
        missing = _OF_CHECKPOINT - kept.keys() or {it.name for it in fields(Problem)} - kept["problem"].keys()
        if missing:
            raise ValueError(
                f"the checkpoint was written by another version of burgerslab: it does not tell {sorted(missing)}; "
                "fit again, or take the version that wrote it"
            )
        fitted = checkpoint["inversion"]["learnable_parameters"]
        here = self.facts()["model.learnable_parameters"]
        if fitted != here:  # free numbers count from the initial guesses
            raise ValueError(
                f"ckpt_path: the checkpoint is of model.learnable_parameters {fitted}, but here they are {here}. Use "
                "the config.yaml in the folder of the run that wrote it"
            )


def description_of(datamodule: object, fitted: DataDescription | None) -> DataDescription:
    """The description of data that an inversion can be fitted to, or tested on.

    Args:
        datamodule: The Trainer's.
        fitted: Of the data that it was fitted to; None before a fit.

    Raises:
        ValueError: If there is no `BurgersDataModule`, it has other dynamic fields than the velocity, or another dt.
    """
    if not isinstance(datamodule, BurgersDataModule):
        raise ValueError("Inversion knows nothing of its data: fit and test it with a BurgersDataModule")
    description = datamodule.description
    if description.dynamic_fields != ("velocity",):
        raise ValueError(
            f"Inversion solves for the velocity alone: set data.dynamic_fields: [velocity], got "
            f"{list(description.dynamic_fields)}"
        )
    if fitted is not None and (differences := fitted.differences(description)):
        raise ValueError(
            f"the inversion was fitted to other data than {datamodule.store_path} ({'; '.join(differences)}); "
            "use a store with the same dt, or fit anew"
        )
    return description
