"""Train, validate and use MnasNet with MindSpore."""

from mindcv.runtime.environment import prepare_environment

prepare_environment()  # before MindSpore runs anything

from mindcv.models import create_model, list_models  # noqa: E402
from mindcv.version import __version__  # noqa: E402

__all__ = ["__version__", "create_model", "list_models"]
