"""Time of a loss and its gradient over a rollout: the library beside PhiFlow's eager mode and hand-written torch.

Run ``OMP_NUM_THREADS=1 python benchmarks/rollout.py``, or a part of it::

    python benchmarks/rollout.py --dimension 1 --scheme FiniteDifference --steps 8 --no-compile

The loss is the sum of squares of all frames; its gradient is taken with respect to the viscosity and the initial
frames in one backward pass. In two dimensions the 16 windows are taken 4 by 4, for WENO one by one. Each figure is
the median over alternating turns of processor seconds of one thread, in double precision; every way must give the
same loss and, but for kinks of the interpolation, the same gradient. The columns are multiples of hand-written torch
in eager mode: PhiFlow's eager mode, the captured step, hand-written torch and the captured step under inductor, which
costs half a minute or more for each row the first time (``--no-compile`` leaves it out).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import hand_written
import torch
from torch import Tensor

from burgerslab.physics import (
    WENO,
    Domain,
    FiniteDifference,
    FourierSpectral,
    MacCormack,
    Rollout,
    Scheme,
    SemiLagrangian,
)

RESOLUTIONS = {1: (256,), 2: (128, 128)}
NUM_WINDOWS = 16
VISCOSITY = 0.01
COURANT_NUMBER = 0.4
TURNS = {1: 15, 2: 3}
SCHEMES: dict[str, tuple[Scheme, Callable[[Domain, float], tuple[hand_written.Prepare, hand_written.Step]]]] = {
    "FiniteDifference": (FiniteDifference(), hand_written.finite_difference),
    "FourierSpectral": (FourierSpectral(), hand_written.fourier_spectral),
    "WENO": (WENO(), hand_written.weno),
    "MacCormack": (MacCormack(), hand_written.mac_cormack),
    "SemiLagrangian": (SemiLagrangian(), hand_written.semi_lagrangian),
}
# The graph of a backward pass over 32 two-dimensional steps of WENO takes 4 GB for each window.
WINDOWS_AT_ONCE = {(name, 1): NUM_WINDOWS for name in SCHEMES} | {(name, 2): 4 for name in SCHEMES} | {("WENO", 2): 1}

Frames = Callable[[Tensor, Tensor, int], Tensor]


@dataclass
class Timed:
    """One way to compute a rollout, and its processor seconds."""

    frames: Frames
    first: float
    loss: Tensor
    gradients: tuple[Tensor, ...]
    later: list[float]


def initial_frames(domain: Domain) -> Tensor:
    """Smooth random velocities, with the largest component of each window 1."""
    waves = torch.meshgrid(*(torch.fft.fftfreq(n, 1 / n) for n in domain.resolution), indexing="ij")
    envelope = torch.exp(-sum(m.double() ** 2 for m in waves) / 8)
    noise = torch.randn(NUM_WINDOWS, domain.dimension, *domain.resolution, dtype=torch.float64)
    axes = tuple(range(-domain.dimension, 0))
    smooth = torch.fft.ifftn(envelope * torch.fft.fftn(noise, dim=axes), dim=axes).real
    return smooth / smooth.abs().amax(dim=tuple(range(1, smooth.ndim)), keepdim=True)


def loss_and_gradients(
    frames: Frames, velocity: Tensor, num_steps: int, at_once: int
) -> tuple[float, Tensor, tuple[Tensor, ...]]:
    """Processor seconds, loss, and gradients with respect to viscosity and initial frames."""
    inputs = torch.tensor(VISCOSITY, dtype=torch.float64, requires_grad=True), velocity.clone().requires_grad_()
    begin = time.process_time()
    total = torch.zeros((), dtype=torch.float64)
    for windows in inputs[1].split(at_once):
        loss = frames(windows, inputs[0], num_steps).square().sum()
        loss.backward()
        total += loss.detach()
    gradients = tuple(tensor.grad for tensor in inputs)
    return time.process_time() - begin, total, gradients


def compare(name: str, dimension: int, num_steps: int, turns: int, compiled: bool) -> None:
    """Print one row: the time of hand-written torch, and the other ways' as multiples of it."""
    scheme, write = SCHEMES[name]
    domain = Domain((1.0,) * dimension, RESOLUTIONS[dimension])
    velocity = initial_frames(domain)
    dt = COURANT_NUMBER / dimension * min(domain.spacing)
    at_once = WINDOWS_AT_ONCE[name, dimension]
    prepare, step = write(domain, dt)
    ways: dict[str, Frames] = {
        "hand": lambda u, nu, n: hand_written.rollout(prepare, step, u, nu, n),
        "eager": Rollout(scheme, domain, dt, capture=False),
        "captured": captured(scheme, domain, dt, velocity[:at_once]),
    }
    if compiled:
        fused = torch.compile(step, fullgraph=True, dynamic=False)
        ways["hand compiled"] = lambda u, nu, n: hand_written.rollout(prepare, fused, u, nu, n)
        ways["compiled"] = Rollout(scheme, domain, dt, compile=True)
    timed = {
        way: Timed(frames, *loss_and_gradients(frames, velocity, num_steps, at_once), [])
        for way, frames in ways.items()
    }
    reference = timed["hand"]
    for way, each in timed.items():
        for mine, expected, limit in zip(
            (each.loss, *each.gradients), (reference.loss, *reference.gradients), (1e-9, 1e-2, 1e-2), strict=True
        ):
            # Interpolation has kinks where a path meets a cell centre: rounding decides on the side of the gradient.
            difference = float(torch.linalg.norm(mine - expected) / torch.linalg.norm(expected))
            if difference > limit:
                raise SystemExit(f"{way} {name} differs from hand-written torch by {difference:.2g}")
    for _ in range(turns):
        for each in timed.values():
            each.later.append(loss_and_gradients(each.frames, velocity, num_steps, at_once)[0])
    seconds = {way: statistics.median(each.later) for way, each in timed.items()}
    ratios = "".join(f"{seconds[way] / seconds['hand']:>15.2f}" for way in seconds if way != "hand")
    firsts = ", ".join(f"{way} {each.first:.1f}" for way, each in timed.items() if way not in ("hand", "eager"))
    cells = " x ".join(map(str, domain.resolution))
    print(
        f"{name:<18}{cells:<12}{num_steps:>5}{1e3 * seconds['hand']:>10.1f}{ratios}   first call s: {firsts}",
        flush=True,
    )


def captured(scheme: Scheme, domain: Domain, dt: float, velocity: Tensor) -> Rollout:
    """A rollout that captures its step at its next one."""
    rollout = Rollout(scheme, domain, dt)
    with torch.no_grad():
        rollout(velocity, torch.tensor(VISCOSITY, dtype=torch.float64), 63)
    return rollout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimension", type=int, nargs="+", choices=(1, 2), default=(1, 2))
    parser.add_argument("--scheme", nargs="+", choices=tuple(SCHEMES), default=tuple(SCHEMES))
    parser.add_argument("--steps", type=int, nargs="+", default=(8, 32))
    parser.add_argument("--turns", type=int, help="alternating turns; 15 in one dimension and 3 in two if not given")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    columns = ("eager", "captured", *(("hand compiled", "compiled") if arguments.compile else ()))
    heading = "".join(f"{column:>15}" for column in columns)
    print(f"{'scheme':<18}{'cells':<12}{'steps':>5}{'hand ms':>10}{heading}")
    for dimension in arguments.dimension:
        for name in arguments.scheme:
            for num_steps in arguments.steps:
                turns = arguments.turns or TURNS[dimension]
                compare(name, dimension, num_steps, turns, arguments.compile)


if __name__ == "__main__":
    main()
