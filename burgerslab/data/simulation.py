"""What a store is generated from: domain, initial condition, viscosity, scheme, times, seed."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_type_hints

import numpy as np
import torch

from burgerslab.data.store import FieldSpec, StoreLayout
from burgerslab.physics import (
    ConstantViscosity,
    Domain,
    FiniteDifference,
    FourierPotential,
    InitialCondition,
    NoPotentialError,
    RandomFourier,
    Rollout,
    Scheme,
    SchemeOrExact,
    Viscosity,
)

# Raise when a change makes other numbers from the same settings: stores made before then no longer match.
NUMERICS_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Simulation:
    """Settings of a set of simulated trajectories.

    Trajectory i depends on the settings, ``seed`` and i only.

    Args:
        domain: Box and grid.
        viscosity: One number, units L²/T, or a distribution.
        initial: Distribution of initial velocities.
        scheme: Space-time discretisation; or `ColeHopf`, the exact solution, which needs curl-free initial
            velocities and takes no steps.
        num_trajectories: Number of trajectories.
        num_frames: Stored frames of each, the initial one included.
        dt: Time between frames, units T.
        substeps: Solver steps per frame.
        refine: Solve on a grid with this many times more cells along each axis; stored are the cells of ``domain``.
        seed: Of initial conditions and viscosities.
        dtype: Precision of the scheme; the exact solution is always computed in float64. Stored values are float32.

    Raises:
        ValueError: If a number is out of range, or the exact solution is given substeps.
    """

    domain: Domain
    viscosity: float | Viscosity
    dt: float
    num_frames: int
    num_trajectories: int
    initial: InitialCondition = dataclasses.field(default_factory=RandomFourier)
    scheme: SchemeOrExact = dataclasses.field(default_factory=FiniteDifference)
    substeps: int = 1
    refine: int = 1
    seed: int = 0
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        for name, least in (("num_trajectories", 1), ("num_frames", 2), ("substeps", 1), ("refine", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"simulation.{name} must be at least {least}, got {getattr(self, name)}")
        if not (np.isfinite(self.dt) and self.dt > 0):
            raise ValueError(f"simulation.dt must be positive and finite, got {self.dt}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"simulation.dtype must be float32 or float64, got {self.dtype}")
        for name in ("substeps", "refine"):
            if self.scheme.is_exact and getattr(self, name) != 1:
                raise ValueError(
                    f"simulation.{name} has no meaning for the exact solution, simulation.scheme ColeHopf; leave it "
                    f"out, got {getattr(self, name)}"
                )
        object.__setattr__(self, "dt", float(self.dt))
        if not isinstance(self.viscosity, Viscosity):
            object.__setattr__(self, "viscosity", ConstantViscosity(float(self.viscosity)))

    @property
    def layout(self) -> StoreLayout:
        """Shape and physical facts of the store that these settings make."""
        velocity = FieldSpec("velocity", components=self.domain.axis_names, units="L T^-1")
        return StoreLayout(self.domain, self.num_trajectories, self.num_frames, self.dt, (velocity,))

    def settings(self) -> dict[str, Any]:
        """Everything that determines the stored numbers, as plain values.

        Raises:
            ValueError: If an object of the user's own is no dataclass, so that its settings cannot be recorded.
        """
        settings = _plain(self, "simulation")["init_args"]
        if self.scheme.is_exact:  # of which these say nothing
            del settings["substeps"], settings["refine"], settings["dtype"]
        source = "exact" if self.scheme.is_exact else "simulation"
        return {"source": source, "numerics_version": NUMERICS_VERSION, **settings}

    def trajectory_seeds(self) -> np.ndarray:
        """One seed per trajectory, uint64."""
        sequences = (np.random.SeedSequence([self.seed, index]) for index in range(self.num_trajectories))
        return np.array([sequence.generate_state(1, np.uint64)[0] for sequence in sequences])

    def draw_viscosity(self, seed: int) -> float:
        """Viscosity of the trajectory with a seed, units L²/T."""
        assert isinstance(self.viscosity, Viscosity)
        return self.viscosity.sample(np.random.default_rng(_streams(seed)[0]))

    def draw_initial(self, seed: int) -> torch.Tensor:
        """Initial velocity of the trajectory with a seed, ``(C, *N)`` in the precision of the solver, units L/T.

        Raises:
            ValueError: If the initial condition returns another shape or values that are not finite.
        """
        values = self.initial.sample(self.domain, np.random.default_rng(_streams(seed)[1]))
        expected = (self.domain.dimension, *self.domain.resolution)
        if values.shape != expected or not np.isfinite(values).all():
            raise ValueError(
                f"simulation.initial: {type(self.initial).__name__}.sample must return finite values of shape "
                f"(C, *N) = {expected}, got shape {values.shape}"
            )
        return torch.from_numpy(values).to(self.torch_dtype)

    def draw_potential(self, seed: int) -> FourierPotential:
        """Potential of the initial velocity of the trajectory with a seed.

        Raises:
            NoPotentialError: If the initial velocity is no gradient, or the cells do not resolve it.
        """
        try:
            return self.initial.sample_potential(self.domain, np.random.default_rng(_streams(seed)[1]))
        except NoPotentialError as error:
            raise NoPotentialError(f"simulation.initial: {error}") from None

    def rollout(self) -> Rollout:
        """Solver with these settings, which are not those of the exact solution."""
        assert isinstance(self.scheme, Scheme)
        return Rollout(self.scheme, self.domain, self.dt, self.substeps, self.refine)

    @property
    def torch_dtype(self) -> torch.dtype:
        """Precision of the solver."""
        return {"float32": torch.float32, "float64": torch.float64}[self.dtype]


def _streams(seed: int) -> list[np.random.SeedSequence]:
    """Independent sources of a trajectory's viscosity and of its initial velocity."""
    return np.random.SeedSequence(seed).spawn(2)


def _plain(value: Any, where: str, real: bool = False) -> Any:
    """Settings as numbers, strings, lists and dicts; objects as class_path and init_args, as YAML writes them.

    Args:
        value: A setting.
        where: Its name, for the message.
        real: Whether it is declared as a real number, so that 1 and 1.0 are the same setting.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        module = type(value).__module__
        if module.startswith("burgerslab."):  # the public path, which stays when a class moves to another file
            module = ".".join(module.split(".")[:2])
        declared = get_type_hints(type(value))
        return {
            "class_path": f"{module}.{type(value).__qualname__}",
            "init_args": {
                field.name: _plain(
                    getattr(value, field.name), f"{where}.{field.name}", _is_real(declared[field.name])
                )
                for field in dataclasses.fields(value)
                if field.init
            },
        }
    if isinstance(value, list | tuple):
        return [_plain(item, where, real) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item, f"{where}.{key}", real) for key, item in value.items()}
    if isinstance(value, int | np.integer) and real:
        return float(value)
    if value is None or isinstance(value, str | int | float | np.number):
        return value
    raise ValueError(
        f"{where}: {type(value).__name__} cannot be recorded with the data; make it a dataclass whose fields are its "
        "settings: numbers, text, lists, mappings or such dataclasses"
    )


def _is_real(declared: Any) -> bool:
    """Whether a type has ``float`` in it and not ``int``."""
    if declared in (int, float):
        return declared is float
    inner = [_is_real(part) for part in get_args(declared)]
    return any(inner) and int not in get_args(declared)
