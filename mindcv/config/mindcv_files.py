"""MindCV's YAML files: keys that are read differently here, and values whose meaning is kept on purpose."""

from collections.abc import Mapping
from typing import Any

from mindcv.config.schema import OPTIONS
from mindcv.errors import ConfigError

__all__ = ["MINDCV_OFF", "kept_differences", "translate_mindcv"]

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


def translate_mindcv(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Drop MindCV's keys that are switched off and rename the one that has a newer name.

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
                raise ConfigError(f"{key}={value} is not available: remove the line, or set it to {spelt}")
        elif key != "amp_cast_list":  # see `kept_differences`
            options[key] = value
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


def kept_differences(mapping: Mapping[str, Any]) -> list[str]:
    """Return what a file of MindCV means here and not there, each in a few words; docs/migration.md has more.

    Args:
        mapping: Options as they stand in the file.

    Returns:
        Nothing for a file with options that MindCV does not have: it was not written for MindCV.
    """
    if any(key in OPTIONS and key not in MINDCV_KEYS for key in mapping):
        return []
    values = {name: option.default for name, option in OPTIONS.items()} | dict(mapping)
    scheduler, rises = str(values["scheduler"]).lower(), bool(values["warmup_epochs"])
    filtered = values["weight_decay_filter"] != "disable" or bool(mapping.get("filter_bias_and_bn"))
    cast = mapping.get("amp_cast_list")
    found = {
        f"scheduler={scheduler} counts epochs from the start of training": rises
        and scheduler in COUNTED_FROM_THE_START,
        f"scheduler=polynomial_decay ends at min_lr={values['min_lr']}, not at 0": bool(values["min_lr"])
        and scheduler == "polynomial_decay",
        "lr_epoch_stair=True leaves out the epoch at lr 0": bool(values["lr_epoch_stair"])
        and rises
        and not values["warmup_factor"],
        "ema=True averages over fewer updates at first": bool(values["ema"]),
        "clip_grad=True clips the mean of all devices' gradients": bool(values["clip_grad"])
        and bool(values["distribute"]),
        "layer_decay excludes nothing from weight decay": values["layer_decay"] is not None
        and bool(values["weight_decay"])
        and not filtered,
        f"num_samples={values['num_samples']} counts the images of all devices": bool(values["num_samples"])
        and bool(values["distribute"]),
        f"amp_cast_list={cast} is ignored, amp_level decides alone": cast not in (None, "", [], "[]"),
    }
    return [text for text, applies in found.items() if applies]
