"""Forecasts of whole trajectories by models, by persistence and by schemes, all asked for in one way."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.data import DataDescription
from burgerslab.evaluation.coarse_grid import coarsened, low_pass
from burgerslab.evaluation.runs import Model
from burgerslab.inversion import Inversion
from burgerslab.inversion.forecast import forecast
from burgerslab.physics import DivergedError, Domain, Rollout, Scheme
from burgerslab.physics.refinement import refine
from burgerslab.physics.schemes.scheme import advective_limit
from burgerslab.surrogate import Surrogate

Batch = Mapping[str, Tensor]
Frames = Float[Tensor, "B T C *N"]
Solve = Callable[[Batch, int], Frames]

# Of the largest stable step: there the error in time of RK4 is below the schemes' error in space.
ACCURATE = 0.45
# The same with a margin for speeds that a grid overshoots.
STABLE = 0.95


class RefusedError(ValueError):
    """A forecast that cannot be made of some trajectories."""


@dataclass(frozen=True)
class Facts:
    """What a forecast may know of the trajectories it is made for.

    Args:
        description: Grid, dt and fields.
        speed: Largest |u_i| along each axis over the first frames, units L/T.
        viscosity: The largest, units L²/T.
    """

    description: DataDescription
    speed: tuple[float, ...]
    viscosity: float

    @property
    def domain(self) -> Domain:
        """Box and grid."""
        return self.description.domain


class Forecast(ABC):
    """A way to frames from first frames.

    Attributes:
        name: As the tables have it.
        static_fields: Static fields that it reads.
    """

    name: str
    static_fields: tuple[str, ...] = ()

    @abstractmethod
    def on(self, facts: Facts) -> Solve:
        """A function of a batch and a number of frames that returns these frames, without the first one.

        Args:
            facts: Of the trajectories.

        Raises:
            ValueError: If no such forecast can be made of them; says why.
        """


class ModelForecast(Forecast):
    """The rollout of a trained model, as `burgerslab test` makes it.

    Args:
        name: Name of the run.
        model: Surrogate or inversion.
    """

    def __init__(self, name: str, model: Model) -> None:
        assert model.description is not None
        self.name = name
        self.model = model
        self.static_fields = model.description.static_fields

    def on(self, facts: Facts) -> Solve:
        """The model itself, if it takes this grid.

        Raises:
            ValueError: If the data are of another kind than those trained on, or it takes no such trajectories.
        """
        assert self.model.description is not None
        if differences := self.model.description.differences(facts.description):
            raise ValueError(f"it was trained on other data ({'; '.join(differences)})")
        if isinstance(self.model, Inversion):
            return _inversion(self.model, facts)
        if facts.domain != self.model.description.domain:
            self.model.check_network(facts.description)
        return lambda batch, num_steps: model_frames(self.model, batch, num_steps)


class Persistence(Forecast):
    """The first frame, for all times."""

    name = "persistence"

    def on(self, facts: Facts) -> Solve:
        """Possible for all data."""
        return lambda batch, num_steps: batch["initial"][:, None].repeat_interleave(num_steps, dim=1)


class SchemeForecast(Forecast):
    """A scheme with the true viscosity, in the precision of the data, perhaps on a coarser grid.

    On a coarser grid it starts from the waves which that grid holds; the frames are interpolated back by their
    Fourier series.

    Args:
        scheme: Space-time discretisation.
        coarsening: How many cells of the data one cell is as long as.
        fraction: Step size, as a fraction of the largest stable one.
        courant: Largest Σ_i |u_i| dt / dx_i, for schemes that are stable at any; None is no limit.
        compile: As in `Rollout`.
    """

    def __init__(
        self,
        scheme: Scheme,
        coarsening: int = 1,
        fraction: float = ACCURATE,
        courant: float | None = 1.0,
        compile: bool = False,
    ) -> None:
        self.name = scheme_name(scheme)
        self.scheme = scheme
        self.coarsening = coarsening
        self._limits = (fraction, courant)
        self._compile = compile and scheme.capturable
        self._rollouts: dict[tuple[Domain, float, int], Rollout] = {}

    def substeps(self, facts: Facts) -> int:
        """Steps per frame."""
        fraction, courant = self._limits
        domain = coarsened(facts.domain, self.coarsening)
        limit = fraction * self.scheme.largest_stable_step(domain, facts.speed, facts.viscosity)
        if courant is not None:
            limit = min(limit, advective_limit(courant, domain, facts.speed))
        return max(1, math.ceil(facts.description.dt / limit * (1 - 1e-9)))

    def on(self, facts: Facts) -> Solve:
        """Possible where the velocity is all there is.

        Raises:
            ValueError: If there are other dynamic fields, or the grid cannot be divided so.
        """
        if facts.description.dynamic_fields != ("velocity",):
            raise ValueError(f"a scheme solves for the velocity alone, not for {facts.description.dynamic_fields}")
        domain = coarsened(facts.domain, self.coarsening)
        key = domain, facts.description.dt, self.substeps(facts)
        if key not in self._rollouts:  # which keep the steps they have captured
            self._rollouts[key] = Rollout(self.scheme, *key, compile=self._compile)
        rollout = self._rollouts[key]

        def solve(batch: Batch, num_steps: int) -> Frames:
            initial = low_pass(batch["initial"], facts.domain, self.coarsening)
            frames = rollout(initial, batch["viscosity"].to(initial), num_steps)
            return refine(frames, domain, self.coarsening)

        return until_divergence(solve)


def scheme_name(scheme: Scheme) -> str:
    """Name of its class; with its settings where these are not the default ones."""
    name = type(scheme).__name__
    return name if repr(scheme) == repr(type(scheme)()) else repr(scheme)


@torch.no_grad()
def model_frames(model: Model, batch: Batch, num_steps: int) -> Frames:
    """Frames 1 to ``num_steps`` of whole trajectories on the CPU, as `burgerslab test` makes them.

    Args:
        model: A surrogate computes in its own precision, an inversion in float64.
        batch: ``initial``, ``static`` and ``viscosity``.
        num_steps: Number T of frames.
    """
    if isinstance(model, Surrogate):
        return model.rollout(batch["initial"].to(model.device), num_steps, batch["static"].to(model.device)).cpu()
    return model.rollout(batch["initial"].double(), num_steps, viscosity=batch["viscosity"])


def _inversion(model: Inversion, facts: Facts) -> Solve:
    """What was learned in the inversion's own solver; on another grid or with more steps where it must be.

    Raises:
        ValueError: If something was learned of each fitted trajectory, and nothing of others.
    """
    if not model.forecasts_any_trajectory:
        raise ValueError("it has learned a coefficient of each fitted trajectory, and knows none of others")
    assert model.objective is not None
    assert model.description is not None
    objective, own = model.objective, model.objective.rollout
    free, problem = objective.unflatten(model.free), replace(objective.problem, domain=facts.domain)
    coefficients = {
        name: it.coefficient(free[name], problem)
        for name, it in objective.learnables.items()
        if name != "initial_state"
    }
    viscosity = float(coefficients["viscosity"].max()) if "viscosity" in coefficients else facts.viscosity
    fastest = float(coefficients["advection"].abs()) if "advection" in coefficients else 1.0
    solved = facts.domain.refined(own.refine)
    limit = own.scheme.largest_stable_step(solved, [fastest * along for along in facts.speed], viscosity)
    is_stable = own.dt / own.substeps <= limit * (1 + 1e-9)
    if is_stable and facts.domain == model.description.domain:
        return until_divergence(lambda batch, num_steps: model_frames(model, batch, num_steps))
    substeps = own.substeps if is_stable else math.ceil(own.dt / (ACCURATE * limit))
    rollout = Rollout(own.scheme, facts.domain, own.dt, substeps, own.refine)
    elsewhere = objective.changed(rollout=rollout)

    def solve(batch: Batch, num_steps: int) -> Frames:
        return forecast(elsewhere, coefficients, batch["initial"].double(), num_steps, batch["viscosity"])

    return until_divergence(solve)


def until_divergence(solve: Solve) -> Solve:
    """A solver whose trajectories are nan from where they diverge, in place of an exception for all of them."""

    @torch.no_grad()
    def guarded(batch: Batch, num_steps: int) -> Frames:
        try:
            return solve(batch, num_steps)
        except DivergedError:
            rows = [{name: values[row : row + 1] for name, values in batch.items()} for row in range(_size(batch))]
            return torch.cat([_finite_part(solve, row, num_steps) for row in rows])

    return guarded


def _finite_part(solve: Solve, batch: Batch, num_steps: int) -> Frames:
    """Frames of one trajectory; nan from the first one that is not finite, which is found by bisection."""
    initial = batch["initial"]
    frames = initial.new_empty((1, 0, *initial.shape[1:]))
    finite, diverged, tried = 0, num_steps + 1, num_steps
    while diverged - finite > 1:
        try:
            frames, finite = solve(batch, tried), tried
        except DivergedError:
            diverged = tried
        tried = (finite + diverged) // 2
    missing = frames.new_full((1, num_steps - finite, *initial.shape[1:]), torch.nan)
    return torch.cat([frames, missing], dim=1)


def _size(batch: Batch) -> int:
    return len(batch["initial"])
