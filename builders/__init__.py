"""From a `Config` to objects: the only room that knows both the options and the factories."""

from builders.benchmark import (
    benchmark_config,
    build_evaluated_network,
    build_synthetic_batch,
    build_timed_step,
    count_costs,
)
from builders.data import build_training_data, build_validation_data
from builders.export import (
    build_exported_network,
    build_image_format,
    build_quantization_images,
    build_sample_images,
    export_metadata,
)
from builders.inference import build_classifier, build_images
from builders.network import build_average, build_forward, build_network, normalized
from builders.output import (
    build_checkpoints,
    build_evaluation,
    build_history,
    build_saving,
    build_validations,
)
from builders.progress import build_progress, build_rollback, find_resumed
from builders.runtime import start_runtime
from builders.stored import load_stored_config, parse_stored_args, stored_options
from builders.training import (
    build_learning_rates,
    build_optimizer,
    build_statistics_exchange,
    build_train_step,
    learning_rate_factor,
)

__all__ = [
    "benchmark_config",
    "build_average",
    "build_checkpoints",
    "build_classifier",
    "build_evaluated_network",
    "build_evaluation",
    "build_exported_network",
    "build_forward",
    "build_history",
    "build_image_format",
    "build_images",
    "build_learning_rates",
    "build_network",
    "build_optimizer",
    "build_progress",
    "build_quantization_images",
    "build_rollback",
    "build_sample_images",
    "build_saving",
    "build_statistics_exchange",
    "build_synthetic_batch",
    "build_timed_step",
    "build_train_step",
    "build_training_data",
    "build_validation_data",
    "build_validations",
    "count_costs",
    "export_metadata",
    "find_resumed",
    "learning_rate_factor",
    "load_stored_config",
    "normalized",
    "parse_stored_args",
    "start_runtime",
    "stored_options",
]
