"""Every option once, in typed, frozen sections; read from YAML files and the command line."""

from mindcv.config.flat_options import parse_flat_args, save_args
from mindcv.config.loading import given_option, load_config, parse_args
from mindcv.config.option import Option
from mindcv.config.schema import OPTION_TYPES, OPTIONS, SECTIONS, Config, options_in_scope
from mindcv.errors import ConfigError

__all__ = [
    "OPTIONS",
    "OPTION_TYPES",
    "SECTIONS",
    "Config",
    "ConfigError",
    "Option",
    "given_option",
    "load_config",
    "options_in_scope",
    "parse_args",
    "parse_flat_args",
    "save_args",
]
