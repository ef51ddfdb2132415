"""The picture at the top of the README: what partial, noisy data teach a surrogate, an inversion, and both together.

Run ``python notebooks/picture.py`` in the root of the repository; it takes two to four minutes of one core and writes
``notebooks/picture.png``. The data and the settings are those of ``configs/burgers_hybrid_experiment.yaml``.
"""

import argparse
import logging
import warnings
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from burgerslab.data import BurgersDataModule, CellRange, Observation, Simulation
from burgerslab.evaluation.field_panels import HIDDEN, LABEL_SIZE, MAP_OF_FIELDS, cell_edges, field_range
from burgerslab.evaluation.plots import LINE_COLOURS, error_growth_figure, rollout_figure
from burgerslab.hybrid import Exchange, Hybrid
from burgerslab.inversion import Inversion, Viscosity
from burgerslab.metrics import nrmse
from burgerslab.physics import ColeHopf, Domain, RandomFourier
from burgerslab.surrogate import Surrogate, UNet

VISCOSITY, GUESS, DT, NUM_STEPS = 0.02, 0.1, 0.05, 10
EPOCHS_PER_CYCLE = 8
HYBRID = "hybrid's surrogate"


def data(root: Path) -> BurgersDataModule:
    """Twenty exact trajectories; of two, the left half is seen through 2 % noise."""
    simulation = Simulation(
        domain=Domain((1.0,), (64,)),
        viscosity=VISCOSITY,
        initial=RandomFourier(amplitude=0.5, max_mode=3),
        scheme=ColeHopf(),
        dt=DT,
        num_frames=NUM_STEPS + 1,
        num_trajectories=20,
    )
    return BurgersDataModule(
        str(root / "picture.zarr"),
        simulation,
        observation=Observation(noise=0.02, cells=CellRange(low=(0.0,), high=(0.5,)), initial_known=True),
        use_sliding_window=False,
        num_predict_steps=NUM_STEPS,
        split=(0.1, 0.1, 0.8),
        batch_size=8,
    )


def surrogate() -> Surrogate:
    """A small UNet, the same whenever it is made."""
    torch.manual_seed(0)
    network = UNet(in_channels=1, out_channels=1, dimension=1, filters=8, levels=2)
    return Surrogate(network, optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.003))


def trainer(root: Path, **options) -> pl.Trainer:
    """A Trainer on the CPU, gradients clipped for networks alone."""
    return pl.Trainer(
        accelerator="cpu",
        default_root_dir=root,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        **options,
    )


