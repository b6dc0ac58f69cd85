"""Every option once, in typed, frozen sections: its name, type, default, meaning and range."""

from mindcv.config.checks import ConfigError
from mindcv.config.loading import given_option, load_config, parse_args, refuse
from mindcv.config.schema import OPTION_TYPES, SECTIONS, Config
from mindcv.config.sections.data import AugmentConfig, DataConfig, MixConfig, PolicyConfig
from mindcv.config.sections.network import LossConfig, ModelConfig, TeacherConfig
from mindcv.config.sections.output import CheckpointConfig, ValidationConfig
from mindcv.config.sections.system import ParallelConfig, PrecisionConfig, SystemConfig
from mindcv.config.sections.training import EmaConfig, GradientConfig, OptimizerConfig, ScheduleConfig

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
    "given_option",
    "load_config",
    "parse_args",
    "refuse",
]
