"""The batches that an objective is summed over: all of them, once each, in fixed order."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

Batch = dict[str, Tensor]


class Chunks:
    """This process's share of a loader's batches, kept on the device while they fit a budget.

    Batches are dealt out to the processes in turn, whole, none twice and none left out.

    Args:
        loader: Gives the same batches in the same order each time.
        to_device: Moves a batch to where it is evaluated.
        rank: This process.
        num_ranks: Number of processes.
        limit: Use only so many batches, all processes together; None is all.
        budget: Bytes to keep; a set that is larger is read anew for each evaluation.
    """

    def __init__(
        self,
        loader: Iterable[Batch],
        to_device: Callable[[Batch], Batch] = lambda batch: batch,
        rank: int = 0,
        num_ranks: int = 1,
        limit: int | None = None,
        budget: int = 2 * 2**30,
    ) -> None:
        self._loader = loader
        self._to_device = to_device
        self._share = (rank, limit, num_ranks)
        self._budget = budget
        self._kept: list[Batch] | None = None

    def __iter__(self) -> Iterator[Batch]:
        """The batches, in the same order each time."""
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Batch] | None = []
        size = 0
        for batch in islice(self._loader, *self._share):
            moved = self._to_device(batch)
            size += sum(tensor.nbytes for tensor in moved.values())
            if size > self._budget:
                kept = None
            if kept is not None:
                kept.append(moved)
            yield moved
        self._kept = kept


def in_float64(batch: Batch) -> Batch:
    """Every real tensor in double precision."""
    return {key: values.double() if values.is_floating_point() else values for key, values in batch.items()}


def check_loader(loader: object) -> None:
    """Refuse a loader that may give other batches, or another order, each time.

    Raises:
        ValueError: If it is no `DataLoader`, shuffles, leaves out the last batch, or has a sampler of its own.
    """
    fixed = "an objective is one number over all batches, the same ones in each evaluation"
    if not isinstance(loader, DataLoader):
        raise ValueError(f"train_dataloaders: {fixed}; give one torch DataLoader, got {type(loader).__name__}")
    sampler = loader.sampler
    own_batches = loader.batch_sampler is not None and type(loader.batch_sampler) is not BatchSampler
    if type(sampler) is not SequentialSampler or own_batches:
        found = type(loader.batch_sampler if own_batches else sampler).__name__
        raise ValueError(f"train_dataloaders: {fixed}; set shuffle=False and no sampler, got a {found}")
    if loader.drop_last:
        raise ValueError(f"train_dataloaders: {fixed}; set drop_last=False, so that the last windows count too")
