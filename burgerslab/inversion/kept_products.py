"""What was computed of every chunk of windows at the point looked at last."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


class KeptProducts:
    """A tensor for every chunk of windows, at one point; those of another point take their place."""

    def __init__(self) -> None:
        self._point: Tensor | None = None
        self._of_chunk: dict[bytes, Tensor] = {}

    def forget(self) -> None:
        """Keep nothing; needed where the data of a chunk change."""
        self._point, self._of_chunk = None, {}

    def look_up(self, point: Tensor, batch: Mapping[str, Tensor], compute: Callable[[], Tensor]) -> Tensor:
        """What is kept for a chunk, or else what is computed.

        Args:
            point: Where; compared bit by bit.
            batch: The chunk, known by the trajectories and first frames of its windows.
            compute: Called if there is nothing kept.
        """
        if self._point is None or not torch.equal(point, self._point):
            self.forget()
            self._point = point.clone()
        facts = (batch[name].cpu().numpy().tobytes() for name in ("trajectory", "start", "observed"))
        chunk = b"".join(facts)
        if chunk not in self._of_chunk:
            self._of_chunk[chunk] = compute()
        return self._of_chunk[chunk]
