"""The interface of training data."""

from collections.abc import Sequence
from typing import Any, Protocol

__all__ = ["TrainingData"]


class TrainingData(Protocol):
    """The batches of a training run."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of this rank per epoch."""
        ...

    @property
    def batch_size(self) -> int:
        """Images per step on one device."""
        ...

    @property
    def rank(self) -> int:
        """This process, from 0; only rank 0 writes files and reports."""
        ...

    @property
    def world_size(self) -> int:
        """Number of processes, each with a device of its own."""
        ...

    def epoch(self, epoch: int, *, skip: int = 0) -> Any:
        """Return a MindSpore dataset with the batches of one epoch, from 0, without the first `skip`."""
        ...

    def run(self, first_epoch: int) -> Any:
        """Return a MindSpore dataset with the batches of one epoch in each pass."""
        ...

    def stages(self, num_epochs: int, first_epoch: int = 0) -> Sequence[tuple[int, int]]:
        """Return the stages of a training, as first and last epoch, that one `run` each can serve."""
        ...

    def explain(self, error: Exception) -> Exception:
        """Return the error to raise in place of one that a dataset raised."""
        ...

    def bad_images(self) -> str:
        """Return a line about the images that could not be read since the last call; empty if all could."""
        ...
