"""Time of one solver step in PhiFlow's eager mode and captured as a graph, side by side in one run.

python benchmarks/capture.py
"""

import statistics
import time

import numpy as np
import torch

from burgerslab.physics import Domain, FiniteDifference, RandomFourier, Rollout, Scheme, SemiLagrangian

CASES = (((256,), 16), ((64, 64), 8), ((128, 128), 8), ((32, 32, 32), 2))
NUM_STEPS = 10
TURNS = 5


def milliseconds(rollout: Rollout, velocity: torch.Tensor, viscosity: torch.Tensor) -> float:
    """Processor time of one step."""
    begin = time.process_time()
    rollout(velocity, viscosity, NUM_STEPS)
    return 1e3 * (time.process_time() - begin) / NUM_STEPS


def compare(scheme: Scheme, resolution: tuple[int, ...], batch: int) -> str:
    """One row of the table: medians of alternating turns."""
    domain = Domain((1.0,) * len(resolution), resolution)
    draws = [RandomFourier().sample(domain, np.random.default_rng(seed)) for seed in range(batch)]
    velocity = torch.tensor(np.stack(draws), dtype=torch.float32)
    viscosity = torch.tensor(0.01)
    eager = Rollout(scheme, domain, dt=1e-4, capture=False)
    captured = Rollout(scheme, domain, dt=1e-4)
    captured(velocity, viscosity, 64)  # captures at the 64th step
    turns = [
        (milliseconds(eager, velocity, viscosity), milliseconds(captured, velocity, viscosity)) for _ in range(TURNS)
    ]
    slow, fast = (statistics.median(column) for column in zip(*turns, strict=True))
    cells = " x ".join(map(str, resolution))
    return f"{type(scheme).__name__:<18}{cells:<14}{batch:>5}{slow:>12.2f}{fast:>12.2f}{slow / fast:>8.1f}"


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'scheme':<18}{'cells':<14}{'batch':>5}{'eager ms':>12}{'captured ms':>12}{'ratio':>8}")
    with torch.no_grad():
        for scheme in (FiniteDifference(), SemiLagrangian()):
            for resolution, batch in CASES:
                print(compare(scheme, resolution, batch), flush=True)


if __name__ == "__main__":
    main()
