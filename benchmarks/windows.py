"""Windows per second of a default epoch, against gathering the same windows from a torch tensor in memory.

Run ``OMP_NUM_THREADS=1 python benchmarks/windows.py``; it writes a few hundred MB to a temporary folder and takes
about a minute. Ways of reading take turns, and medians of the turns are compared.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from burgerslab.data import BurgersDataModule, FieldSpec, StoreLayout, StoreWriter
from burgerslab.physics import Domain

# resolution, trajectories, frames
CASES = [((256,), 1000, 101), ((64, 64), 100, 51), ((128, 128), 40, 51)]
SPLIT = (0.8, 0.1, 0.1)


def make_store(path: Path, resolution: tuple[int, ...], num_trajectories: int, num_frames: int) -> None:
    """Random numbers in the layout of a simulated velocity."""
    domain = Domain((1.0,) * len(resolution), resolution)
    fields = (FieldSpec("velocity", domain.axis_names),)
    layout = StoreLayout(domain, num_trajectories, num_frames, 0.1, fields)
    viscosity, seeds = np.full(num_trajectories, 0.01), np.arange(num_trajectories)
    writer = StoreWriter.open(path, layout, {"source": "benchmark"}, viscosity, seeds)
    generator = np.random.default_rng(0)
    for block, trajectories in writer.pending():
        values = generator.standard_normal(layout.shape(fields[0], len(trajectories)), np.float32)
        writer.write(block, {"velocity": values})
    writer.finish()


def epoch_of_loader(module: BurgersDataModule) -> int:
    """Serve one epoch; the number of windows."""
    return sum(len(batch["start"]) for batch in module.train_dataloader())


def epoch_of_gather(frames: torch.Tensor, num_predict_steps: int, batch_size: int = 32) -> int:
    """Gather the windows of one shuffled epoch by advanced indexing; the number of windows."""
    num_starts = frames.shape[1] - num_predict_steps
    order = torch.randperm(len(frames) * num_starts)
    steps = torch.arange(num_predict_steps + 1)
    num_windows = 0
    for chosen in order.split(batch_size)[: len(order) // batch_size]:
        trajectory, start = chosen // num_starts, chosen % num_starts
        num_windows += len(frames[trajectory[:, None], start[:, None] + steps])
    return num_windows


def main() -> None:
    """Print one line per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--num-predict-steps", type=int, default=8)
    turns, num_predict_steps = (parsed := parser.parse_args()).turns, parsed.num_predict_steps
    print(f"batch size 32, {num_predict_steps} target frames, {torch.get_num_threads()} torch threads, {turns} turns")
    print("windows/s       |  gather | in memory (ratio) | streamed (ratio), budget a quarter of the data")
    for resolution, num_trajectories, num_frames in CASES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "s.zarr"
            make_store(path, resolution, num_trajectories, num_frames)
            options = {"store": str(path), "num_predict_steps": num_predict_steps, "split": SPLIT}
            size = num_trajectories * num_frames * len(resolution) * np.prod(resolution) * 4 / 2**30
            in_memory = BurgersDataModule(**options)
            streamed = BurgersDataModule(**options, memory_budget_gib=float(size / 4))
            in_memory.setup("fit")
            streamed.setup("fit")
            (source,) = in_memory.train_dataloader().dataset.sources
            frames = torch.from_numpy(np.stack([source.frames(index) for index in range(len(source))]))
            ways = {
                "gather": lambda frames=frames: epoch_of_gather(frames, num_predict_steps),
                "in memory": lambda module=in_memory: epoch_of_loader(module),
                "streamed": lambda module=streamed: epoch_of_loader(module),
            }
            speeds = {name: [] for name in ways}
            for _ in range(turns):
                for name, epoch in ways.items():
                    begun = time.perf_counter()
                    num_windows = epoch()
                    speeds[name].append(num_windows / (time.perf_counter() - begun))
            gather, held, read = (statistics.median(speeds[name]) for name in ways)
            print(
                f"{' x '.join(map(str, resolution)):<15} | {gather:7.0f} | {held:8.0f} ({held / gather:5.2f}) "
                f"| {read:8.0f} ({read / gather:5.2f})"
            )


if __name__ == "__main__":
    main()
