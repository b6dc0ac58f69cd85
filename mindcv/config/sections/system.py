"""Options of the process: device, precision and the processes that train together."""

from dataclasses import dataclass

from mindcv.choices import (
    AmpLevel,
    Device,
    ExecutionMode,
    HalfPrecision,
    LossScaleType,
    LrScale,
    StatisticsExchange,
)
from mindcv.config.option import Section, option
from mindcv.ranges import AT_LEAST_ONE, Range

__all__ = ["ParallelConfig", "PrecisionConfig", "SystemConfig"]


LARGEST_SCALE = 2.0**24


@dataclass(frozen=True, kw_only=True)
class SystemConfig(Section):
    """System.

    Args:
        mode: 0 compiles the network to a graph, 1 runs it operator by operator (PyNative).
        device_target: Device to run on; auto chooses Ascend, else GPU, else CPU.
        seed: Seed of the parameters, the order of the images, their augmentation and dropout.
        dataset_sink_mode: Let the device fetch its own data where it can (Ascend and GPU).
        log_interval: Steps between two readings of the training loss.
    """

    mode: ExecutionMode = option(0)
    device_target: Device = option("auto", aliases=("device",))
    seed: int = option(42, range=Range(0, 2**32 - 1, "give an integer from 0 to 2**32 - 1"))
    dataset_sink_mode: bool = option(True)
    log_interval: int = option(
        100, range=Range(1, float("inf"), "give the number of steps, 1 or more"), scope="run", unit="steps"
    )


@dataclass(frozen=True, kw_only=True)
class PrecisionConfig(Section):
    """Precision.

    Args:
        amp_level: What trains in half precision: O0 nothing, O1 and auto convolutions and dense layers, O2
            everything but batch normalization, O3 everything.
        amp_dtype: Kind of half precision, fp16 or bf16. A CPU has no bf16 convolutions.
        val_amp_level: The same for validate.py.
        loss_scale: Factor on the loss that keeps small gradients above zero in half precision.
        loss_scale_type: fixed; dynamic halves it at an overflow and doubles it after 2000 updates without
            one; auto is dynamic where amp_level trains in fp16, from 2**24 as in MindCV, whatever loss_scale
            says, and no scale elsewhere.
        drop_overflow_update: With a fixed loss scale too, skip an update whose gradients overflowed.
    """

    amp_level: AmpLevel = option("O0")
    amp_dtype: HalfPrecision = option("fp16")
    val_amp_level: AmpLevel = option("O0")
    loss_scale: float = option(1.0, range=Range(1e-9, LARGEST_SCALE, "give a positive factor up to 2**24"))
    loss_scale_type: LossScaleType = option("fixed")
    drop_overflow_update: bool = option(False)

    @property
    def dynamic(self) -> bool:
        """Whether the loss scale changes."""
        half = self.amp_level != "O0" and self.amp_dtype == "fp16"
        return self.loss_scale_type == "dynamic" or (self.loss_scale_type == "auto" and half)

    @property
    def initial_loss_scale(self) -> float:
        """The loss scale that training starts with."""
        if self.loss_scale_type != "auto":
            return self.loss_scale
        return LARGEST_SCALE if self.dynamic else 1.0


@dataclass(frozen=True, kw_only=True)
class ParallelConfig(Section):
    """Several devices.

    Args:
        distribute: Train on as many devices as mpirun or msrun has started processes.
        sync_bn: Normalize over the batches of all devices, instead of each device over its own.
        dist_bn: Before validation, average the statistics of batch normalization over the devices (reduce),
            use the first device's (broadcast), or keep each device's own (none).
        lr_scale: Multiply lr and min_lr by the global batch over lr_scale_batch (linear), by its square root
            (sqrt), or not at all (none).
        lr_scale_batch: Global batch size that lr is meant for.
    """

    distribute: bool = option(False)
    sync_bn: bool = option(False)
    dist_bn: StatisticsExchange = option("reduce")
    lr_scale: LrScale = option("none")
    lr_scale_batch: int = option(256, range=AT_LEAST_ONE, unit="images")
