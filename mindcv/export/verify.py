"""Verification that an exported file computes the same as its network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from mindcv.errors import UserError
from mindcv.export.image_format import ImageFormat, Pixels

__all__ = ["TOLERANCE", "ExportError", "Reference", "expect"]

TOLERANCE = 1e-4  # of the logits, relative to the larger of 1 and the largest logit
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
    """

    images: ImageFormat
    batches: list[Pixels]
    logits: list[NDArray[np.float32]]

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
            ExportError: If it is above `TOLERANCE`, or NaN.
        """
        worst = 0.0
        for batch, expected in zip(self.batches, self.logits, strict=True):
            found = run(self.images.given(batch))
            if found.shape != expected.shape:
                raise ExportError(
                    f"{path}: the exported network returns logits of shape {found.shape} and the network "
                    f"{expected.shape}: the file is not kept"
                )
            difference = float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))
            if not difference <= TOLERANCE:  # NaN included
                raise ExportError(
                    f"{path}: the exported network's logits differ from the network's by {difference:.2g} of "
                    f"the largest, more than {TOLERANCE:g}: the file is not kept"
                )
            worst = max(worst, difference)
        return worst


def expect(network: nn.Cell, images: ImageFormat, further: Pixels | None = None) -> Reference:
    """Compute a network's logits of random images, in batches of 1 and 3, to check files against.

    Args:
        network: The unwrapped network, which takes normalised images; it is set to evaluation mode.
        images: Their format.
        further: Another batch of images of its size, for example photographs.
    """
    network.set_train(False)
    batches = [images.random(batch, seed=batch) for batch in BATCHES]
    batches += [] if further is None else [further]
    # All at once, so that a graph is compiled for one shape: in evaluation images are independent.
    logits = network(Tensor(images.normalized(np.concatenate(batches)))).asnumpy()
    ends = np.cumsum([len(batch) for batch in batches])[:-1]
    return Reference(images=images, batches=batches, logits=np.split(logits, ends))
