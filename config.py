"""The options of a run: `from config import parse_args`, as in MindCV."""

from mindcv.config import Config, ConfigError, load_config, parse_args

__all__ = ["Config", "ConfigError", "load_config", "parse_args"]
