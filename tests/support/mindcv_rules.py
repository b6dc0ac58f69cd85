"""The meaning of a YAML file in MindCV, by its documentation, and here: two mappings to compare."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mindcv import optim
from mindcv.build.pipelines import channel_scale, color_jitter
from mindcv.config import Config
from mindcv.data import find_dataset
from mindcv.data.augment.policies import create_policy
from mindcv.data.evaluation_transforms import crop_fraction

__all__ = ["DEFAULTS", "KEPT", "effective_here", "effective_in_mindcv"]

TABLE = yaml.safe_load(
    (Path(__file__).parents[1] / "project" / "mindcv_defaults.yaml").read_text(encoding="utf-8")
)
DEFAULTS: dict[str, Any] = TABLE["defaults"]
KEPT: dict[str, Any] = TABLE["kept"]

# MindCV gives eps to its rmsprop alone; these have their own.
OWN_EPSILON = {"adam": 1e-8, "adamw": 1e-8, "nadam": 1e-8, "lamb": 1e-6, "adagrad": 1e-10}
CLASSES = {
    "rmsprop": optim.RMSProp,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "nadam": optim.NAdam,
    "lamb": optim.Lamb,
    "adagrad": optim.Adagrad,
}
RESOLVED = ("eps", "loss_scale", "loss_scale_type", "auto_augment", "filter_bias_and_bn")


def effective_in_mindcv(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every option is in MindCV for a file with these options."""
    values = DEFAULTS | dict(mapping)
    if "filter_bias_and_bn" in mapping:
        values["weight_decay_filter"] = "norm_and_bias" if mapping["filter_bias_and_bn"] else "disable"
    opt, policy = values["opt"].lower(), values["auto_augment"]
    start = {"dynamic": (True, float(values["loss_scale"])), "fixed": (False, float(values["loss_scale"]))}
    start["auto"] = (True, 2.0**24) if values["amp_level"] == "O2" else (False, 1.0)
    noise = re.search(r"mstd([\d.]+)", policy or "")
    return {key: _plain(value) for key, value in values.items() if key not in RESOLVED} | {
        "epsilon": values["eps"] if opt == "rmsprop" else OWN_EPSILON.get(opt),
        "loss scale": start[values["loss_scale_type"]],
        "noise": (float(noise[1]) if noise else 0.5) if policy else None,
    }


def effective_here(config: Config) -> dict[str, Any]:
    """Return what every option is here, by the functions that a run uses for those that it leaves open."""
    options, info = config.options(), find_dataset(config.dataset.name)
    mean, std = channel_scale(config)
    open_options = {
        "color_jitter": color_jitter(config),
        "hflip": info.hflip if options["hflip"] is None else options["hflip"],
        "crop_pct": crop_fraction(info, options["crop_pct"], options["image_resize"]),
        "mean": mean,
        "std": std,
    }
    default = _default_epsilon(options["opt"])
    values = options | open_options
    return {key: _plain(value) for key, value in values.items() if key not in RESOLVED} | {
        "epsilon": default if options["eps"] is None or default is None else options["eps"],
        "loss scale": (config.precision.dynamic, config.precision.initial_loss_scale),
        "noise": _noise(options["auto_augment"]),
    }


def _noise(policy_name: str | None) -> float | None:
    """The standard deviation of the noise on the magnitudes of a policy."""
    if not policy_name:
        return None
    policy: Any = create_policy(policy_name)
    return policy.std if hasattr(policy, "std") else policy.magnitude.std


def _default_epsilon(opt: str) -> float | None:
    """The default epsilon of an optimizer's class; None for one that has none."""
    return inspect.signature(CLASSES[opt]).parameters["eps"].default if opt in CLASSES else None


def _plain(value: Any) -> Any:
    """A value without its type and case: 1 and 1.0, and CE and ce, mean the same."""
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool) else float(f"{value:.9g}")
