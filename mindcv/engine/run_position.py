"""The position of a training run, which a checkpoint stores beside its tensors for resuming."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindcv.engine.epoch_result import EpochResult
from mindcv.engine.evaluate import Evaluation

__all__ = ["RunPosition"]


@dataclass(frozen=True, kw_only=True)
class RunPosition:
    """The progress of a training run, which a checkpoint stores as its metadata ``progress``.

    Args:
        epoch: Epochs finished, their validation included.
        batch: Batches finished of the epoch after those.
        losses: Training losses of these batches.
        seconds: Time spent on these batches.
        overflows: Updates skipped before that epoch.
        steps_per_epoch: Batches per epoch, which must stay the same; 0 if the run has not begun.
        results: The finished epochs.
    """

    epoch: int = 0
    batch: int = 0
    losses: tuple[float, ...] = ()
    seconds: float = 0.0
    overflows: int = 0
    steps_per_epoch: int = 0
    results: tuple[EpochResult, ...] = ()

    def metadata(self) -> dict[str, Any]:
        """Return the position as values that JSON can express."""
        return dataclasses.asdict(self)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "RunPosition":
        """Return the position that `metadata` describes.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: If they are not those of a position.
        """
        results = tuple(_result(result) for result in metadata["results"])
        losses = tuple(float(loss) for loss in metadata["losses"])
        numbers = {key: value for key, value in metadata.items() if key not in ("results", "losses")}
        return cls(**_numbers(numbers), losses=losses, results=results)

    def shared(self, sum_over_ranks: Callable[[np.ndarray], np.ndarray]) -> "RunPosition":
        """Return rank 0's position on every rank.

        The other ranks start from an empty position, and do not receive the results.

        Args:
            sum_over_ranks: Adds up a float64 array over all ranks.
        """
        numbers = [self.epoch, self.batch, self.seconds, self.overflows, self.steps_per_epoch]
        epoch, batch, seconds, overflows, steps = sum_over_ranks(np.array(numbers, np.float64))
        losses = np.zeros(int(batch))
        losses[: len(self.losses)] = self.losses
        return RunPosition(
            epoch=int(epoch),
            batch=int(batch),
            losses=tuple(sum_over_ranks(losses).tolist()) if batch else (),
            seconds=float(seconds),
            overflows=int(overflows),
            steps_per_epoch=int(steps),
            results=self.results,
        )


def _result(values: Mapping[str, Any]) -> EpochResult:
    names = ("validation", "ema_validation")
    scored = {name: None if values[name] is None else Evaluation(**_numbers(values[name])) for name in names}
    numbers = _numbers({name: value for name, value in values.items() if name not in names})
    return EpochResult(**{**numbers, **scored})


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of a file, all of which must be numbers."""
    for name, value in values.items():
        if type(value) not in (int, float):
            raise TypeError(f"{name}={value!r} is not a number")
    return dict(values)
