"""How far a run has come: what a checkpoint says beside its tensors, so that another process can go on."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindcv.engine.evaluate import Evaluation
from mindcv.engine.history import EpochResult

__all__ = ["Progress"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The place in a run.

    Args:
        epoch: Epochs finished, their validation included.
        batch: Batches done of the epoch after those.
        losses: Training losses of these batches.
        seconds: Time that they took.
        overflows: Updates skipped before that epoch.
        steps_per_epoch: Batches in an epoch, which must stay the same; 0 if the run has not begun.
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
        """The place as JSON can express it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "Progress":
        """The place that `metadata` describes."""
        results = tuple(_result(result) for result in metadata["results"])
        return cls(**{**metadata, "losses": tuple(metadata["losses"]), "results": results})

    def shared(self, sum_over_ranks: Callable[[np.ndarray], np.ndarray]) -> "Progress":
        """Rank 0's place, on every rank; the others bring an empty one, and go without the results."""
        numbers = [self.epoch, self.batch, self.seconds, self.overflows, self.steps_per_epoch]
        epoch, batch, seconds, overflows, steps = sum_over_ranks(np.array(numbers, np.float64))
        losses = np.zeros(int(batch))
        losses[: len(self.losses)] = self.losses
        return Progress(
            epoch=int(epoch),
            batch=int(batch),
            losses=tuple(sum_over_ranks(losses).tolist()) if batch else (),
            seconds=float(seconds),
            overflows=int(overflows),
            steps_per_epoch=int(steps),
            results=self.results,
        )


def _result(values: Mapping[str, Any]) -> EpochResult:
    scored = {
        name: None if values[name] is None else Evaluation(**values[name])
        for name in ("validation", "ema_validation")
    }
    return EpochResult(**{**values, **scored})
