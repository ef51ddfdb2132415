"""Inversion: a LightningModule whose unknowns are coefficients of the equation, found through PhiFlow's rollout."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from burgerslab import metrics
from burgerslab.data import BurgersDataModule, DataDescription
from burgerslab.inversion.chunks import Batch, Chunks, in_float64
from burgerslab.inversion.conclusion import FurtherSolves
from burgerslab.inversion.doubts import InversionWarning
from burgerslab.inversion.first_guess import first_guess, warm_start
from burgerslab.inversion.forecast import errors_of_forecasts, forecast
from burgerslab.inversion.lbfgsb import Bounds
from burgerslab.inversion.learnable import Learnable
from burgerslab.inversion.multi_start import Begun
from burgerslab.inversion.objective import Objective
from burgerslab.inversion.phiflow_way import PhiFlowProblem, phiflow_problem
from burgerslab.inversion.posing import Posing, description_of
from burgerslab.inversion.problem import Problem
from burgerslab.inversion.record import Vector
from burgerslab.inversion.result import InversionResult
from burgerslab.inversion.scaled import ScaledObjective
from burgerslab.inversion.settings import LBFGSB
from burgerslab.inversion.solution import Solution
from burgerslab.inversion.solvable import Gather, Solvable, Total
from burgerslab.inversion.solve_again import SolveAgain, Solved
from burgerslab.inversion.state import Plain
from burgerslab.inversion.summation import SummedObjective
from burgerslab.physics import FiniteDifference, Scheme


class Inversion(Solvable):
    """Coefficients of u_t + c (u·∇)u = ∇·(ν∇u) + f, and initial states, that fit a data set best.

    `lightning.pytorch.Trainer.fit` minimises the misfit of all training windows by L-BFGS-B; `result` then says what
    was found and how sure it is. What is not learned is taken from the data (the viscosity, first frames) or is that
    of the Burgers equation (c = 1, f = 0). Everything is computed in float64.

    Args:
        learnable_parameters: What is learned: `Viscosity`, `ViscosityField`, `Advection`, `Forcing`, `ForcingField`,
            `InitialState`, or a `Learnable` of your own; each coefficient once.
        scheme: Space-time discretisation of the rollout.
        substeps: Solver steps per frame; None takes the fewest that are accurate in time.
        refine: Solve on a grid with this many times more cells along each axis, which steep fronts need.
        solver: Tolerances and limits of L-BFGS-B.
        noise_std: Standard deviation of the noise of the data, units L/T, for priors to be weighed against; intervals
            take it from the residuals instead.
        interaction_weight: Weight of the mean square error of generated windows beside that of observed ones;
            ``balanced`` makes both terms equal where a fit begins, ``calibrated`` gives no more than that, and no
            more than they agree with the observed ones on the coefficients (`calibration.calibrate`).
        num_starts: Solves, the first from the initial guesses, others from drawn ones; the best that converges is
            the result. The Trainer sees the first whose rollout does not diverge.
        start_spread: Positive parameters are drawn between their guess / start_spread and guess · start_spread.
        profile: Whether to find intervals by profile likelihood too: 13 more solves for each single number.
        cluster: Solve from the further starts in the processes of a Dask cluster, with the same result: ``local:N``
            for N on this machine, or a scheduler's address such as ``tcp://host:8786``.

    Raises:
        ValueError: If nothing is to be learned, or a coefficient twice, or a number is out of range.
    """

    result: InversionResult | None = None
    """What the last fit found; None before."""

    free: Tensor

    def __init__(
        self,
        learnable_parameters: list[Learnable] | None = None,
        scheme: Scheme = FiniteDifference(),  # noqa: B008 - frozen
        substeps: int | None = None,
        refine: int = 1,
        solver: LBFGSB = LBFGSB(),  # noqa: B008 - frozen
        noise_std: float | None = None,
        interaction_weight: float | Literal["balanced", "calibrated"] = 1.0,
        num_starts: int = 1,
        start_spread: float = 10.0,
        profile: bool = False,
        cluster: str | None = None,
    ) -> None:
        super().__init__()
        learnables = tuple(learnable_parameters or ())
        self.posing = Posing(learnables, scheme, substeps, refine, noise_std, interaction_weight)
        self._further = FurtherSolves(num_starts, start_spread, profile, cluster)
        self.description: DataDescription | None = None
        self.objective: Objective | None = None
        self._solver = solver
        self.history: list[dict[str, float]] = []
        self._begun: Begun | None = None
        self._start_number = 0
        self._total: Total = lambda tensor: tensor
        # Free numbers at the last accepted point, and where the solve began, which its conditioning depends on.
        self.register_buffer("free", torch.empty(0, dtype=torch.float64))
        self.register_buffer("_origin", torch.empty(0, dtype=torch.float64))
        # Lightning wants something to optimise; the solver has its numbers elsewhere.
        self.register_parameter("_placeholder", torch.nn.Parameter(torch.zeros(1)))

    @property
    def solver(self) -> LBFGSB:
        """Tolerances and limits."""
        return self._solver

    def setup(self, stage: str) -> None:
        """Take the facts of the data.

        Raises:
            ValueError: If there is no `BurgersDataModule`, or it has other dynamic fields than the velocity.
        """
        super().setup(stage)
        if stage == "fit":
            self._origin = torch.empty(0, dtype=torch.float64)
            self.history = []
        self.description = description_of(getattr(self.trainer, "datamodule", None), self.description)

    @property
    def interaction_weight(self) -> float | Literal["balanced", "calibrated"]:
        """Weight of generated windows beside observed ones, from the next fit on."""
        return self.posing.interaction_weight

    @interaction_weight.setter
    def interaction_weight(self, weight: float | Literal["balanced", "calibrated"]) -> None:
        self.posing = replace(self.posing, interaction_weight=weight)

    def on_solve_begin(self, chunks: Chunks, total: Total, gather: Gather) -> None:
        """Survey the windows, and find variables in which the objective is round."""
        previous = (self.objective, self.free.cpu()) if self.is_ready else None
        self._total = total
        self.objective = self.posing.objective(self.posing.survey(chunks, self.trainer.datamodule, gather))
        scale = partial(self.posing.scaled, self.objective, chunks, total)
        if not len(self._origin):  # else a checkpoint's solve goes on
            guess = first_guess(self.objective, chunks, total)
            guess = guess if previous is None else warm_start(self.objective, guess, *previous)
            self._begun = self._further.begin(scale, self.objective, guess)
        else:
            origin = self._origin.cpu()
            self._begun = Begun(scale(origin), origin, self._start_number)
        self._origin, self._start_number = self._begun.origin, self._begun.number
        self.free = self._origin.clone()

    def start(self) -> Vector:
        """The free numbers as they stand, in round variables."""
        return self._posed().to_rounded(self.free.cpu()).numpy()

    def bounds(self) -> Bounds:
        """Of round variables."""
        return self._posed().bounds()

    def misfit(self, vector: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """Share of a chunk in the objective, 1 in all at the start, and in the number of windows."""
        return self._posed().misfit(vector, batch)

    def penalty(self, vector: Tensor) -> Tensor:
        """Roughness and priors, in the unit of `misfit`."""
        return self._posed().penalty(vector)

    def adopt(self, x: Vector) -> None:
        """Take the free numbers of an accepted point."""
        self.free = self._posed().to_flat(torch.from_numpy(x))

    def problem(self) -> Mapping[str, Plain]:
        """What the objective depends on."""
        return self.posing.facts() | ({} if self.objective is None else self.objective.problem.facts())

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the coefficients that are single numbers, beside the objective."""
        super().on_train_batch_end(outputs, batch, batch_idx)
        scalars = {name: float(value) for name, value in self.coefficients().items() if value.ndim == 0}
        for name, value in scalars.items():
            number = torch.tensor(value, dtype=torch.float64)
            self.log(f"train/{name}", number, prog_bar=True, on_step=False, on_epoch=True, batch_size=1)
        self.history.append({"objective": float(outputs["objective"]), **scalars})

    def on_solution(self, solution: Solution, objective: SummedObjective) -> None:
        """Solve from further starts and with further weights, as asked for, and work out how sure the result is."""
        again = SolveAgain(objective.chunks, self._total, self.device, self.solver)
        first = Solved(self._posed(), self.free.cpu(), solution)
        best, self.result = self._further.conclude(again, first, self._begun)
        self.objective, self.free, self.solution = best.scaled.objective, best.flat.to(self.device), best.solution
        for warning in self.result.warnings:
            rank_zero_warn(warning, category=InversionWarning)

    @property
    def is_ready(self) -> bool:
        """Whether there are coefficients to roll out with."""
        return self.objective is not None and len(self.free) > 0

    def begin(self, datamodule: BurgersDataModule) -> None:
        """Take the facts of training windows and the initial guesses, without a solve."""
        self.description = description_of(datamodule, None)
        chunks = [in_float64(batch) for batch in datamodule.solve_dataloader()]
        problem = self.posing.survey(chunks, datamodule, lambda item: [item])
        self.objective = self.posing.objective(problem)
        self.free = first_guess(self.objective, chunks, lambda tensor: tensor)

    def coefficients(self) -> dict[str, Tensor]:
        """The learned coefficients in physical units, in the shapes that `Rollout` takes.

        Raises:
            ValueError: Before a fit.
        """
        if self.objective is None or not len(self.free):
            raise ValueError("this inversion has not been fitted; give its checkpoint with --ckpt_path")
        free = self.objective.unflatten(self.free.cpu())
        problem = self.objective.problem
        return {name: it.coefficient(free[name], problem) for name, it in self.objective.learnables.items()}

    @property
    def forecasts_any_trajectory(self) -> bool:
        """Whether what was learned holds for trajectories that were not fitted; not so for a viscosity of each."""
        return not any(it.per_trajectory and it.name != "initial_state" for it in self.posing.learnables)

    def rollout(
        self,
        initial: Float[Tensor, "B C *N"],
        num_steps: int,
        static: Float[Tensor, "B S *N"] | None = None,
        viscosity: Float[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B T C *N"]:
        """Frames 1 to ``num_steps`` after the given one with the learned coefficients, in physical units.

        Args:
            initial: First frames, of any trajectory.
            num_steps: Number T of frames to predict, each ``description.dt`` after the one before.
            static: Not read; here so that surrogates and inversions are called alike.
            viscosity: Of each trajectory; needed if no viscosity was learned.

        Raises:
            ValueError: If a coefficient holds only for the trajectories that were fitted, or the viscosity lacks.
        """
        coefficients = self.coefficients()
        assert self.objective is not None
        return forecast(self.objective, coefficients, initial, num_steps, viscosity)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Roll out whole validation trajectories and log the mean error, once there is something to roll out with."""
        if self.trainer.sanity_checking:
            return
        if self.trainer.state.fn == TrainerFn.FITTING and not self.forecasts_any_trajectory:
            return
        batch, prediction = self._whole(batch)
        error = metrics.nrmse(prediction, batch["target"]).mean()
        self.log("val/nrmse", error, prog_bar=True, batch_size=len(prediction), sync_dist=True)

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Roll out whole trajectories; the errors of the inversion and of persistence, per trajectory and frame."""
        assert self.description is not None
        batch, prediction = self._whole(batch)
        errors = errors_of_forecasts(prediction, batch, self.description.domain.extent)
        for metric, values in errors["inversion"].items():
            self.log(f"test/{metric}", values.mean(), batch_size=len(prediction), sync_dist=True)
        return {"errors": errors, "prediction": prediction}

    def predict_step(self, batch: Batch, batch_idx: int) -> Float[Tensor, "B T C *N"]:
        """Whole predicted trajectories, the initial frame included, float32."""
        batch, prediction = self._whole(batch)
        return torch.cat([batch["initial"][:, None], prediction], dim=1).float()

    def to_phiflow(self, batch: Mapping[str, Any], description: DataDescription | None = None) -> PhiFlowProblem:
        """The same objective over one batch, for ``phi.math.minimize``; see `PhiFlowProblem`.

        Args:
            batch: Windows of a `BurgersDataModule` or a `HybridDataset`, as tensors or with ``return_fields``.
            description: Of the data set; None takes that of the last fit, and is an error before one.
        """
        description = self.description if description is None else description
        if description is None:
            raise ValueError("to_phiflow needs the description of the data: give that of the datamodule")
        return phiflow_problem(self.posing, batch, description)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the facts of the data beside the free numbers."""
        super().on_save_checkpoint(checkpoint)
        if self.description is not None and self.objective is not None:
            checkpoint["description"] = self.description.to_dict()
            checkpoint["inversion"] = {
                "learnable_parameters": self.problem()["model.learnable_parameters"],
                "problem": self.objective.problem.to_dict(),
                "history": self.history,
                "start_number": self._start_number,
            }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the facts of the data, and make room for the free numbers.

        Raises:
            ValueError: If it is not the checkpoint of an inversion, or one with other parameters: its free numbers
                count from their initial guesses.
        """
        self.posing.check_checkpoint(checkpoint)
        super().on_load_checkpoint(checkpoint)
        self.description = DataDescription.from_dict(checkpoint["description"])
        self.history = list(checkpoint["inversion"]["history"])
        self._start_number = checkpoint["inversion"]["start_number"]
        for name in ("free", "_origin"):
            setattr(self, name, torch.empty_like(checkpoint["state_dict"][name]))
        self.objective = self.posing.objective(Problem.from_dict(checkpoint["inversion"]["problem"]))

    def _whole(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Whole trajectories in float64, and their forecast."""
        batch = in_float64(batch)
        return batch, self.rollout(batch["initial"], batch["target"].shape[1], viscosity=batch["viscosity"])

    def _posed(self) -> ScaledObjective:
        assert self._begun is not None, "on_solve_begin comes first"
        return self._begun.scaled
