"""MindCV's YAML files: keys that are read differently here, and values whose meaning is kept on purpose."""

from collections.abc import Collection, Mapping
from typing import Any

from mindcv.config.schema import OPTIONS
from mindcv.errors import ConfigError

__all__ = ["MINDCV_NAMES", "MINDCV_OFF", "kept_differences", "translate_mindcv"]

# MindCV's switches for features that this version lacks, with the values that mean "off": a file that leaves
# them off means the same here, and loads.
MINDCV_OFF: dict[str, tuple[Any, ...]] = {
    "aug_splits": (0,),
    "dataset_download": (False,),
    "dynamic_loss_scale": (False,),
    "enable_modelarts": (False,),
    "eval_shuffle": (False,),
    "reduction": ("mean",),
    "resume_opt": (False,),
}

# All of MindCV's names that `translate_mindcv` takes away.
MINDCV_NAMES = frozenset({*MINDCV_OFF, "amp_cast_list", "filter_bias_and_bn"})

# The keys of MindCV's files that are options here. A file with any other option was written for this project.
MINDCV_KEYS = frozenset(
    """
    mode distribute val_while_train val_interval log_interval pretrained ckpt_path seed dataset data_dir
    train_split val_split num_parallel_workers shuffle num_samples batch_size drop_remainder aug_repeats
    image_resize scale ratio hflip vflip color_jitter interpolation auto_augment re_prob re_scale re_ratio
    re_value re_max_attempts mean std crop_pct cutmix cutmix_prob mixup mixup_off_epoch model num_classes
    in_channels drop_rate drop_path_rate amp_level val_amp_level keep_checkpoint_max ckpt_save_dir
    ckpt_save_interval ckpt_save_policy epoch_size dataset_sink_mode ema ema_decay clip_grad clip_value
    gradient_accumulation_steps opt momentum weight_decay weight_decay_filter loss_scale loss_scale_type
    drop_overflow_update use_nesterov eps layer_decay scheduler lr min_lr warmup_epochs warmup_factor
    decay_epochs decay_rate multi_step_decay_milestones lr_epoch_stair num_cycles cycle_decay loss
    label_smoothing aux_factor device_target
    """.split()  # noqa: SIM905
)
COUNTED_FROM_THE_START = ("step_decay", "multi_step_decay", "exponential_decay")
COSINES = ("cosine_decay", "warmup_cosine_decay")
# Defaults of MindCV's that are others here, where a file leaves them unsaid.
MINDCV_DECAY_EPOCHS = 100
MINDCV_MODEL = "mobilenet_v2_035_224"
# The epsilon of the optimizers that MindCV creates without the file's: it is for its rmsprop alone.
OWN_EPSILON = {"adam": 1e-8, "adamw": 1e-8, "nadam": 1e-8, "lamb": 1e-6, "adagrad": 1e-10}


def translate_mindcv(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Drop MindCV's keys that are switched off, and rename the key and the value that have newer names.

    Args:
        mapping: Options as they stand in the file.

    Returns:
        The same options by this project's keys.

    Raises:
        ConfigError: If the file switches on a feature that this version lacks.
    """
    options = {}
    for key, value in mapping.items():
        if key in MINDCV_OFF:
            off = MINDCV_OFF[key]
            if not any(value == v and isinstance(value, bool) == isinstance(v, bool) for v in off):
                spelt = "null" if off[0] is None else off[0]
                raise ConfigError(f"{key}={value} is not available: leave it out, or set it to {spelt}")
        elif key != "amp_cast_list":  # see `kept_differences`
            options[key] = value
    if options.get("dataset") == "":  # a folder of the user's own images
        options["dataset"] = "image_folder"
    if "filter_bias_and_bn" in options:
        options["weight_decay_filter"] = _weight_decay_filter(options)
        del options["filter_bias_and_bn"]
    return options


def _weight_decay_filter(options: Mapping[str, Any]) -> str:
    excluded = options["filter_bias_and_bn"]
    if not isinstance(excluded, bool):
        raise ConfigError(f"filter_bias_and_bn={excluded} is neither true nor false: use weight_decay_filter")
    value = "norm_and_bias" if excluded else "disable"
    if options.get("weight_decay_filter", value) != value:
        raise ConfigError(
            f"filter_bias_and_bn={excluded} contradicts "
            f"weight_decay_filter={options['weight_decay_filter']}: keep the latter"
        )
    return value


def kept_differences(
    mapping: Mapping[str, Any], options: Mapping[str, Any], given: Collection[str]
) -> list[str]:
    """Return what a file of MindCV means here and not there, each in a few words; docs/migration.md has more.

    Args:
        mapping: Options as they stand in the file.
        options: All options of the run by flat name: the command line may have replaced some of the file's.
        given: Names of those that do not have their default: from file, checkpoint or command line.

    Returns:
        Nothing for a file with options that MindCV does not have: it was not written for MindCV.
    """
    if any(key in OPTIONS and key not in MINDCV_KEYS for key in mapping):
        return []
    cast, policy = mapping.get("amp_cast_list"), options["auto_augment"] or ""
    found = {
        **_schedule(mapping, options),
        **_optimization(options, given),
        f"auto_augment={policy} has no mstd0.5": policy.startswith("3a") and "mstd" not in policy,
        f"num_samples={options['num_samples']} counts the images of all devices": bool(options["num_samples"])
        and options["distribute"],
        f"loss_scale_type=auto is dynamic at amp_level={options['amp_level']} too": options["loss_scale_type"]
        == "auto"
        and options["amp_level"] in ("O1", "O3", "auto"),
        f"amp_cast_list={cast} is ignored, amp_level decides alone": cast not in (None, "", [], "[]"),
        f"model={options['model']} by default, not {MINDCV_MODEL}": "epoch_size" in mapping
        and "model" not in given,
    }
    return [text for text, applies in found.items() if applies]


def _schedule(mapping: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, bool]:
    """Differences of the learning rate, and whether each applies."""
    scheduler, rises = options["scheduler"], options["warmup_epochs"] > 0
    length = (options["epoch_size"] - options["warmup_epochs"]) / options["num_cycles"]
    sets_schedule = not {"epoch_size", "warmup_epochs", "scheduler"}.isdisjoint(mapping)
    return {
        f"scheduler={scheduler} counts epochs from the start of training": rises
        and scheduler in COUNTED_FROM_THE_START,
        f"scheduler=polynomial_decay ends at min_lr={options['min_lr']}, not at 0": options["min_lr"] > 0
        and scheduler == "polynomial_decay",
        f"decay_epochs={length:g} by default, not {MINDCV_DECAY_EPOCHS}": sets_schedule
        and scheduler in COSINES
        and options["decay_epochs"] is None
        and length != MINDCV_DECAY_EPOCHS,
        "lr_epoch_stair=True leaves out the epoch at lr 0": options["lr_epoch_stair"]
        and rises
        and not options["warmup_factor"],
    }


def _optimization(options: Mapping[str, Any], given: Collection[str]) -> dict[str, bool]:
    """Differences of optimizer, gradients and EMA, and whether each applies."""
    opt, eps = options["opt"], options["eps"]
    return {
        "ema=True averages over fewer updates at first": options["ema"],
        "clip_grad=True clips the mean of all devices' gradients": options["clip_grad"]
        and options["distribute"],
        "layer_decay excludes nothing from weight decay": options["layer_decay"] is not None
        and options["weight_decay"] > 0
        and options["weight_decay_filter"] == "disable",
        f"eps={eps} is also the epsilon of {opt}": "eps" in given
        and opt in OWN_EPSILON
        and eps not in (None, OWN_EPSILON[opt]),
    }
