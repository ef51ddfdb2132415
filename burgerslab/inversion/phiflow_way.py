"""The objective of an inversion as PhiFlow users know it: a function of PhiML tensors for `math.minimize`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from phi import math
from phi.field import Field
from torch import Tensor

from burgerslab.data import DataDescription
from burgerslab.inversion.chunks import Batch, in_float64
from burgerslab.inversion.facts import survey
from burgerslab.inversion.first_guess import first_guess
from burgerslab.inversion.posing import Posing
from burgerslab.inversion.scaled import ScaledObjective
from burgerslab.physics import phi_bridge


@dataclass(frozen=True)
class PhiFlowProblem:
    """A problem for PhiFlow's own solvers.

    ::

        from phi.torch.flow import math

        problem = inversion.to_phiflow(batch, datamodule.description)
        with math.precision(64):
            x = math.minimize(problem.loss, math.Solve("L-BFGS-B", abs_tol=1e-8, x0=problem.x0))
        viscosity = problem.coefficients(x)["viscosity"]

    The loss is what `Inversion` minimises, in the same variables, over one batch and without bounds.

    Args:
        loss: From the unknowns to a number, both PhiML tensors; differentiable.
        x0: Where to start, float64, one channel dimension ``number``.
        coefficients: From the unknowns to the coefficients in physical units, torch tensors.
        substeps: Solver steps per frame that the loss takes.
    """

    loss: Callable[[math.Tensor], math.Tensor]
    x0: math.Tensor
    coefficients: Callable[[math.Tensor], dict[str, Tensor]]
    substeps: int


def phiflow_problem(posing: Posing, batch: Mapping[str, Any], description: DataDescription) -> PhiFlowProblem:
    """The objective over one batch of windows, as tensors or fields.

    Raises:
        ValueError: If the windows do not suit what is learned.
    """
    windows = windows_of_batch(batch)
    facts = survey([windows], description, posing.learns_initial_state, lambda item: [item], False)
    objective = posing.objective(facts)
    origin = first_guess(objective, [windows], lambda total: total)
    scaled = ScaledObjective(objective, origin, [windows], lambda total: total)

    def loss(unknowns: math.Tensor) -> math.Tensor:
        vector = _vector(unknowns)
        return math.wrap(scaled.misfit(vector, windows)[0] + scaled.penalty(vector))

    def coefficients(unknowns: math.Tensor) -> dict[str, Tensor]:
        return objective.coefficients(objective.unflatten(scaled.to_flat(_vector(unknowns).detach().double().cpu())))

    x0 = math.wrap(scaled.to_rounded(origin), math.channel("number"))
    return PhiFlowProblem(loss, x0, coefficients, objective.rollout.substeps)


def windows_of_batch(batch: Mapping[str, Any]) -> Batch:
    """A batch of tensors or of PhiFlow fields as float64 tensors.

    Raises:
        ValueError: If it holds other fields than the velocity.
    """
    plain = {}
    for name, values in batch.items():
        if isinstance(values, dict):
            if name == "static":
                continue
            if list(values) != ["velocity"]:
                raise ValueError(
                    f"Inversion solves for the velocity alone: set dynamic_fields: [velocity], got {list(values)}"
                )
            field: Field = values["velocity"]
            values = phi_bridge.to_native(field, frames=name == "target")
        plain[name] = values
    return in_float64(plain)


def _vector(unknowns: math.Tensor) -> Tensor:
    native = unknowns.native(["number"])
    if not isinstance(native, Tensor):
        raise ValueError(
            "the loss is differentiated by torch, but PhiFlow computes in another backend: import math as in "
            "'from phi.torch.flow import math', or call math.use('torch')"
        )
    return native
