"""All sections together, and what they must agree in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from mindcv.config.option import Scope, options_of
from mindcv.config.sections.data import (
    AugmentConfig,
    DataConfig,
    DatasetConfig,
    ImageConfig,
    MixConfig,
    PolicyConfig,
)
from mindcv.config.sections.network import (
    DistillationConfig,
    FreezingConfig,
    LossConfig,
    ModelConfig,
    TeacherConfig,
)
from mindcv.config.sections.output import CheckpointConfig, RecoveryConfig, ValidationConfig
from mindcv.config.sections.system import ParallelConfig, PrecisionConfig, SystemConfig
from mindcv.config.sections.training import EmaConfig, GradientConfig, OptimizerConfig, ScheduleConfig
from mindcv.errors import ConfigError

__all__ = ["OPTIONS", "OPTION_TYPES", "SECTIONS", "Config", "options_in_scope"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """All options of one run, checked one by one and together."""

    system: SystemConfig
    precision: PrecisionConfig
    parallel: ParallelConfig
    dataset: DatasetConfig
    data: DataConfig
    image: ImageConfig
    augment: AugmentConfig
    policy: PolicyConfig
    mix: MixConfig
    model: ModelConfig
    freezing: FreezingConfig
    loss: LossConfig
    teacher: TeacherConfig
    distillation: DistillationConfig
    optimizer: OptimizerConfig
    gradient: GradientConfig
    schedule: ScheduleConfig
    ema: EmaConfig
    validation: ValidationConfig
    checkpoint: CheckpointConfig
    recovery: RecoveryConfig

    def __post_init__(self) -> None:
        self._check_images()
        self._check_epochs()
        if self.checkpoint.policy == "top_k" and not self.validation.val_while_train:
            raise ConfigError("ckpt_save_policy=top_k ranks by validation: set val_while_train to True")
        accumulation = self.gradient.gradient_accumulation_steps
        if accumulation > 1 and not self.data.drop_remainder:
            raise ConfigError(
                f"gradient_accumulation_steps={accumulation} needs batches of one size: "
                "set drop_remainder to True"
            )
        for option in options_of(DistillationConfig):
            value = getattr(self.distillation, option.field)
            if not self.teacher.model_name and value != option.default:
                raise ConfigError(f"{option.name}={value} has no teacher: give one, or leave it out")

    def _check_images(self) -> None:
        channels = self.model.in_channels
        for key, values in (("mean", self.image.mean), ("std", self.image.std)):
            if values is not None and len(values) != channels:
                raise ConfigError(
                    f"{key}={list(values)} does not fit in_channels={channels}: give one number per channel"
                )

    def _check_epochs(self) -> None:
        epochs, starts = self.schedule.num_epochs, self.image.progressive_epochs
        late = [epoch for epoch in starts if epoch >= epochs]
        if late:
            raise ConfigError(
                f"progressive_epochs={list(starts)} exceeds epoch_size={epochs}: "
                f"lower {late[0]} or train longer"
            )
        if self.mix.mixup_off_epoch > epochs:
            raise ConfigError(
                f"mixup_off_epoch={self.mix.mixup_off_epoch} is above epoch_size={epochs}: "
                "lower it, or give 0 to mix to the end"
            )

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Config":
        """Create the sections from flat options; a missing option has its default.

        A warm-up that is not given ends before the last epoch.

        Args:
            options: Values by flat name, as in a YAML file.

        Raises:
            ConfigError: If a value is out of range, or two of them are impossible together.
        """
        epochs = options.get("epoch_size", OPTIONS["epoch_size"].default)
        if "warmup_epochs" not in options and 1 <= epochs < OPTIONS["warmup_epochs"].default:
            options = {**options, "warmup_epochs": epochs - 1}
        sections = {
            name: section(**{o.field: options[o.name] for o in options_of(section) if o.name in options})
            for name, section in SECTIONS.items()
        }
        return cls(**sections)

    def options(self) -> dict[str, Any]:
        """Return all options by flat name, with values as in a YAML file."""
        flat = {
            option.name: getattr(getattr(self, name), option.field)
            for name, section in SECTIONS.items()
            for option in options_of(section)
        }
        return {key: list(value) if isinstance(value, tuple) else value for key, value in flat.items()}


SECTIONS: dict[str, Any] = get_type_hints(Config)
OPTIONS = {option.name: option for section in SECTIONS.values() for option in options_of(section)}
OPTION_TYPES = {name: option.kind for name, option in OPTIONS.items()}


def options_in_scope(scope: Scope) -> frozenset[str]:
    """Return the flat names of the options that belong to the network, the training or the run."""
    return frozenset(name for name, option in OPTIONS.items() if option.scope == scope)
