"""Verification that an exported file computes the same as its network, as exactly as float32 allows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from mindcv.errors import NotFiniteError, UserError
from mindcv.export.image_format import ImageFormat, Pixels

__all__ = ["TOLERANCE", "ExportError", "Reference", "expect", "rounding_noise"]

TOLERANCE = 1e-4  # of the logits, relative to the larger of 1 and the largest logit
# A network that magnifies rounding more than that may differ by this multiple of its own noise: another order
# of its sums has as many roundings as its weights. But by no more than LIMIT: such noise would hide mistakes.
NOISES, LIMIT = 4.0, 1e-2
TRIALS = 3  # of the noise
BATCHES = (1, 3)  # of random images


class ExportError(UserError):
    """An exported file does not compute the same as its network; the file is not kept.

    This is not a mistake of the user: the program exits with status 1.
    """

    status = 1


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Images, and the network's logits of them.

    Args:
        images: Their format.
        batches: The images.
        logits: The network's logits of each batch.
        noise: Computes by how much float32 alone can change the logits, see `rounding_noise`; called where
            a difference is above `TOLERANCE`. None allows no more than that.
    """

    images: ImageFormat
    batches: list[Pixels]
    logits: list[NDArray[np.float32]]
    noise: Callable[[], float] | None = None

    def __str__(self) -> str:
        sizes = [len(batch) for batch in self.batches]
        return f"{sum(sizes)} images in batches of {', '.join(map(str, sizes))}"

    def check(self, run: Callable[[NDArray], NDArray], path: Path) -> float:
        """Run an exported file on the images.

        Args:
            run: Computes the file's logits of a batch as the file takes it.
            path: Name of the file, for the message.

        Returns:
            The largest difference of a logit, relative to the larger of 1 and the largest logit.

        Raises:
            ExportError: If it is NaN, or above both `TOLERANCE` and what the network's noise allows.
        """
        worst, allowed = 0.0, TOLERANCE
        for batch, expected in zip(self.batches, self.logits, strict=True):
            found = run(self.images.given(batch))
            if found.shape != expected.shape:
                raise ExportError(
                    f"{path}: the exported network returns logits of shape {found.shape} and the network "
                    f"{expected.shape}: the file is not kept"
                )
            difference = _difference(found, expected)
            if self.noise is not None and TOLERANCE < difference <= LIMIT and allowed == TOLERANCE:
                allowed = max(TOLERANCE, min(NOISES * self.noise(), LIMIT))
            if not difference <= allowed:  # NaN included
                raise ExportError(
                    f"{path}: the exported network's logits differ from the network's by {difference:.2g} of "
                    f"the largest, more than {allowed:.2g}: the file is not kept"
                )
            worst = max(worst, difference)
        return worst


def expect(network: nn.Cell, images: ImageFormat, further: Pixels | None = None) -> Reference:
    """Compute a network's logits of random images, in batches of 1 and 3, to check files against.

    Args:
        network: The unwrapped network, which takes normalised images; it is set to evaluation mode.
        images: Their format.
        further: Another batch of images of its size, for example photographs.

    Raises:
        NotFiniteError: If a logit is NaN or infinite.
    """
    network.set_train(False)
    batches = [images.random(batch, seed=batch) for batch in BATCHES]
    batches += [] if further is None else [further]
    # All at once, so that a graph is compiled for one shape: in evaluation images are independent.
    inputs = images.normalized(np.concatenate(batches))
    logits = network(Tensor(inputs)).asnumpy()
    if not np.isfinite(logits).all():
        raise NotFiniteError("the network returns NaN or infinity: use another checkpoint")
    ends = np.cumsum([len(batch) for batch in batches])[:-1]
    return Reference(
        images=images,
        batches=batches,
        logits=np.split(logits, ends),
        noise=lambda: rounding_noise(network, inputs),
    )


def rounding_noise(network: nn.Cell, inputs: NDArray[np.float32]) -> float:
    """Return by how much a network's logits change when each weight changes by its last digit of float32.

    That is the least that a weight can change by, up or down at random. What changes the logits by as much
    is no mistake: the network itself is no more exact. The weights are the same as before afterwards.

    Args:
        network: The network, in evaluation.
        inputs: Normalised images.

    Returns:
        The largest change of several trials, relative to the larger of 1 and the largest logit.
    """
    rng = np.random.default_rng(0)
    parameters = [p for p in network.get_parameters() if p.is_floating_point()]
    values = [p.asnumpy().copy() for p in parameters]
    expected, changes = network(Tensor(inputs)).asnumpy(), []
    try:
        for _ in range(TRIALS):
            for parameter, value in zip(parameters, values, strict=True):
                towards = rng.choice(np.array([-np.inf, np.inf], value.dtype), value.shape)
                ops.assign(parameter, Tensor(np.nextafter(value, towards)))
            changes.append(_difference(network(Tensor(inputs)).asnumpy(), expected))
    finally:
        for parameter, value in zip(parameters, values, strict=True):
            ops.assign(parameter, Tensor(value))
    return max(changes)


def _difference(found: NDArray, expected: NDArray) -> float:
    return float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))
