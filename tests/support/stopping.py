"""A stop at a chosen moment of a run, in place of a signal."""

__all__ = ["StopAt"]


class StopAt:
    """Asks a run to stop when it looks for the n-th time: before and after each step, and before a batch."""

    def __init__(self, look: int) -> None:
        self.look = look

    def __call__(self) -> bool:
        self.look -= 1
        return self.look <= 0

    def stop_listening(self) -> None:
        """Do nothing: it listens to no signal."""