def main() -> None:
    """Train all three and draw what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/picture"), help="folder of data and checkpoints")
    parser.add_argument("--cycles", type=int, default=8, help="of the hybrid; fewer for a first look")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    windows = data(arguments.runs)

    together = surrogate()
    hybrid = Hybrid(
        Inversion([Viscosity(GUESS)]),
        num_cycles=arguments.cycles,
        epochs_per_cycle=EPOCHS_PER_CYCLE,
        exchange=Exchange(alpha=16, new_states=0.75),
        physical_interaction_weight=0.01,
    )
    of_hybrid = trainer(arguments.runs / "hybrid", callbacks=[hybrid], gradient_clip_val=1.0)
    hybrid.fit(of_hybrid, together, windows)
    alone = surrogate()
    steps = of_hybrid.global_step
    trainer(arguments.runs / "alone", max_epochs=-1, max_steps=steps, gradient_clip_val=1.0).fit(alone, windows)
    inversion = Inversion([Viscosity(GUESS)])
    trainer(arguments.runs / "inversion", max_epochs=-1).fit(inversion, datamodule=windows)

    test = [batch for loader in [windows.test_dataloader()] for batch in loader]
    first, truth = (torch.cat([batch[name] for batch in test]) for name in ("initial", "target"))
    forecasts = {"surrogate alone": alone, HYBRID: together, "inversion": inversion}
    rollouts = {name: model.eval().rollout(first, NUM_STEPS).detach() for name, model in forecasts.items()}
    rollouts = {"persistence": first[:, None].expand_as(truth), **rollouts}
    errors = {name: nrmse(frames.double(), truth.double()).numpy() for name, frames in rollouts.items()}

    figure = Figure(figsize=(11, 6.2), layout="constrained")
    upper, lower = figure.subfigures(2, 1)
    left, right = upper.subfigures(1, 2, width_ratios=(1, 3.3))
    times = DT * np.arange(NUM_STEPS + 1)
    draw_seen(left.subplots(), windows, times)
    left.suptitle("trained on: 2 of these", fontsize=LABEL_SIZE + 2)
    example = int(np.argsort(errors[HYBRID].mean(axis=1))[len(truth) // 2])  # of median error
    shown = [torch.cat([first[:, None], it], dim=1)[example].numpy() for it in (truth, rollouts[HYBRID])]
    rollout_figure(*shown, times, (1.0,), name="forecast", figure=right)
    right.suptitle(f"tested on: 16 of these, here forecast by the {HYBRID}", fontsize=LABEL_SIZE + 2)
    panels = lower.subplots(1, 2)
    draw_viscosity(panels[0], inversion, hybrid)
    error_growth_figure(times[1:], errors, "nRMSE of the forecast [-]", ax=panels[1])
    panels[1].legend(fontsize=LABEL_SIZE, frameon=False, ncols=2, loc="center", bbox_to_anchor=(0.5, 0.4))
    panels[1].set_title("16 test trajectories: median, 10-90 %", fontsize=LABEL_SIZE + 1)
    figure.savefig(arguments.output, dpi=100)
    for name, values in errors.items():
        print(f"{name:<20} nRMSE {values.mean():.4f}")
    found = inversion.result.estimates["viscosity"]
    print(f"viscosity of the inversion alone {found.value:.6f}, 95 % from {found.low:.6f} to {found.high:.6f}")
    print(f"viscosity of the hybrid          {hybrid.ledger.records[-1].parameters['viscosity']['estimate']:.6f}")


def draw_seen(ax: Axes, windows: BurgersDataModule, times: np.ndarray) -> None:
    """One of the two trajectories trained on; what is hidden is grey."""
    batch = windows.training_windows().batch([0])
    frames = torch.cat([batch["initial"][:, None], batch["target"]], dim=1)
    seen = torch.where(batch["mask"], frames, torch.nan)[0, :, 0].numpy()
    edges = (cell_edges(times), np.linspace(0, 1, seen.shape[1] + 1))
    ax.pcolormesh(*edges, np.ma.masked_invalid(seen.T), cmap=MAP_OF_FIELDS, norm=field_range(seen))
    ax.set_facecolor(HIDDEN)
    ax.set_title("seen (grey: hidden)", fontsize=LABEL_SIZE + 1)
    ax.set(xlim=(edges[0][0], edges[0][-1]), ylim=(0, 1))
    ax.set_xlabel("time t [T]", fontsize=LABEL_SIZE)
    ax.set_ylabel("x [L]", fontsize=LABEL_SIZE)
    ax.tick_params(labelsize=LABEL_SIZE)


def draw_viscosity(ax: Axes, inversion: Inversion, hybrid: Hybrid) -> None:
    """Estimates over iterations or cycles, and the 95 % interval of the last."""
    ways = {
        "inversion, iterations": [row["viscosity"] for row in inversion.history],
        "hybrid, cycles": [record.parameters["viscosity"]["estimate"] for record in hybrid.ledger.records],
    }
    for (label, way), colour in zip(ways.items(), LINE_COLOURS, strict=False):
        ax.plot(range(len(way) + 1), [GUESS, *way], color=colour, marker="o", markersize=3, label=label)
    ax.axhline(VISCOSITY, color="0.15", linestyle="--", linewidth=1, label="truth")
    low, high = hybrid.ledger.records[-1].parameters["viscosity"]["ci95"]
    ax.set_title(f"95 % interval of the hybrid's: {low:.5f} to {high:.5f}", fontsize=LABEL_SIZE + 1)
    ax.set_yscale("log")
    ax.set_xlabel("iteration or cycle", fontsize=LABEL_SIZE)
    ax.set_ylabel("viscosity ν [L²/T]", fontsize=LABEL_SIZE)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.tick_params(labelsize=LABEL_SIZE)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=LABEL_SIZE - 1, frameon=False)


if __name__ == "__main__":
    main()
