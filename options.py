"""Every option once, in typed, frozen sections: its name, type, default, meaning and range."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

__all__ = [
    "AugmentConfig",
    "CheckpointConfig",
    "ConfigError",
    "DataConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "ParallelConfig",
    "ScheduleConfig",
    "SystemConfig",
    "ValidationConfig",
]

DATASETS = Literal[
    "imagenet", "image_folder", "digits", "cifar10", "cifar100", "mnist", "fashion_mnist", "mindrecord"
]
OPTIMIZERS = Literal[
    "sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "lamb", "lion", "adagrad", "nadam"
]
NESTEROV = ("sgd", "momentum", "nesterov", "adam", "nadam")
SCHEDULERS = Literal[
    "constant",
    "cosine_decay",
    "warmup_cosine_decay",
    "step_decay",
    "multi_step_decay",
    "exponential_decay",
    "polynomial_decay",
    "one_cycle",
    "cyclic",
]


LARGEST = 2**31 - 1  # what MindSpore's counts can hold


class ConfigError(Exception):
    """What is wrong with the options, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


def _check(section: object, key: str, valid: bool, remedy: str) -> None:
    if not valid:
        raise ConfigError(f"{key}={getattr(section, key)} is out of range: {remedy}")


def _check_numbers(section: object, remedy: str, *keys: str, low: float = 0.0, high: float = LARGEST) -> None:
    """Refuse a number outside [low, high], and with it one that is infinite or not a number."""
    for key in keys:
        value = getattr(section, key)
        _check(section, key, value is None or low <= value <= high, remedy)


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
        _check(self, "seed", 0 <= self.seed < 2**32, "give a whole number from 0 to 2**32 - 1")
        _check(self, "log_interval", self.log_interval >= 1, "give the number of steps, 1 or more")


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
        _check_numbers(self, "give 1 or more", "lr_scale_batch", low=1)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Dataset.

    Args:
        dataset: Kind of dataset. imagenet and image_folder: one folder a class below each split.
        data_dir: Folder of the dataset. digits writes its images there at the first run.
        train_split: Name of the training split.
        val_split: Name of the validation split.
        num_parallel_workers: Threads that decode and augment; never more than the machine's cores.
        shuffle: Draw the training images in a new order each epoch.
        num_samples: Train on this many images in total, over all devices.
        batch_size: Images per device and step.
        drop_remainder: Leave out the last training batch of an epoch if it is not full.
    """

    dataset: DATASETS = "imagenet"
    data_dir: str | None = None
    train_split: str = "train"
    val_split: str = "val"
    num_parallel_workers: int = 8
    shuffle: bool = True
    num_samples: int | None = None
    batch_size: int = 128
    drop_remainder: bool = True

    def __post_init__(self) -> None:
        _check_numbers(self, "give 1 or more", "num_parallel_workers", "num_samples", "batch_size", low=1)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Image transforms.

    Args:
        image_resize: Height and width of the network's input, in pixels.
        scale: Smallest and largest part of the image's area that a random resized crop keeps.
        ratio: Smallest and largest aspect ratio of a random resized crop.
        hflip: Probability of a horizontal flip; by default 0.5, and 0 for digits.
        vflip: Probability of a vertical flip.
        interpolation: How images are resized. pilcubic averages when it shrinks, as Pillow does.
        crop_pct: Part of the resized image that the evaluation crop keeps; by default 0.875, and 1 for
            small images.
        crop_padding: Largest random shift of small images in pixels; by default image_resize/8 for CIFAR
            and image_resize/16 for digits and MNIST.
        mean: Mean of each channel on the scale 0 to 255; by default the dataset's.
        std: Standard deviation of each channel on the scale 0 to 255; by default the dataset's.
    """

    image_resize: int = 224
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    hflip: float | None = None
    vflip: float = 0.0
    interpolation: Literal["nearest", "bilinear", "bicubic", "area", "pilcubic"] = "bilinear"
    crop_pct: float | None = None
    crop_padding: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _check_numbers(self, "give 8 pixels or more", "image_resize", low=8)
        _check_numbers(self, "give a probability from 0 to 1", "hflip", "vflip", high=1)
        _check_numbers(self, "give pixels, 0 or more", "crop_padding")
        _check_numbers(self, "give a part of the image, above 0 and up to 1", "crop_pct", low=1e-3, high=1)
        low, high = self.scale
        _check(
            self, "scale", 0 < low <= high <= 1, "give two parts of the area, 0 < smallest <= largest <= 1"
        )
        low, high = self.ratio
        _check(self, "ratio", 0 < low <= high < 100, "give two aspect ratios, 0 < smallest <= largest")
        if self.mean is not None:
            _check(self, "mean", all(0 <= v <= 255 for v in self.mean), "its scale is 0 to 255")
        if self.std is not None:
            _check(
                self, "std", all(0 < v <= 255 for v in self.std), "its scale is 0 to 255, and 0 is no scale"
            )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Model.

    Args:
        model: Name of a registered model, such as mnasnet_075.
        num_classes: Number of classes; by default the dataset's.
        in_channels: Channels of the input image, 3 for colour and 1 for grey.
        drop_rate: Dropout before the classifier; by default the model's.
        drop_path_rate: Stochastic depth of the last block; by default the model's.
        bn_eps: Batch normalisation's epsilon; by default the model's, 1e-3.
        bn_momentum: Weight of the old statistic in batch normalisation; by default the model's, 0.99.
        padding: symmetric as in PyTorch, or same as in TensorFlow; by default the model's, symmetric.
        ckpt_path: Checkpoint whose weights the network starts from.
    """

    model: str = "mnasnet_100"
    num_classes: int | None = None
    in_channels: int = 3
    drop_rate: float | None = None
    drop_path_rate: float | None = None
    bn_eps: float | None = None
    bn_momentum: float | None = None
    padding: Literal["symmetric", "same"] | None = None
    ckpt_path: str = ""

    def __post_init__(self) -> None:
        _check_numbers(self, "give 1 or more", "num_classes", low=1)
        _check(self, "in_channels", self.in_channels in (1, 3), "images have 3 channels, or 1 for grey")
        _check_numbers(self, "give a rate from 0 to below 1", "drop_rate", "drop_path_rate", high=0.999)
        _check_numbers(self, "give a small positive number", "bn_eps", low=1e-12, high=1)
        _check_numbers(self, "give a weight from 0 to 1", "bn_momentum", high=1)


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Loss.

    Args:
        loss: CE is cross entropy, BCE binary cross entropy.
        label_smoothing: Part of the target that is spread over all classes.
        aux_factor: Weight of the loss of a model's auxiliary outputs.
    """

    loss: Literal["CE", "BCE"] = "CE"
    label_smoothing: float = 0.0
    aux_factor: float = 0.0

    def __post_init__(self) -> None:
        _check_numbers(self, "give a part from 0 to below 1", "label_smoothing", high=0.999)
        _check_numbers(self, "give 0 or more", "aux_factor")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Optimizer.

    Args:
        opt: Optimizer.
        momentum: Momentum of sgd, momentum, nesterov and rmsprop.
        weight_decay: Weight decay.
        weight_decay_filter: What is spared from weight decay: disable spares nothing, auto normalisation
            layers, norm_and_bias these and all biases.
        use_nesterov: Nesterov's momentum, for sgd, momentum and adam.
        eps: Epsilon of the optimizers that have one; by default the optimizer's.
        loss_scale: Factor on the loss that keeps small gradients above zero in half precision.
    """

    opt: OPTIMIZERS = "adam"
    momentum: float = 0.9
    weight_decay: float = 1e-6
    weight_decay_filter: Literal["disable", "auto", "norm_and_bias"] = "disable"
    use_nesterov: bool = False
    eps: float | None = None
    loss_scale: float = 1.0

    def __post_init__(self) -> None:
        _check_numbers(self, "give a weight from 0 to below 1", "momentum", high=0.99999)
        _check_numbers(self, "give 0 or more", "weight_decay")
        _check_numbers(self, "give a small positive number", "eps", low=1e-30)
        _check_numbers(self, "give a positive factor", "loss_scale", low=1e-9)
        if self.use_nesterov and self.opt not in NESTEROV:
            raise ConfigError(
                f"use_nesterov=True does not fit opt={self.opt}: it is for {', '.join(NESTEROV)}; "
                "set it to False"
            )
        nesterov = self.opt == "nesterov" or (self.use_nesterov and self.opt in ("sgd", "momentum"))
        if nesterov and self.momentum == 0:
            raise ConfigError("Nesterov's momentum needs one, but momentum=0.0: set it above 0")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Length of training and learning rate.

    Args:
        epoch_size: Epochs in total.
        scheduler: How the learning rate falls after the warm-up.
        lr: Peak learning rate for the global batch.
        min_lr: Lowest learning rate of cosine_decay, polynomial_decay, one_cycle and cyclic.
        warmup_epochs: Epochs of linear ramp before the decay.
        warmup_factor: Part of lr that the ramp starts from.
        decay_epochs: Epochs of a cosine after the warm-up, by default all that are left; or the epochs
            between two steps of step_decay.
        decay_rate: Factor of a decay, or the power of polynomial_decay.
        multi_step_decay_milestones: Epochs, from the start of training, at which multi_step_decay decays.
        lr_epoch_stair: Change the learning rate once an epoch instead of at every step.
        num_cycles: Number of cosines, or of cycles.
        cycle_decay: Factor on the peak from one cosine to the next.
    """

    epoch_size: int = 90
    scheduler: SCHEDULERS = "cosine_decay"
    lr: float = 0.001
    min_lr: float = 1e-6
    warmup_epochs: int = 3
    warmup_factor: float = 0.0
    decay_epochs: float | None = None
    decay_rate: float = 0.9
    multi_step_decay_milestones: tuple[int, ...] = (30, 60, 90)
    lr_epoch_stair: bool = False
    num_cycles: int = 1
    cycle_decay: float = 1.0

    def __post_init__(self) -> None:
        _check_numbers(self, "give 1 or more", "epoch_size", "num_cycles", low=1)
        _check_numbers(self, "give a positive number", "lr", low=1e-30)
        _check_numbers(self, "give 0 or more", "min_lr", "warmup_epochs")
        _check_numbers(self, "give a positive number", "decay_epochs", "decay_rate", "cycle_decay", low=1e-6)
        _check_numbers(self, "give a part of lr from 0 to 1", "warmup_factor", high=1)
        milestones = self.multi_step_decay_milestones
        ascending = all(a < b for a, b in pairwise(milestones))
        _check(
            self,
            "multi_step_decay_milestones",
            ascending and all(m > 0 for m in milestones),
            "give rising epochs above 0",
        )
        if self.warmup_epochs > self.epoch_size:
            raise ConfigError(
                f"warmup_epochs={self.warmup_epochs} leaves nothing of epoch_size={self.epoch_size}: "
                "lower the warm-up or train longer"
            )
        if self.min_lr > self.lr:
            raise ConfigError(f"min_lr={self.min_lr} is above lr={self.lr}: lower min_lr or raise lr")
        if self.scheduler == "step_decay" and self.decay_epochs is None:
            raise ConfigError("scheduler=step_decay decays every decay_epochs: set it")
        if self.scheduler == "multi_step_decay" and not milestones:
            raise ConfigError(
                "scheduler=multi_step_decay needs multi_step_decay_milestones: give some epochs"
            )


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Validation.

    Args:
        val_while_train: Validate while training; the best checkpoint is chosen by it.
        val_interval: Epochs between two validations.
    """

    val_while_train: bool = False
    val_interval: int = 1

    def __post_init__(self) -> None:
        _check_numbers(self, "give 1 or more", "val_interval", low=1)


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """Checkpoints.

    Args:
        ckpt_save_dir: Folder that receives checkpoints, the log and the curve.
        ckpt_save_interval: Epochs between two checkpoints.
        ckpt_save_policy: Keep the newest (latest_k) or the best (top_k) keep_checkpoint_max of them.
        keep_checkpoint_max: How many of them are kept; the best is kept besides.
    """

    ckpt_save_dir: str = "./ckpt"
    ckpt_save_interval: int = 1
    ckpt_save_policy: Literal["latest_k", "top_k"] = "latest_k"
    keep_checkpoint_max: int = 10

    def __post_init__(self) -> None:
        _check_numbers(self, "give 1 or more", "ckpt_save_interval", low=1)
        _check_numbers(self, "give 0 or more", "keep_checkpoint_max")
