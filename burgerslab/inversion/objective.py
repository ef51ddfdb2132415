"""The misfit between a rollout and a fixed set of windows, as a function of free numbers."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.diverged_together import raise_together
from burgerslab.inversion.kept_products import KeptProducts
from burgerslab.inversion.learnable import Bound, Learnable
from burgerslab.inversion.problem import Problem
from burgerslab.physics import DivergedError, Rollout, Scheme

Batch = Mapping[str, Tensor]
Free = dict[str, Tensor]


# Of the largest stable step: there RK4's error in time is far below the schemes' in space.
_FRACTION_OF_STABLE_STEP = 0.45


class Objective:
    """J = mean square error / scale² over observed windows + w · the same over generated ones + regularisation.

    Windows come in chunks: the values of `misfit` over all chunks, in any order and on any process, add up to J but
    for `regularisation`.

    Args:
        problem: Facts of the windows.
        learnables: What is learned.
        rollout: The solver, float64.
        interaction_weight: Weight of the generated windows; that of the observed ones is 1.
        noise_std: Standard deviation of the noise of the data, units L/T; only priors need it.
    """

    def __init__(
        self,
        problem: Problem,
        learnables: Sequence[Learnable],
        rollout: Rollout,
        interaction_weight: float = 1.0,
        noise_std: float | None = None,
    ) -> None:
        self.problem = problem
        self.learnables = {learnable.name: learnable for learnable in learnables}
        self.rollout = rollout
        self.interaction_weight = interaction_weight
        self.noise_std = noise_std
        self.shared = [learnable.name for learnable in learnables if not learnable.per_trajectory]
        self.own = [learnable.name for learnable in learnables if learnable.per_trajectory]
        self._sizes = {learnable.name: learnable.num_free(problem) for learnable in learnables}
        self.num_shared = sum(self._sizes[name] for name in self.shared)
        self.num_own = sum(self._sizes[name] for name in self.own)
        self.num_rows = len(problem.trajectories)
        self.num_free = self.num_shared + self.num_rows * self.num_own
        self.kept = KeptProducts()

    def changed(self, learnables: Sequence[Learnable] | None = None, rollout: Rollout | None = None) -> "Objective":
        """The same windows and weights with other parameters, or through another rollout."""
        return Objective(
            self.problem,
            tuple(self.learnables.values()) if learnables is None else learnables,
            self.rollout if rollout is None else rollout,
            self.interaction_weight,
            self.noise_std,
        )

    @property
    def learns_initial_state(self) -> bool:
        """Whether first frames are learned, and compared with those of the data."""
        return "initial_state" in self.learnables

    def split(self, flat: Float[Tensor, " P"]) -> tuple[Float[Tensor, " S"], Float[Tensor, "W Q"]]:
        """Free numbers that all trajectories share, and those of each trajectory, from all in a row."""
        return flat[: self.num_shared], flat[self.num_shared :].reshape(self.num_rows, self.num_own)

    def unflatten(self, flat: Float[Tensor, " P"]) -> Free:
        """Free numbers of each parameter, ``(Q,)`` or ``(trajectory, Q)``, from all in a row."""
        shared, own = self.split(flat)
        parts = shared.split([self._sizes[name] for name in self.shared])
        parts_of_own = own.split([self._sizes[name] for name in self.own], dim=1)
        return {
            **dict(zip(self.shared, parts, strict=True)),
            **dict(zip(self.own, parts_of_own, strict=True)),
        }

    def flatten(self, free: Free) -> Float[Tensor, " P"]:
        """The inverse of `unflatten`."""
        parts = [free[name] for name in self.shared]
        if self.own:
            parts.append(torch.cat([free[name] for name in self.own], dim=1).reshape(-1))
        return torch.cat(parts)

    def start(self) -> Float[Tensor, " P"]:
        """All free numbers at the initial guesses."""
        free = {}
        for name, learnable in self.learnables.items():
            guess = learnable.free_start(self.problem)
            free[name] = guess.expand(self.num_rows, -1) if learnable.per_trajectory else guess
        return self.flatten(free)

    def bounds(self) -> list[Bound]:
        """Lower and upper bound of every free number."""
        of_name = {name: learnable.free_bounds(self.problem) for name, learnable in self.learnables.items()}
        shared = [bound for name in self.shared for bound in of_name[name]]
        return shared + [bound for name in self.own for bound in of_name[name]] * self.num_rows

    def select(self, free: Free, batch: Batch) -> Free:
        """The free numbers that a chunk of windows depends on; ``(B, Q)`` for those of each trajectory."""
        rows = self.problem.rows(batch["trajectory"].tolist())
        return {
            name: values[rows] if self.learnables[name].per_trajectory else values for name, values in free.items()
        }

    def coefficients(self, own: Free) -> dict[str, Tensor]:
        """The learned coefficients in physical units, from the free numbers of a chunk."""
        return {name: it.coefficient(own[name], self.problem) for name, it in self.learnables.items()}

    def frames(self, own: Free, batch: Batch) -> Float[Tensor, "B T C *N"]:
        """Frames of the windows of a chunk, the initial one included, units L/T.

        Args:
            own: Free numbers from `select`.
            batch: The chunk, float64.
        """
        return self.frames_with(self.coefficients(own), batch)

    def frames_with(self, coefficients: Mapping[str, Tensor], batch: Batch) -> Float[Tensor, "B T C *N"]:
        """`frames` with given coefficients; others are those of the data."""
        given: dict[str, Tensor] = {"viscosity": batch["viscosity"], "initial_state": batch["initial"]}
        given |= {name: value.to(batch["initial"].device) for name, value in coefficients.items()}
        initial = given.pop("initial_state")
        return torch.cat([initial[:, None], self.rollout(initial, num_frames=self.problem.num_steps, **given)], dim=1)

    def residual(self, own: Free, batch: Batch) -> Float[Tensor, "B S C *N"]:
        """Rollout minus data where there are data, else 0; without the initial frame where that is not learned."""
        return self.residual_with(self.coefficients(own), batch)

    def residual_with(self, coefficients: Mapping[str, Tensor], batch: Batch) -> Float[Tensor, "B S C *N"]:
        """`residual` with given coefficients."""
        data = torch.cat([batch["initial"][:, None], batch["target"]], dim=1)
        difference = self.frames_with(coefficients, batch) - data
        if "mask" in batch:
            difference = torch.where(batch["mask"], difference, 0.0)
        return difference if self.learns_initial_state else difference[:, 1:]

    def weights(self, batch: Batch) -> Float[Tensor, " B"]:
        """Weight of the squared residuals of each window in J."""
        problem, scale = self.problem, self.problem.scale**2
        observed = 1.0 / (max(1, problem.num_observed) * scale)
        generated = self.interaction_weight / (max(1, problem.num_generated) * scale)
        return torch.where(batch["observed"], observed, generated).to(torch.float64)

    def misfit(self, free: Free, batch: Batch) -> Float[Tensor, ""]:
        """Share of a chunk of windows in J, without priors; differentiable.

        Raises:
            DivergedError: If the rollout is not finite.
        """
        residual = self.residual(self.select(free, batch), batch)
        return (self.weights(batch) * residual.square().flatten(1).sum(dim=1)).sum()

    @torch.no_grad()
    def balance(self, flat: Float[Tensor, " P"], batches: Iterable[Batch], total: Callable[[Tensor], Tensor]) -> None:
        """Set the weight of generated windows so that their share in J is that of the observed ones.

        Args:
            flat: Free numbers at which the shares are equal.
            batches: The chunks of this process.
            total: Adds a tensor up over the processes.

        Raises:
            DivergedError: If the rollout from there is not finite.
        """
        if not self.problem.num_generated:
            return
        self.interaction_weight = 1.0
        shares, error = torch.zeros(2, dtype=torch.float64), None
        try:
            for batch in batches:
                residual = self.residual(self.select(self.unflatten(flat), batch), batch)
                weighted = self.weights(batch) * residual.square().flatten(1).sum(dim=1)
                observed = batch["observed"]
                shares += torch.stack([weighted[observed].sum(), weighted[~observed].sum()]).cpu()
        except DivergedError as diverged:
            error = diverged
        raise_together(error, total)
        of_observed, of_generated = total(shares).tolist()
        self.interaction_weight = of_observed / of_generated if of_generated > 0 else 1.0

    def regularisation(self, free: Free) -> Tensor | None:
        """Roughness and priors, in the units of J; None where there are none.

        Raises:
            ValueError: If there is a prior and no noise to weigh it against.
        """
        parts = []
        for name, learnable in self.learnables.items():
            roughness = learnable.roughness(free[name], self.problem)
            negative_log_prior = learnable.negative_log_prior(free[name], self.problem)
            if roughness is not None:
                parts.append(roughness)
            if negative_log_prior is not None:
                if self.noise_std is None:
                    raise ValueError(
                        f"the prior of {name} is weighed against the noise of the data: set model.noise_std, its "
                        "standard deviation in units L/T"
                    )
                information = self.problem.num_observed * self.problem.scale**2 / self.problem.overlap
                parts.append(2 * self.noise_std**2 / information * negative_log_prior)
        return sum(parts[1:], parts[0]) if parts else None


def suitable_rollout(
    problem: Problem, learnables: Sequence[Learnable], scheme: Scheme, substeps: int | None, refine: int
) -> Rollout:
    """A rollout whose steps are small enough.

    Args:
        problem: Facts of the windows.
        learnables: What is learned; an advection coefficient above 1 makes waves faster.
        scheme: Space-time discretisation.
        substeps: Solver steps per frame; None takes the fewest that are accurate in time.
        refine: As in `Rollout`.

    Raises:
        ValueError: If steps with ``substeps`` would be unstable.
    """
    guesses = {it.name: it.coefficient(it.free_start(problem), problem) for it in learnables}
    viscosity = max(float(problem.viscosity.max()), float(guesses.get("viscosity", torch.zeros(1)).max()))
    fastest = max(1.0, float(guesses.get("advection", torch.ones(())).abs()))
    speed = [fastest * along for along in problem.speed]
    limit = scheme.largest_stable_step(problem.domain.refined(refine), speed, viscosity)
    if substeps is None:
        substeps = max(1, math.ceil(problem.dt / (_FRACTION_OF_STABLE_STEP * limit)))
    elif substeps * limit < problem.dt:
        raise ValueError(
            f"model.substeps {substeps} makes steps of {problem.dt / substeps:.3g}, but {scheme} is stable up to "
            f"{limit:.3g}: leave model.substeps out, or set it to {math.ceil(problem.dt / limit)} or more"
        )
    return Rollout(scheme, problem.domain, problem.dt, substeps, refine)
