"""Closed sets of names, each defined once: read by the options, the factories and the programs.

A factory reads the names with `typing.get_args`. Sets that users can extend, such as the models, are
registries instead.
"""

from typing import Literal

__all__ = [
    "NESTEROV",
    "OPSETS",
    "AmpLevel",
    "BadImagePolicy",
    "ClipMode",
    "Dataset",
    "Device",
    "ExecutionMode",
    "ExportFormat",
    "HalfPrecision",
    "Interpolation",
    "Layout",
    "LossName",
    "LossScaleType",
    "LrScale",
    "NanPolicy",
    "Optimizer",
    "Padding",
    "PredictionFormat",
    "Reduction",
    "SavePolicy",
    "Schedule",
    "StatisticsExchange",
    "WeightDecayFilter",
]

# The device and its arithmetic.
ExecutionMode = Literal[0, 1]
Device = Literal["auto", "CPU", "GPU", "Ascend"]
AmpLevel = Literal["O0", "O1", "O2", "O3", "auto"]
HalfPrecision = Literal["fp16", "bf16"]
LossScaleType = Literal["fixed", "dynamic", "auto"]
StatisticsExchange = Literal["reduce", "broadcast", "none"]

# Images.
Dataset = Literal[
    "imagenet", "image_folder", "digits", "cifar10", "cifar100", "mnist", "fashion_mnist", "mindrecord"
]
Interpolation = Literal["nearest", "bilinear", "linear", "bicubic", "area", "pilcubic", "pilbilinear"]
BadImagePolicy = Literal["fail", "skip", "replace"]

# The network and its loss.
Padding = Literal["symmetric", "same"]
LossName = Literal["CE", "BCE", "asl_single_label", "asl_multi_label"]
Reduction = Literal["mean", "sum", "none"]

# Optimization.
Optimizer = Literal[
    "sgd",
    "momentum",
    "nesterov",
    "rmsprop",
    "adam",
    "adamw",
    "adan",
    "lamb",
    "lion",
    "adagrad",
    "nadam",
]
NESTEROV: tuple[Optimizer, ...] = ("sgd", "momentum", "nesterov", "adam", "nadam")  # can use it
WeightDecayFilter = Literal["disable", "auto", "norm_and_bias"]
Schedule = Literal[
    "constant",
    "cosine_decay",
    "warmup_cosine_decay",
    "step_decay",
    "multi_step_decay",
    "exponential_decay",
    "polynomial_decay",
    "one_cycle",
    "cyclic",
]
LrScale = Literal["none", "linear", "sqrt"]
ClipMode = Literal["norm", "value", "agc"]

# Files.
SavePolicy = Literal["latest_k", "top_k"]
NanPolicy = Literal["stop", "rollback"]
ExportFormat = Literal["onnx", "mindir"]
OPSETS = range(13, 22)  # versions of ONNX's operators that export can write
PredictionFormat = Literal["table", "csv", "jsonl"]
Layout = Literal["mindcv", "timm", "torchvision"]
