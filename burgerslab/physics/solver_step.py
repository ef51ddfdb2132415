"""One step of a scheme as a function of plain tensors: run by PhiFlow, recorded, compiled, or with derivatives."""

import logging
from functools import lru_cache

import torch
from phi import math
from phi.field import Field
from torch import Tensor

from burgerslab.physics import phi_bridge
from burgerslab.physics.domain import Domain
from burgerslab.physics.equation import Equation
from burgerslab.physics.schemes import GeneralScheme, Scheme
from burgerslab.physics.step_graph import Step, compiled, record, with_derivatives

_LOGGER = logging.getLogger(__name__)

Key = tuple[object, ...]

# A recording costs as much as 15 to 100 eager steps and saves half or more of each later one.
_NUM_STEPS_WORTH_A_CAPTURE = 64
# Of the steps that are shared: what was recorded of an older one is forgotten.
_MOST_SHARED = 16


class SolverStep:
    """Steps of one scheme on one grid, ``step(velocity, *coefficients) -> velocity``; recorded once per shape.

    Args:
        scheme: Space-time discretisation.
        domain: Box and grid.
        step_size: Units T.
        compile: Whether what is recorded is compiled to machine code too.
    """

    def __init__(self, scheme: Scheme, domain: Domain, step_size: float, compile: bool) -> None:
        self._scheme = scheme
        self._domain = domain
        self._step_size = step_size
        self._compile = compile
        self._recorded: dict[Key, Step] = {}
        self._num_asked: dict[Key, int] = {}

    def eager(self, velocity: Tensor, coefficients: dict[str, Tensor]) -> Step:
        """The step as PhiFlow runs it."""
        step_size = torch.tensor(self._step_size, dtype=velocity.dtype, device=velocity.device)
        return _EagerStep(self._scheme, self._domain, step_size, tuple(coefficients))

    def is_worth_recording(self, velocity: Tensor, coefficients: dict[str, Tensor], num_steps: int) -> bool:
        """Whether it is recorded for these shapes, or so many steps have been asked for that it pays.

        Args:
            velocity: Example of a state.
            coefficients: Examples by name.
            num_steps: That are asked for now.
        """
        key = _key(velocity, coefficients)
        self._num_asked[key] = self._num_asked.get(key, 0) + num_steps
        return key in self._recorded or self._num_asked[key] >= _NUM_STEPS_WORTH_A_CAPTURE

    def recorded(self, velocity: Tensor, coefficients: dict[str, Tensor]) -> Step:
        """The step as a graph of torch operations."""
        key = _key(velocity, coefficients)
        if key not in self._recorded:
            _LOGGER.debug("capturing %s at %s", self._scheme, key)
            inputs = (velocity, *coefficients.values())
            graph = record(self.eager(velocity, coefficients), inputs)
            self._recorded[key] = compiled(graph, inputs) if self._compile else graph
        return self._recorded[key]

    def tangent(self, velocity: Tensor, coefficients: dict[str, Tensor], num_directions: int) -> Step:
        """``(velocity, d velocity, *coefficients, *d coefficients) -> (velocity, d velocity)``, recorded.

        Every d has a leading axis of ``num_directions``.
        """
        key = (*_key(velocity, coefficients), num_directions)
        if key not in self._recorded:
            eager = self.eager(velocity, coefficients)
            graph = with_derivatives(eager, (velocity, *coefficients.values()), num_directions)
            self._recorded[key] = graph
        return self._recorded[key]


def shared_step(scheme: Scheme, domain: Domain, step_size: float, compile: bool) -> SolverStep:
    """The step that all rollouts of a process with these arguments have in common, so that it is recorded once.

    Repeated fits (several starts, cycles of a hybrid run) make a rollout each. Schemes that cannot be hashed, or are
    compared by identity and not by value, may change, and share nothing.
    """
    if type(scheme).__hash__ is object.__hash__:
        return SolverStep(scheme, domain, step_size, compile)
    try:
        hash(scheme)
    except TypeError:
        return SolverStep(scheme, domain, step_size, compile)
    return _shared_step(scheme, domain, step_size, compile)


def forget_shared_steps() -> None:
    """Record anew what rollouts made from now on need, as the first one of a process does."""
    _shared_step.cache_clear()


@lru_cache(maxsize=_MOST_SHARED)
def _shared_step(scheme: Scheme, domain: Domain, step_size: float, compile: bool) -> SolverStep:
    return SolverStep(scheme, domain, step_size, compile)


def _key(velocity: Tensor, coefficients: dict[str, Tensor]) -> Key:
    shapes = tuple((name, tuple(tensor.shape)) for name, tensor in coefficients.items())
    return tuple(velocity.shape), velocity.dtype, velocity.device, shapes


class _EagerStep:
    def __init__(self, scheme: Scheme, domain: Domain, step_size: Tensor, names: tuple[str, ...]) -> None:
        self._scheme = scheme
        self._domain = domain
        self._step_size = step_size
        self._names = names

    def __call__(self, velocity: Tensor, *coefficients: Tensor) -> Tensor:
        given = dict(zip(self._names, coefficients, strict=True))
        with phi_bridge.like(velocity):
            field = phi_bridge.to_field(velocity, self._domain)
            after = self._advance(field, math.wrap(self._step_size), given)
            return phi_bridge.to_native(after).contiguous()

    def _advance(self, velocity: Field, dt: math.Tensor, given: dict[str, Tensor]) -> Field:
        viscosity = phi_bridge.wrap_viscosity(given["viscosity"], self._domain)
        if not isinstance(self._scheme, GeneralScheme):
            return self._scheme.step(velocity, viscosity, dt)
        deficit = None
        if given["viscosity"].ndim > 1:
            level = _smooth_maximum(viscosity)
            viscosity, deficit = level, viscosity - level
        advection = math.wrap(given["advection"]) if "advection" in given else None
        forcing = phi_bridge.wrap_forcing(given["forcing"], self._domain) if "forcing" in given else None
        return self._scheme.advance(velocity, Equation(viscosity, deficit, advection, forcing), dt)


def _smooth_maximum(viscosity: math.Tensor) -> math.Tensor:
    """(mean ν³²)^(1/32) over the cells: between half the maximum and the maximum on up to 2³² cells.

    The maximum itself has a kink wherever two cells share it, which a solution inherits through its error in time;
    a line search would end there.
    """
    unit = math.stop_gradient(math.max(viscosity, math.spatial))
    return unit * math.mean((viscosity / unit) ** 32, math.spatial) ** (1 / 32)
