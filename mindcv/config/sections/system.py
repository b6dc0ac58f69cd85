"""Options of the machine: device, precision and processes."""

from dataclasses import dataclass
from typing import Literal

from mindcv.config.checks import check, check_numbers

__all__ = ["ParallelConfig", "PrecisionConfig", "SystemConfig"]

LEVELS = Literal["O0", "O1", "O2", "O3", "auto"]


@dataclass(frozen=True, kw_only=True)
class SystemConfig:
    """System.

    Args:
        mode: 0 compiles the network to a graph, 1 runs it operator by operator (PyNative).
        device_target: Device to run on; auto takes Ascend, else GPU, else CPU.
        seed: Seed of the parameters, the order of the images, their augmentation and dropout.
        dataset_sink_mode: Let the device fetch its own data, where it can (Ascend and GPU).
        log_interval: Steps between two readings of the training loss.
    """

    mode: Literal[0, 1] = 0
    device_target: Literal["auto", "CPU", "GPU", "Ascend"] = "auto"
    seed: int = 42
    dataset_sink_mode: bool = True
    log_interval: int = 100

    def __post_init__(self) -> None:
        check(self, "seed", 0 <= self.seed < 2**32, "give a whole number from 0 to 2**32 - 1")
        check(self, "log_interval", self.log_interval >= 1, "give the number of steps, 1 or more")


@dataclass(frozen=True, kw_only=True)
class PrecisionConfig:
    """Precision.

    Args:
        amp_level: What trains in half precision: O0 nothing, O1 and auto convolutions and dense layers, O2
            all but batch normalisation, O3 everything.
        amp_dtype: Which half precision, fp16 or bf16. A CPU has no bf16 convolutions.
        val_amp_level: The same for validate.py.
        loss_scale: Factor on the loss that keeps small gradients above zero in half precision.
        loss_scale_type: fixed; dynamic halves it at an overflow and doubles it after 2000 updates without
            one; auto is dynamic where amp_level trains in fp16.
        drop_overflow_update: With a fixed loss scale too, leave out an update whose gradients overflowed.
    """

    amp_level: LEVELS = "O0"
    amp_dtype: Literal["fp16", "bf16"] = "fp16"
    val_amp_level: LEVELS = "O0"
    loss_scale: float = 1.0
    loss_scale_type: Literal["fixed", "dynamic", "auto"] = "fixed"
    drop_overflow_update: bool = False

    def __post_init__(self) -> None:
        check_numbers(self, "give a positive factor up to 2**24", "loss_scale", low=1e-9, high=2**24)

    @property
    def dynamic(self) -> bool:
        """Whether the loss scale changes."""
        half = self.amp_level != "O0" and self.amp_dtype == "fp16"
        return self.loss_scale_type == "dynamic" or (self.loss_scale_type == "auto" and half)


@dataclass(frozen=True, kw_only=True)
class ParallelConfig:
    """Several devices.

    Args:
        distribute: Train on as many devices as mpirun or msrun has started processes.
        sync_bn: Normalise over the batches of all devices, instead of each device its own.
        dist_bn: Before validation, average batch normalisation's statistics over the devices (reduce), take
            the first device's (broadcast), or leave each its own (none).
        lr_scale: Multiply lr and min_lr by the global batch over lr_scale_batch (linear), by its square root
            (sqrt), or not at all (none).
        lr_scale_batch: Global batch for which lr is meant.
    """

    distribute: bool = False
    sync_bn: bool = False
    dist_bn: Literal["reduce", "broadcast", "none"] = "reduce"
    lr_scale: Literal["none", "linear", "sqrt"] = "none"
    lr_scale_batch: int = 256

    def __post_init__(self) -> None:
        check_numbers(self, "give 1 or more", "lr_scale_batch", low=1)
