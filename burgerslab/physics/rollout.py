"""Repeated steps of a scheme: batched, differentiable, guarded, and captured as a graph where that pays."""

import logging
import math as numbers

import torch
from jaxtyping import Bool, Float
from phi import math
from phi.field import Field
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from burgerslab.physics import phi_bridge
from burgerslab.physics.domain import Domain
from burgerslab.physics.equation import Equation
from burgerslab.physics.refinement import coarsen, refine
from burgerslab.physics.schemes import GeneralScheme, Scheme

_LOGGER = logging.getLogger(__name__)

# A capture costs as much as 15 to 100 eager steps and saves half or more of each later one.
_NUM_STEPS_WORTH_A_CAPTURE = 64


class DivergedError(ValueError):
    """A rollout became infinite or not a number."""


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

    Raises:
        ValueError: If ``dt`` is not positive, or ``substeps`` or ``refine`` is less than 1.
    """

    def __init__(
        self,
        scheme: Scheme,
        domain: Domain,
        dt: float,
        substeps: int = 1,
        refine: int = 1,
        capture: bool = True,
    ) -> None:
        if not (numbers.isfinite(dt) and dt > 0):
            raise ValueError(f"dt must be positive and finite, got {dt}")
        if substeps < 1:
            raise ValueError(f"substeps must be at least 1, got {substeps}")
        if refine < 1:
            raise ValueError(f"refine must be at least 1, got {refine}")
        self.scheme = scheme
        self.domain = domain
        self.dt = float(dt)
        self.substeps = int(substeps)
        self.refine = int(refine)
        self._solved_domain = domain.refined(self.refine)
        self._capture = capture and scheme.capturable
        self._graphs: dict[tuple[object, ...], torch.fx.GraphModule] = {}
        self._num_eager_steps: dict[tuple[object, ...], int] = {}

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
        if num_frames < 1:
            raise ValueError(f"num_frames must be at least 1, got {num_frames}")
        phi_bridge.bits(velocity)
        coefficients = self._coefficients(velocity, viscosity, advection, forcing)
        step_size = torch.tensor(self.dt / self.substeps, dtype=velocity.dtype, device=velocity.device)
        velocity = self._refined(velocity)
        step = self._step_for(velocity, step_size, coefficients, num_frames * self.substeps)
        frames = []
        for _ in range(num_frames):
            for _ in range(self.substeps):
                velocity = step(velocity, step_size, *coefficients.values())
            frames.append(coarsen(velocity, self.domain, self.refine))
        stacked = torch.stack(frames, dim=1)
        _check_finite(stacked.detach(), self.dt)
        return stacked

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
        """What a step takes beside velocity and step size, on the grid that is solved on."""
        given = {"viscosity": viscosity, "advection": advection, "forcing": forcing}
        present = {name: tensor for name, tensor in given.items() if tensor is not None}
        for name, tensor in present.items():
            if tensor.dtype != velocity.dtype:
                raise ValueError(f"{name} is {tensor.dtype} and velocity is {velocity.dtype}; give both in one dtype")
            _check_shape(name, tensor, velocity)
        spread = [name for name, tensor in present.items() if tensor.ndim > 1]
        general = [name for name in present if name != "viscosity" or name in spread]
        if general and not isinstance(self.scheme, GeneralScheme):
            raise ValueError(
                f"{type(self.scheme).__name__} solves u_t + (u·∇)u = ν Δu with a ν that is the same everywhere, and "
                f"takes no {' or '.join(general)}; choose FiniteDifference, FourierSpectral or WENO"
            )
        for name in spread:
            present[name] = refine(present[name], self.domain, self.refine)
        return present

    def _step_for(
        self, velocity: Tensor, step_size: Tensor, coefficients: dict[str, Tensor], num_steps: int
    ) -> "torch.fx.GraphModule | _EagerStep":
        eager = _EagerStep(self.scheme, self._solved_domain, tuple(coefficients))
        if not self._capture:
            return eager
        shapes = tuple((name, tuple(tensor.shape)) for name, tensor in coefficients.items())
        key = (tuple(velocity.shape), velocity.dtype, velocity.device, shapes)
        if key not in self._graphs:
            self._num_eager_steps[key] = self._num_eager_steps.get(key, 0) + num_steps
            if self._num_eager_steps[key] < _NUM_STEPS_WORTH_A_CAPTURE:
                return eager
            _LOGGER.debug("capturing %s at %s", self.scheme, key)
            inputs = (velocity, step_size, *coefficients.values())
            self._graphs[key] = make_fx(eager)(*(tensor.detach().contiguous() for tensor in inputs))
        return self._graphs[key]


def _check_shape(name: str, tensor: Tensor, velocity: Tensor) -> None:
    batch, components, *cells = velocity.shape
    allowed = {
        "viscosity": [(), (batch,), (1, *cells), (batch, *cells)],
        "advection": [()],
        "forcing": [(components,), (1, components, *cells), (batch, components, *cells)],
    }[name]
    if tuple(tensor.shape) not in allowed:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}; for velocity {tuple(velocity.shape)} give one of "
            f"{', '.join(map(str, dict.fromkeys(allowed)))}: one number, one per trajectory, or one per cell"
        )


def _rounded_down(number: float) -> float:
    """To three digits, so that a limit that is read off a message and adopted is kept."""
    unit = 10.0 ** (numbers.floor(numbers.log10(number)) - 2)
    return numbers.floor(number / unit) * unit


class _EagerStep:
    """One step as a function of plain tensors."""

    def __init__(self, scheme: Scheme, domain: Domain, names: tuple[str, ...]) -> None:
        self._scheme = scheme
        self._domain = domain
        self._names = names

    def __call__(self, velocity: Tensor, step_size: Tensor, *coefficients: Tensor) -> Tensor:
        given = dict(zip(self._names, coefficients, strict=True))
        with phi_bridge.like(velocity):
            field = phi_bridge.to_field(velocity, self._domain)
            after = self._advance(field, math.wrap(step_size), given)
            return phi_bridge.to_native(after).contiguous()

    def _advance(self, velocity: Field, dt: math.Tensor, given: dict[str, Tensor]) -> Field:
        viscosity = phi_bridge.wrap_viscosity(given["viscosity"], self._domain)
        if not isinstance(self._scheme, GeneralScheme):
            return self._scheme.step(velocity, viscosity, dt)
        deficit = None
        if given["viscosity"].ndim > 1:
            largest = math.max(viscosity, math.spatial)
            viscosity, deficit = largest, viscosity - largest
        advection = math.wrap(given["advection"]) if "advection" in given else None
        forcing = phi_bridge.wrap_forcing(given["forcing"], self._domain) if "forcing" in given else None
        return self._scheme.advance(velocity, Equation(viscosity, deficit, advection, forcing), dt)


def _check_finite(frames: Float[Tensor, "B T C *N"], dt: float) -> None:
    finite: Bool[Tensor, "B T"] = torch.isfinite(frames).flatten(2).all(dim=2)
    if bool(finite.all()):
        return
    trajectory = int((~finite).any(dim=1).nonzero()[0])
    frame = int((~finite[trajectory]).nonzero()[0]) + 1
    num_bad = int((~finite).any(dim=1).sum())
    raise DivergedError(
        f"the rollout is not finite in {num_bad} of {len(frames)} trajectories, first in trajectory {trajectory} at "
        f"frame {frame} (time {frame * dt:.3g}). Use more substeps, a finer resolution or refine (the cell Péclet "
        "number |u| dx / viscosity should stay below 5) or a larger viscosity"
    )
