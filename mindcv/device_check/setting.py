"""The environment of every check: the device, the stored numbers, and a small network with fixed weights."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from mindcv.choices import HalfPrecision
from mindcv.engine import Trainer
from mindcv.loss import create_loss
from mindcv.models import MnasNet
from mindcv.models.mnasnet import Stage
from mindcv.runtime.session import Runtime
from mindcv.step import NetworkWithLoss, Normalized, mixed_precision

__all__ = ["REFERENCE", "Setting"]

REFERENCE = Path(__file__).with_name("reference.json")  # written by tests/devices/make_reference.py

CLASSES, BATCH, SIZE = 10, 4, 32
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
STAGES = (  # each kind of layer of the family, at both strides and kernel sizes
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
    Stage(expand=3, channels=16, blocks=2, stride=2, kernel=3),
    Stage(expand=3, channels=24, blocks=2, stride=2, kernel=5, se=0.25),
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Device, numbers and folder of a check.

    Args:
        runtime: This process.
        reference: The stored numbers.
        folder: Receives files that a check writes.
        create_trainer: Creates the trainer of the short training.
    """

    runtime: Runtime
    reference: dict[str, Any]
    folder: Path
    create_trainer: Callable[[], Trainer]

    @classmethod
    def load(cls, runtime: Runtime, folder: Path, create_trainer: Callable[[], Trainer]) -> "Setting":
        """Read the stored numbers."""
        reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
        return cls(runtime=runtime, reference=reference, folder=folder, create_trainer=create_trainer)

    def network(self, amp_level: str = "O0", amp_dtype: HalfPrecision = "fp16") -> MnasNet:
        """Return the network with its fixed weights; it has no dropout."""
        network = MnasNet(STAGES, 1.0, 8, num_classes=CLASSES, drop_rate=0.0, bn_momentum=0.9)
        numbers = np.random.RandomState(0)  # its stream never changes
        for parameter in network.get_parameters():
            noise = numbers.standard_normal(parameter.shape)
            if len(parameter.shape) > 1:
                noise *= np.sqrt(2 / np.prod(parameter.shape[1:]))
            elif parameter.name.endswith(("gamma", "moving_variance")):
                noise = 1 + 0.1 * np.abs(noise)
            else:
                noise *= 0.1
            parameter.set_data(Tensor(noise.astype(np.float32)))
        mixed_precision(network, amp_level, amp_dtype, device=self.runtime.device)
        return network

    def normalized(self, network: nn.Cell) -> Normalized:
        """Return the network as it takes the pipeline's images."""
        return Normalized(network, MEAN, STD)

    def forward(self, network: nn.Cell) -> NetworkWithLoss:
        """Return the network with the recipes' loss."""
        return NetworkWithLoss(self.normalized(network), create_loss("CE", label_smoothing=0.1))

    @property
    def batch(self) -> tuple[Tensor, Tensor]:
        """Images, uint8 of shape [4, 3, 32, 32], and labels of shape [4]."""
        numbers = np.random.RandomState(1)
        images = numbers.randint(0, 256, (BATCH, 3, SIZE, SIZE)).astype(np.uint8)
        return Tensor(images), Tensor(numbers.randint(0, CLASSES, BATCH).astype(np.int32))
