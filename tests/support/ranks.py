"""A rank of two without processes, for what does not depend on the other one."""

from mindcv.runtime.session import Runtime

__all__ = ["OneOfTwo"]


class OneOfTwo(Runtime):
    """A rank whose other rank is the same process, and so has the same images."""

    def compare_ranks(self, *parts: object) -> None:
        """Compare nothing: both ranks are this process."""
        assert parts
