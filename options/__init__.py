"""Every option once, in typed, frozen sections: its name, type, default, meaning and range."""

from options.checks import ConfigError
from options.config import OPTION_TYPES, SECTIONS, Config
from options.data import AugmentConfig, DataConfig, MixConfig, PolicyConfig
from options.network import LossConfig, ModelConfig, TeacherConfig
from options.output import CheckpointConfig, ValidationConfig
from options.system import ParallelConfig, PrecisionConfig, SystemConfig
from options.training import EmaConfig, GradientConfig, OptimizerConfig, ScheduleConfig

__all__ = [
    "OPTION_TYPES",
    "SECTIONS",
    "AugmentConfig",
    "CheckpointConfig",
    "Config",
    "ConfigError",
    "DataConfig",
    "EmaConfig",
    "GradientConfig",
    "LossConfig",
    "MixConfig",
    "ModelConfig",
    "OptimizerConfig",
    "ParallelConfig",
    "PolicyConfig",
    "PrecisionConfig",
    "ScheduleConfig",
    "SystemConfig",
    "TeacherConfig",
    "ValidationConfig",
]
