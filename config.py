"""The options of a run: `from config import parse_args`, as in MindCV."""

from mindcv.config import Config, ConfigError, load_config, save_args
from mindcv.config import parse_flat_args as parse_args

__all__ = ["Config", "ConfigError", "load_config", "parse_args", "save_args"]
