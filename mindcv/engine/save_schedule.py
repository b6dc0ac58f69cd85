"""When a run saves its state within an epoch, and when it stops."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Saving"]


@dataclass(frozen=True, kw_only=True)
class Saving:
    """When a run saves its state within an epoch, and when it looks whether it is to stop.

    Args:
        every_updates: Updates between two checkpoints; 0 for none.
        every_seconds: Time between two checkpoints; 0 for none.
        stop_requested: Whether somebody has asked the run to stop.
        combine: Adds up float64 arrays over all ranks, so that all save and stop at the same step.
        look_every: Updates between two looks. Where there are several ranks a look makes them wait for each
            other.
    """

    every_updates: int = 0
    every_seconds: float = 0.0
    stop_requested: Callable[[], bool] = lambda: False
    combine: Callable[[np.ndarray], np.ndarray] = lambda values: values
    look_every: int = 1

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether any rank has raised it."""
        return (self.combine(np.array(flags, np.float64)) > 0).tolist()

    def asked_to_stop(self) -> bool:
        """Whether any rank has been asked to stop."""
        return self.any(self.stop_requested())[0]
