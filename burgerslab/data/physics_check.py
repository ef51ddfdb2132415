"""Whether the frames of a store obey Burgers' equation with the viscosity that the store records."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from burgerslab.data.store import Store
from burgerslab.physics import Domain, cell_peclet
from burgerslab.physics.coefficients import Coefficients
from burgerslab.physics.energy_balance import BandEnergies, balance_coefficients, band_energies
from burgerslab.physics.resolution import LARGEST_RESOLVED_CELL_PECLET
from burgerslab.physics.rollout_fit import num_substeps, rollout_coefficients

_MOST_TRAJECTORIES = 8
_MOST_GROUPS = 6
_OFFSETS = (0, 1, 4, 16)  # of the frames of a group: one of these distances is neither too short nor too long
_BALANCE_BUDGET = 1_200_000  # cells x axes of all frames: 2 s
_BALANCE_AT_ONCE = 100_000  # cells
_ROLLOUT_TRAJECTORIES = 4
_WINDOW_FRAMES = 8
_ROLLOUT_BUDGET = 0.5  # seconds of one rollout, of which a fit takes six to ten
_SECONDS_PER_STEP, _SECONDS_PER_VALUE = 1.7e-3, 6e-7  # of one CPU core, eager
_PATIENCE = 4  # times the budget, where frames are far apart
_MOST_REFINED = 4
_DETERMINED = 0.5  # relative standard error


@dataclass(frozen=True)
class PhysicsCheck:
    """Viscosities and advection coefficients that fit the frames of some trajectories.

    Args:
        trajectories: Indices of the B trajectories whose energies were balanced.
        recorded: Viscosities in the store, ``(B,)``, units L²/T.
        peclet: Largest cell Péclet number of each with the recorded viscosity, ``(B,)``.
        balance: From the energy balance, for B trajectories.
        rollout: From short rollouts, for the first of them; None where frames are too far apart to be rolled out.
        refinement: How many times finer the grid of the rollouts was.
    """

    trajectories: tuple[int, ...]
    recorded: npt.NDArray[np.float64]
    peclet: npt.NDArray[np.float64]
    balance: Coefficients
    rollout: Coefficients | None
    refinement: int


@dataclass(frozen=True)
class _WindowPlan:
    """Windows for rollouts: first frames, frames apart, frames after the first, and how much finer to solve."""

    count: int
    starts: tuple[int, ...]
    stride: int
    num_frames: int
    refinement: int


def check_physics(store: Store) -> PhysicsCheck:
    """Fit ν and c of u_t + c (u·∇)u = ν Δu to some frames of some trajectories, in seconds.

    At most 8 trajectories are read; of a grid of 64 x 64 cells some 140 frames enter the energy balance, of finer
    ones fewer. Rollouts start at the first frame and in the middle of at most 4 trajectories.

    Args:
        store: A complete store. Trajectories with a viscosity of 0 are left out.

    Raises:
        ValueError: If the viscosity of every trajectory is 0.
        StoreCorruptError: If a value is not what was written.
    """
    layout = store.layout
    num_frames = max(4, _BALANCE_BUDGET // (layout.domain.num_cells * layout.domain.dimension))
    viscous = np.flatnonzero(store.viscosity > 0)
    if not viscous.size:
        raise ValueError(f"{store.path}: the viscosity of every trajectory is 0, beside which none can be fitted")
    count = min(_MOST_TRAJECTORIES, viscous.size, max(1, num_frames // (2 * len(_OFFSETS))))
    trajectories = viscous[np.unique(np.linspace(0, viscous.size - 1, count).round().astype(int))]
    chosen, pairs = sampled_frames(layout.num_frames, num_frames // len(trajectories))
    intervals = [(first, last, (chosen[last] - chosen[first]) * layout.dt) for first, last in pairs]
    recorded = torch.tensor(store.viscosity[trajectories])
    energies, peclet, kept = [], [], []
    for position, trajectory in enumerate(trajectories.tolist()):
        frames = torch.from_numpy(store.read("velocity", [trajectory])[0])
        energies.append(_energies(frames[chosen].double(), layout.domain))
        peclet.append(float(cell_peclet(frames[None].double(), layout.domain, float(recorded[position]))[0]))
        if position < _ROLLOUT_TRAJECTORIES:
            kept.append(frames)
    balance = balance_coefficients(_joined(energies), intervals, recorded)
    rollout, refinement = _roll_out(kept, layout.domain, layout.dt, recorded, peclet, balance)
    return PhysicsCheck(
        tuple(trajectories.tolist()), recorded.numpy(), np.array(peclet), balance, rollout, refinement
    )


def sampled_frames(num_frames: int, most: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Frames of a trajectory to look at, and which pairs of them to compare.

    Args:
        num_frames: Frames of a trajectory, at least 2.
        most: About so many at most; at least two are taken.

    Returns:
        Frame numbers in rising order, and pairs of positions in that list.
    """
    offsets = _OFFSETS[: max(2, min(len(_OFFSETS), most))]
    num_groups = min(_MOST_GROUPS, max(1, most // len(offsets)))
    starts = np.unique(np.linspace(0, num_frames - 2, num_groups).round().astype(int)).tolist()
    pairs = {(start, start + offset) for start in starts for offset in offsets[1:] if start + offset < num_frames}
    chosen = sorted({frame for pair in pairs for frame in pair})
    return chosen, sorted((chosen.index(first), chosen.index(last)) for first, last in pairs)


def _energies(frames: Tensor, domain: Domain) -> BandEnergies:
    at_once = max(1, _BALANCE_AT_ONCE // domain.num_cells)
    return _joined([band_energies(part, domain) for part in frames.split(at_once)])


def _joined(parts: list[BandEnergies]) -> BandEnergies:
    return BandEnergies(
        torch.cat([part.energy for part in parts]),
        tuple(torch.cat(rates) for rates in zip(*(part.rates for part in parts), strict=True)),
        torch.cat([part.rounding for part in parts]),
    )


def _roll_out(
    frames: list[Tensor], domain: Domain, dt: float, recorded: Tensor, peclet: list[float], balance: Coefficients
) -> tuple[Coefficients | None, int]:
    """Coefficients of the first trajectories, ``(T, C, *N)`` each, and the refinement of the grid."""
    count = len(frames)
    told = (balance.viscosity_error[:count] < _DETERMINED) & (balance.advection_error[:count] < _DETERMINED)
    told &= balance.advection[:count].abs() > 0.1
    viscosity = torch.where(told, balance.viscosity[:count], recorded[:count])
    advection = torch.where(told, balance.advection[:count], torch.ones_like(viscosity))
    effective = torch.tensor(peclet[:count]) * recorded[:count] / viscosity
    plan = _plan(frames, domain, dt, advection, float(effective.max()))
    if plan is None:
        return None, 1
    last = plan.num_frames * plan.stride
    windows = torch.stack(
        [
            torch.stack([one[start : start + last + 1 : plan.stride].double() for start in plan.starts])
            for one in frames[: plan.count]
        ]
    )
    step, own = dt * plan.stride, slice(plan.count)
    return rollout_coefficients(
        windows, domain, step, viscosity[own], advection[own], plan.refinement
    ), plan.refinement


def _plan(frames: list[Tensor], domain: Domain, dt: float, advection: Tensor, peclet: float) -> _WindowPlan | None:
    """The finest grid and the longest windows that the time allows; None if not one frame can be reached."""
    total = len(frames[0])
    starts = (0, total // 2) if total >= 4 else (0,)
    longest = total - 1 - starts[-1]
    enough = min(3, longest)
    wanted = math.ceil(min(_MOST_REFINED, max(1.0, peclet / LARGEST_RESOLVED_CELL_PECLET)))
    counts = [count for count in (4, 3, 2, 1) if count <= len(frames)]
    candidates = [(count, starts, k, enough, 1) for k in range(wanted, 0, -1) for count in counts]
    candidates += [(1, starts[:1], 1, 1, patience) for patience in (1, _PATIENCE)]
    for count, begun, refinement, least, patience in candidates:
        first = torch.stack([one[start] for one in frames[:count] for start in begun]).double()
        substeps = num_substeps(first, domain, dt, advection[:count].repeat_interleave(len(begun)), refinement)
        values = domain.num_cells * domain.dimension * refinement**domain.dimension * len(first)
        num_steps = patience * _ROLLOUT_BUDGET / (_SECONDS_PER_STEP + _SECONDS_PER_VALUE * values)
        if (reach := min(longest, int(num_steps / substeps))) >= least:
            stride = max(1, reach // _WINDOW_FRAMES)
            return _WindowPlan(count, begun, stride, reach // stride, refinement)
    return None
