"""Error of the viscosity that every scheme recovers from exact Cole-Hopf data, by cell Péclet number.

Run ``OMP_NUM_THREADS=1 python benchmarks/viscosity_bias.py``; it takes about eleven minutes of one core. One
trajectory per case, velocity components of at most 1 on a unit box, one window from the smooth first frame to time
0.4: the viscosity is the one whose rollout is nearest to the data in the mean square, found between half and twice
the true one.
"""

import argparse
import math
import time

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar

from burgerslab.physics import (
    WENO,
    DivergedError,
    Domain,
    FiniteDifference,
    FourierSpectral,
    MacCormack,
    Rollout,
    Scheme,
    SemiLagrangian,
)

Array = npt.NDArray[np.float64]

RESOLUTIONS = ((128,), (256,), (64, 64), (128, 128))
CELL_PECLET_NUMBERS = (0.2, 1.0, 2.0, 5.0)
NUM_FRAMES, DT = 8, 0.05
COURANT_NUMBER = 0.7  # Σ_i |u_i| dt / dx_i, or less where the scheme asks for less
LARGEST_FACTOR = 2.0  # between the true viscosity and the ends of the search
NUM_NODES = {1: 2048, 2: 256}
METHODS: list[tuple[Scheme, int]] = [  # and refine
    (SemiLagrangian(), 1),
    (MacCormack(), 1),
    (WENO(), 1),
    (FourierSpectral(), 1),
    (FiniteDifference(2), 1),
    (FiniteDifference(4), 1),
    (FiniteDifference(6), 1),
    (FiniteDifference(6), 4),
]


def initial_potential(x: list[Array]) -> tuple[Array, Array]:
    """ψ and u = ∇ψ of three plane waves, with |u_i| of at most 1; ``(*N)`` and ``(C, *N)``."""
    waves = [((1, 0), 1.0, 0.0), ((2, 1), 0.25, 0.3), ((0, 1), 0.8, 1.1)]
    if len(x) == 1:
        waves = [((1,), 1.0, 0.0), ((2,), 0.3, 0.3), ((3,), 0.1, 1.1)]
    grid = np.meshgrid(*x, indexing="ij")
    amplitude_sum = max(sum(abs(a * m[i]) for m, a, _ in waves) for i in range(len(x)))
    psi, velocity = np.zeros(grid[0].shape), np.zeros((len(x), *grid[0].shape))
    for modes, amplitude, phase in waves:
        angle = 2 * np.pi * sum(m * g for m, g in zip(modes, grid, strict=True)) + phase
        psi += amplitude / amplitude_sum * np.sin(angle) / (2 * np.pi)
        for component, mode in zip(velocity, modes, strict=True):
            component += amplitude / amplitude_sum * mode * np.cos(angle)
    return psi, velocity


def cole_hopf(domain: Domain, viscosity: float, at: float) -> Array:
    """U = Σ w u0 / Σ w with log w = -|x-y|²/(4νt) - ψ(y)/(2ν), axis by axis on the unit box; ``(C, *N)``."""
    nodes = (np.arange(NUM_NODES[domain.dimension]) + 0.5) / NUM_NODES[domain.dimension]
    potential, mean = initial_potential([nodes] * domain.dimension)
    log_weight = -potential / (2 * viscosity)
    around = np.concatenate([nodes - 1, nodes, nodes + 1])
    for _ in range(domain.dimension):  # integrates the last axis and puts it first among the axes of cells
        columns = []
        for x in domain.centres()[0]:
            exponent = np.tile(log_weight, 3) - (x - around) ** 2 / (4 * viscosity * at)
            largest = exponent.max(axis=-1, keepdims=True)
            weights = np.exp(exponent - largest)
            total = weights.sum(axis=-1)
            moments = (np.concatenate([mean] * 3, axis=-1) * weights).sum(axis=-1) / total
            columns.append((np.log(total) + largest[..., 0], moments))
        log_weight = np.stack([column for column, _ in columns])
        mean = np.stack([moments for _, moments in columns], axis=1)
    return mean


def recovered_viscosity(scheme: Scheme, refine: int, domain: Domain, data: Array, viscosity: float) -> float:
    """The viscosity whose rollout is nearest to frames ``(T + 1, C, *N)``; NaN where the best is at an end."""
    frames = torch.as_tensor(data)
    start, target = frames[None, 0], frames[None, 1:]
    speed = start.abs().amax(dim=(0, *range(2, start.ndim))).tolist()
    fine = domain.refined(refine)
    flow = sum(u / dx for u, dx in zip(speed, fine.spacing, strict=True))
    limit = 0.9 * scheme.largest_stable_step(fine, speed, LARGEST_FACTOR * viscosity)
    rollout = Rollout(scheme, domain, DT, math.ceil(DT / min(COURANT_NUMBER / flow, limit)), refine)

    def distance(log_viscosity: float) -> float:
        guess = torch.tensor(math.exp(log_viscosity), dtype=torch.float64)
        try:
            return float((rollout(start, guess, NUM_FRAMES) - target).square().mean() / target.square().mean())
        except DivergedError:
            return math.inf

    centre, width = math.log(viscosity), math.log(LARGEST_FACTOR)
    ends = (centre - width, centre + 1.01 * width)  # unequal, so that the truth is no point of the golden section
    best = minimize_scalar(distance, bounds=ends, method="bounded", options={"xatol": 1e-5})
    return math.exp(best.x) if min(abs(best.x - end) for end in ends) > 1e-3 else math.nan


def _takes_long(scheme: Scheme, refine: int, domain: Domain, peclet: float) -> bool:
    if domain.resolution == (128, 128):
        return scheme != FiniteDifference(6) or refine > 1 or peclet not in (1.0, 2.0)
    return refine > 1 and domain.dimension > 1 and peclet < 5


def main() -> None:
    """Print one row per scheme."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all cases in 2D too, for hours")
    full = parser.parse_args().full
    began = time.perf_counter()
    cases = []
    for resolution in RESOLUTIONS:
        domain = Domain((1.0,) * len(resolution), resolution)
        first = initial_potential(list(domain.centres()))[1]
        speed = float(np.sqrt((first**2).sum(axis=0)).max())
        for peclet in CELL_PECLET_NUMBERS:
            viscosity = speed * domain.spacing[0] / peclet
            later = [cole_hopf(domain, viscosity, DT * frame) for frame in range(1, NUM_FRAMES + 1)]
            cases.append((domain, peclet, viscosity, np.stack([first, *later])))
    print("error of the recovered viscosity in %; columns: cells / cell Péclet number")
    names = ["x".join(map(str, domain.resolution)) + f"/{peclet:g}" for domain, peclet, _, _ in cases]
    print(f"{'':28s}" + "".join(f"{name:>10s}" for name in names))
    with torch.no_grad():
        for scheme, refine in METHODS:
            row = []
            for domain, peclet, viscosity, data in cases:
                if _takes_long(scheme, refine, domain, peclet) and not full:
                    row.append("-")
                    continue
                error = 100 * (recovered_viscosity(scheme, refine, domain, data, viscosity) / viscosity - 1)
                row.append("bound" if math.isnan(error) else f"{error:.3g}" if abs(error) >= 1e-3 else "<0.001")
            label = str(scheme) + (f" refine {refine}" if refine > 1 else "")
            print(f"{label:28s}" + "".join(f"{cell:>10s}" for cell in row), flush=True)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
