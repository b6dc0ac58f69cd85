"""From a `Config` to objects: the only room that knows both the options and the factories."""

from mindcv.build.callbacks import build_callbacks
from mindcv.build.class_names import scored_classes
from mindcv.build.classifier import build_classifier, build_images
from mindcv.build.evaluation import best_checkpoint, build_checkpoints, build_evaluation, build_validations
from mindcv.build.exporting import (
    build_exported_network,
    build_image_format,
    build_quantization_images,
    build_sample_images,
    export_metadata,
)
from mindcv.build.networks import build_ema_model, build_forward, build_network, normalized
from mindcv.build.optimization import (
    build_learning_rates,
    build_optimizer,
    learning_rate_factor,
)
from mindcv.build.pipelines import build_training_data, build_validation_data
from mindcv.build.reporting import build_recorder, write_validation_report
from mindcv.build.resumed_run import build_rollback, find_resumed, restore_run
from mindcv.build.runtime import start_runtime
from mindcv.build.stored_config import load_stored_config, stored_options, tell_changes
from mindcv.build.timed_step import (
    build_evaluated_network,
    build_synthetic_batch,
    build_timed_step,
    count_costs,
)
from mindcv.build.training_run import create_trainer
from mindcv.build.training_step import (
    broadcast_initial_values,
    build_statistics_exchange,
    build_train_step,
)

__all__ = [
    "best_checkpoint",
    "broadcast_initial_values",
    "build_callbacks",
    "build_checkpoints",
    "build_classifier",
    "build_ema_model",
    "build_evaluated_network",
    "build_evaluation",
    "build_exported_network",
    "build_forward",
    "build_image_format",
    "build_images",
    "build_learning_rates",
    "build_network",
    "build_optimizer",
    "build_quantization_images",
    "build_recorder",
    "build_rollback",
    "build_sample_images",
    "build_statistics_exchange",
    "build_synthetic_batch",
    "build_timed_step",
    "build_train_step",
    "build_training_data",
    "build_validation_data",
    "build_validations",
    "count_costs",
    "create_trainer",
    "export_metadata",
    "find_resumed",
    "learning_rate_factor",
    "load_stored_config",
    "normalized",
    "restore_run",
    "scored_classes",
    "start_runtime",
    "stored_options",
    "tell_changes",
    "write_validation_report",
]
