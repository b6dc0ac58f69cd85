"""All sections together, and what they must agree in."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_type_hints

from mindcv.config.checks import ConfigError
from mindcv.config.sections.data import AugmentConfig, DataConfig, MixConfig, PolicyConfig
from mindcv.config.sections.network import LossConfig, ModelConfig, TeacherConfig
from mindcv.config.sections.output import CheckpointConfig, ValidationConfig
from mindcv.config.sections.system import ParallelConfig, PrecisionConfig, SystemConfig
from mindcv.config.sections.training import EmaConfig, GradientConfig, OptimizerConfig, ScheduleConfig

__all__ = ["OPTION_TYPES", "SECTIONS", "Config"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """All options of one run, checked one by one and together."""

    system: SystemConfig
    precision: PrecisionConfig
    parallel: ParallelConfig
    data: DataConfig
    augment: AugmentConfig
    policy: PolicyConfig
    mix: MixConfig
    model: ModelConfig
    loss: LossConfig
    teacher: TeacherConfig
    optimizer: OptimizerConfig
    gradient: GradientConfig
    schedule: ScheduleConfig
    ema: EmaConfig
    validation: ValidationConfig
    checkpoint: CheckpointConfig

    def __post_init__(self) -> None:
        channels = self.model.in_channels
        for key, values in (("mean", self.augment.mean), ("std", self.augment.std)):
            if values is not None and len(values) != channels:
                raise ConfigError(
                    f"{key}={list(values)} does not fit in_channels={channels}: give a number a channel"
                )
        if self.checkpoint.ckpt_save_policy == "top_k" and not self.validation.val_while_train:
            raise ConfigError("ckpt_save_policy=top_k ranks by validation: set val_while_train to True")
        if self.checkpoint.resume and self.model.ckpt_path:
            raise ConfigError(
                f"resume={self.checkpoint.resume} and ckpt_path={self.model.ckpt_path} both say "
                "what to start from: keep one"
            )
        accumulation = self.gradient.gradient_accumulation_steps
        if accumulation > 1 and not self.data.drop_remainder:
            raise ConfigError(
                f"gradient_accumulation_steps={accumulation} needs batches of one size: "
                "set drop_remainder to True"
            )
        late = [e for e in self.augment.progressive_epochs if e >= self.schedule.epoch_size]
        if late:
            raise ConfigError(
                f"progressive_epochs={list(self.augment.progressive_epochs)} reaches beyond "
                f"epoch_size={self.schedule.epoch_size}: lower {late[0]} or train longer"
            )
        if self.mix.mixup_off_epoch > self.schedule.epoch_size:
            raise ConfigError(
                f"mixup_off_epoch={self.mix.mixup_off_epoch} lies beyond "
                f"epoch_size={self.schedule.epoch_size}: lower it, or give 0 to mix to the end"
            )

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Config":
        """Build the sections from flat options; a missing option takes its default.

        Raises:
            ConfigError: If a value is out of range, or two of them are impossible together.
        """
        sections = {
            name: section(**{f.name: options[f.name] for f in fields(section) if f.name in options})
            for name, section in SECTIONS.items()
        }
        return cls(**sections)

    def options(self) -> dict[str, Any]:
        """All options flat, as they would stand in a YAML file."""
        flat = {key: value for section in asdict(self).values() for key, value in section.items()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in flat.items()}


SECTIONS: dict[str, Any] = get_type_hints(Config)
OPTION_TYPES = {name: kind for section in SECTIONS.values() for name, kind in get_type_hints(section).items()}
