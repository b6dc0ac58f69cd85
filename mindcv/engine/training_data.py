"""What a trainer needs to know of its data."""

from collections.abc import Sequence
from typing import Any, Protocol

__all__ = ["TrainingData"]


class TrainingData(Protocol):
    """Where the batches come from."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of this rank in an epoch."""
        ...

    @property
    def batch_size(self) -> int:
        """Images of a step on one device."""
        ...

    @property
    def world_size(self) -> int:
        """Number of devices."""
        ...

    def epoch(self, epoch: int, *, skip: int = 0) -> Any:
        """A MindSpore dataset with the batches of one epoch, counted from 0, without the first `skip`."""
        ...

    def run(self, first_epoch: int) -> Any:
        """A MindSpore dataset with the batches of one epoch at each pass."""
        ...

    def stages(self, num_epochs: int, first_epoch: int = 0) -> Sequence[tuple[int, int]]:
        """The parts of a training, as first and last epoch, that one `run` each can serve."""
        ...

    def explain(self, error: Exception) -> Exception:
        """What to raise in place of an error that came out of a dataset."""
        ...

    def bad_images(self) -> str:
        """A line on the images that could not be read since the last call; empty if all could."""
        ...
