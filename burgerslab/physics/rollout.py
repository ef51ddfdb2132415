"""Repeated steps of a scheme: batched, differentiable, guarded, and captured as a graph where that pays."""

import math as numbers
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.physics import phi_bridge
from burgerslab.physics.checkpointing import Coefficients, recomputed
from burgerslab.physics.divergence import check_finite
from burgerslab.physics.domain import Domain
from burgerslab.physics.refinement import coarsen, refine
from burgerslab.physics.rollout_inputs import check_coefficients, complete_directions
from burgerslab.physics.schemes import Scheme
from burgerslab.physics.solver_step import shared_step
from burgerslab.physics.step_graph import Step

# What the backward pass of one step keeps, in velocity fields; the best length of a segment depends on it weakly.
_STATES_SAVED_PER_STEP = 20


class UnstableStepError(ValueError):
    """A step size beyond the scheme's stability limit."""


class Rollout:
    """Solver of u_t + c (u·∇)u = ∇·(ν∇u) + f from initial frames, in physical units; by default c = 1, f = 0.

    PhiFlow's eager mode spends most of its time on small grids in Python. After some 64 steps at one shape the
    step is recorded once as a graph of torch operations and replayed: bit for bit the same result, 2 to 8
    times faster on small grids. Gradients flow through either.

    Args:
        scheme: Space-time discretisation.
        domain: Box and grid.
        dt: Time between frames, units T.
        substeps: Solver steps per frame.
        refine: Solve on a grid with this many times more cells along each axis. The initial frames are interpolated
            by their Fourier series, and the frames returned are point values at the cell centres of ``domain``. Steep
            fronts need it; where advection limits the step, so many times more substeps too.
        capture: Whether long rollouts are captured.
        compile: Whether the captured step is compiled to machine code, for runs of hours: it costs half a minute or
            more for every shape, at its first step, and again at the first one that needs gradients. Results agree
            with those of the captured step to rounding. `sensitivities` takes the captured step all the same.
        checkpoint: Steps per segment whose intermediate results a backward pass computes anew instead of keeping
            them; true chooses √(steps/20), which needs the least memory. The gradients are the same to the bit, for
            about a third more time. A gradient of a gradient is not to be had.

    Raises:
        ValueError: If ``dt`` is not positive, ``substeps`` or ``refine`` or ``checkpoint`` is less than 1, or
            ``compile`` is asked for without ``capture``.
    """

    def __init__(
        self,
        scheme: Scheme,
        domain: Domain,
        dt: float,
        substeps: int = 1,
        refine: int = 1,
        capture: bool = True,
        compile: bool = False,
        checkpoint: bool | int = False,
    ) -> None:
        if not (numbers.isfinite(dt) and dt > 0):
            raise ValueError(f"dt must be positive and finite, got {dt}")
        for option, value in (("substeps", substeps), ("refine", refine)):
            if value < 1 or value != int(value):
                raise ValueError(f"{option} must be a whole number from 1 on, got {value}")
        self.scheme = scheme
        self.domain = domain
        self.dt = float(dt)
        self.substeps = int(substeps)
        self.refine = int(refine)
        self._solved_domain = domain.refined(self.refine)
        self._capture = capture and scheme.capturable
        if compile and not self._capture:
            reason = f"{type(scheme).__name__} is not capturable" if capture else "capture is false"
            raise ValueError(f"compile: true needs a captured step, but {reason}; set compile: false")
        if checkpoint is not True and checkpoint is not False and checkpoint < 1:
            raise ValueError(f"checkpoint must be true, false or at least 1 step, got {checkpoint}")
        self._checkpoint = checkpoint
        self._compile = compile
        self._step = shared_step(scheme, self._solved_domain, self.dt / self.substeps, compile)

    def __reduce__(self) -> tuple[type["Rollout"], tuple[object, ...]]:
        """The settings are pickled; a process that has it captures its own step."""
        settings = (self.scheme, self.domain, self.dt, self.substeps, self.refine, self._capture, self._compile)
        return Rollout, (*settings, self._checkpoint)

    def __call__(
        self,
        velocity: Float[Tensor, "B C *N"],
        viscosity: Float[Tensor, "*V"],
        num_frames: int,
        advection: Float[Tensor, ""] | None = None,
        forcing: Float[Tensor, "*F"] | None = None,
    ) -> Float[Tensor, "B T C *N"]:
        """Frames 1 to ``num_frames`` after the given one; the initial frame is not included.

        Args:
            velocity: Initial frames, float32 or float64, units L/T.
            viscosity: Scalar ``()``, one per trajectory ``(B,)``, or values at the cell centres ``(1, *N)`` for all
                trajectories or ``(B, *N)``; same dtype, units L²/T.
            num_frames: Number T of frames to return.
            advection: c, without unit; None is 1.
            forcing: f, a constant ``(C,)`` or values at the cell centres ``(1, C, *N)`` or ``(B, C, *N)``, units
                L/T²; None is 0.

        Raises:
            DivergedError: If a frame is not finite; says which trajectory and frame first.
            ValueError: If shapes, dtypes or ``num_frames`` do not fit, or the scheme has no way to solve with such
                coefficients.
        """
        _check_num_frames(num_frames)
        phi_bridge.bits(velocity)
        coefficients = self._refined_coefficients(self._coefficients(velocity, viscosity, advection, forcing))
        velocity = self._refined(velocity)
        step = self._step_for(velocity, coefficients, num_frames * self.substeps)
        stacked = torch.stack(list(self._frames(step, velocity, coefficients, num_frames)), dim=1)
        check_finite(stacked.detach(), self.dt)
        return stacked

    def sensitivities(
        self,
        velocity: Float[Tensor, "B C *N"],
        viscosity: Float[Tensor, "*V"],
        num_frames: int,
        directions: Mapping[str, Tensor],
        advection: Float[Tensor, ""] | None = None,
        forcing: Float[Tensor, "*F"] | None = None,
    ) -> Iterator[tuple[Float[Tensor, "B C *N"], Float[Tensor, "K B C *N"]]]:
        """Frames one by one, each with its derivatives with respect to K scalar parameters.

        This is forward differentiation: nothing is kept from step to step, and memory does not grow with
        ``num_frames``. A least-squares objective, its gradient and its Gauss-Newton matrix are sums over what is
        yielded. For one or two parameters it costs no more time than a backward pass; for each further one, another
        rollout or more.

        Args:
            velocity: Initial frames, as for a call.
            viscosity: As for a call.
            num_frames: Number of frames that are yielded.
            directions: For ``velocity``, ``viscosity``, ``advection`` or ``forcing``: its derivatives with respect to
                the parameters, its own shape after a leading axis of K. What is not named does not depend on them.
            advection: As for a call.
            forcing: As for a call.

        Yields:
            A frame and its derivatives.

        Raises:
            DivergedError: If a frame is not finite.
            ValueError: As for a call; also if the directions do not fit, or the scheme is not capturable.
        """
        _check_num_frames(num_frames)
        phi_bridge.bits(velocity)
        if not self.scheme.capturable:
            raise ValueError(
                f"sensitivities need a captured step, but {type(self.scheme).__name__} is not capturable"
            )
        coefficients = self._coefficients(velocity, viscosity, advection, forcing)
        derivatives = complete_directions(directions, {"velocity": velocity, **coefficients})
        return self._sensitivities(velocity, coefficients, derivatives, num_frames)

    @torch.no_grad()
    def _sensitivities(
        self, velocity: Tensor, coefficients: dict[str, Tensor], derivatives: dict[str, Tensor], num_frames: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        rates = {name: derivatives[name] for name in coefficients}
        for name, tensor in coefficients.items():
            if tensor.ndim > 1:
                rates[name] = refine(rates[name], self.domain, self.refine)
        coefficients = self._refined_coefficients(coefficients)
        velocity, rate = self._refined(velocity), self._refined(derivatives["velocity"])
        step = self._step.tangent(velocity, coefficients, len(rate))
        for frame in range(1, num_frames + 1):
            for _ in range(self.substeps):
                velocity, rate = step(velocity, rate, *coefficients.values(), *rates.values())
            on_domain = coarsen(velocity, self.domain, self.refine)
            check_finite(on_domain[:, None], self.dt, frame)
            yield on_domain, coarsen(rate, self.domain, self.refine)

    def check_stability(self, velocity: Float[Tensor, "B C *N"], viscosity: float) -> None:
        """Compare the step size with the scheme's limit before any time is spent.

        Args:
            velocity: Initial frames; speeds never grow in Burgers' equation, so these bound the whole rollout.
            viscosity: Largest viscosity, units L²/T.

        Raises:
            UnstableStepError: Says the limit and the three ways to keep it.
            ValueError: If an initial frame is not finite.
        """
        if not bool(torch.isfinite(velocity.detach()).all()):
            broken = (~torch.isfinite(velocity.detach())).flatten(1).any(dim=1).nonzero().flatten().tolist()
            raise ValueError(
                f"the initial frames of trajectories {broken} are not finite; check the data they come from"
            )
        per_axis = self._refined(velocity.detach()).abs().amax(dim=(0, *range(2, velocity.ndim)))
        limit = self.scheme.largest_stable_step(self._solved_domain, per_axis.tolist(), viscosity)
        step_size = self.dt / self.substeps
        if step_size > limit * (1 + 1e-9):
            raise UnstableStepError(
                f"{type(self.scheme).__name__} is unstable with steps of {step_size:.3g}: at speed "
                f"{per_axis.max().item():.3g}, viscosity {viscosity:.3g} and cells of "
                f"{min(self._solved_domain.spacing):.3g} its limit is {limit:.3g}. Set substeps to "
                f"{numbers.ceil(self.dt / limit)} or more (now {self.substeps}), or dt to "
                f"{_rounded_down(limit * self.substeps):.3g} or less (now {self.dt:.3g}), or use a coarser resolution"
                + (f" or a smaller refine (now {self.refine})" if self.refine > 1 else "")
            )

    def _refined(self, velocity: Float[Tensor, "B C *N"]) -> Float[Tensor, "B C *M"]:
        """The same velocity on the grid that is solved on."""
        return refine(velocity, self.domain, self.refine).contiguous()

    def _coefficients(
        self, velocity: Tensor, viscosity: Tensor, advection: Tensor | None, forcing: Tensor | None
    ) -> dict[str, Tensor]:
        """What a step takes beside the velocity."""
        given = {"viscosity": viscosity, "advection": advection, "forcing": forcing}
        present = {name: tensor for name, tensor in given.items() if tensor is not None}
        check_coefficients(present, velocity, self.scheme)
        return present

    def _refined_coefficients(self, coefficients: dict[str, Tensor]) -> dict[str, Tensor]:
        """On the grid that is solved on, where they vary in space."""
        return {
            name: refine(tensor, self.domain, self.refine) if tensor.ndim > 1 else tensor
            for name, tensor in coefficients.items()
        }

    def _step_for(self, velocity: Tensor, coefficients: dict[str, Tensor], num_steps: int) -> Step:
        if not self._capture:
            return self._step.eager(velocity, coefficients)
        if self._compile or self._step.is_worth_recording(velocity, coefficients, num_steps):
            return self._step.recorded(velocity, coefficients)
        return self._step.eager(velocity, coefficients)

    def _frames(
        self, step: Step, velocity: Tensor, coefficients: dict[str, Tensor], num_frames: int
    ) -> Iterator[Tensor]:
        """Frames on the grid of ``domain``."""
        num_steps = num_frames * self.substeps
        segment = self._steps_per_segment(num_steps) if torch.is_grad_enabled() else num_steps

        for first in range(0, num_steps, segment):
            per_step = [tuple(coefficients.values())] * min(segment, num_steps - first)
            advance = partial(self._advance, step, first)
            if segment < num_steps:
                *reached, velocity = recomputed(advance, velocity, per_step)
            else:
                *reached, velocity = advance(velocity, per_step)
            yield from reached

    def _advance(
        self, step: Step, first: int, velocity: Tensor, per_step: Sequence[Coefficients]
    ) -> tuple[Tensor, ...]:
        """The frames reached by the steps that follow the first ``first`` ones, and where they end."""
        reached = []
        for number, coefficients in enumerate(per_step, start=first + 1):
            # Through views, the gradients of one step are added to each other before they are added to those of
            # others, as they are where a segment is computed anew: both give the same to the bit.
            velocity = step(velocity.view_as(velocity), *(tensor.view_as(tensor) for tensor in coefficients))
            if number % self.substeps == 0:
                reached.append(coarsen(velocity, self.domain, self.refine))
        return *reached, velocity.view_as(velocity)

    def _steps_per_segment(self, num_steps: int) -> int:
        if self._checkpoint is False:
            return num_steps
        if self._checkpoint is True:
            return numbers.ceil(numbers.sqrt(num_steps / _STATES_SAVED_PER_STEP))
        return self._checkpoint


def _check_num_frames(num_frames: int) -> None:
    if num_frames < 1:
        raise ValueError(f"num_frames must be at least 1, got {num_frames}")


def _rounded_down(number: float) -> float:
    """To three digits, so that a limit that is read off a message and adopted is kept."""
    unit = 10.0 ** (numbers.floor(numbers.log10(number)) - 2)
    return numbers.floor(number / unit) * unit
