"""Each option of an ingredient reaches the object that it is for."""

from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import onnx
import pytest
from mindspore import nn
from onnx import TensorProto, helper, numpy_helper

from mindcv import build
from mindcv.config import Config
from mindcv.data import OnnxTeacher
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import create_model
from mindcv.runtime.session import Runtime
from mindcv.step import (
    AdaptiveClip,
    ClipByNorm,
    ClipByValue,
    NetworkWithTeacher,
    NetworkWithTeacherLogits,
    TrainStep,
)
from tests.support.networks import values_of
from tests.support.ranks import OneOfTwo

ALONE = Runtime(device="CPU")
CLASSES = ("apple", "pear", "sky")


def config_for(photos: Path | str = "", **options: Any) -> Config:
    common = {"data_dir": str(photos), "model": "mnasnet_small", "image_resize": 16, "batch_size": 4}
    return Config.from_options({**common, "num_parallel_workers": 1, **options})


def network_for(**options: Any) -> nn.Cell:
    return build.build_network(config_for(**options), CLASSES, ALONE, is_training=True)


def step_for(network: nn.Cell | None = None, **options: Any) -> TrainStep:
    config = config_for(**options)
    network = network or build.build_network(config, CLASSES, ALONE, is_training=True)
    ema_model = build.build_ema_model(config, network, CLASSES, ALONE)
    optimizer = build.build_optimizer(config, network, [0.1])
    forward = build.build_forward(config, network, CLASSES)
    return build.build_train_step(config, network, forward, optimizer, ema_model, ALONE)


def checkpoint(path: Path, seed: int, classes: int = len(CLASSES)) -> Path:
    """A file of random weights."""
    ms.set_seed(seed)
    write_checkpoint(path, create_model("mnasnet_small", classes).parameters_dict(), {})
    return path


def never() -> bool:
    """Whether the run is to stop."""
    return False


# --- images ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "size"), [({}, 16), ({"val_image_resize": 24}, 24)])
def test_validation_images_have_a_size_of_their_own(photos, options, size):
    config = config_for(photos, **options)
    shapes = []
    for data in (build.build_training_data, build.build_validation_data):
        image, _ = next(iter(data(config, ALONE).epoch().create_tuple_iterator(num_epochs=1)))
        shapes.append(image.shape)
    assert shapes == [(4, 3, 16, 16), (4, 3, size, size)]


def test_the_options_of_mixing_repetition_and_accumulation_reach_the_pipeline(photos):
    mixing = {"mixup": 0.2, "cutmix": 0.3, "cutmix_prob": 0.4, "mixup_switch_prob": 0.6, "mixup_off_epoch": 5}
    options = {"shuffle": True, "drop_remainder": True, "num_samples": 60, "num_classes": 7}
    config = config_for(photos, **mixing, **options, aug_repeats=3, gradient_accumulation_steps=2, seed=11)
    data = build.build_training_data(config, OneOfTwo(device="CPU", rank=1, world_size=2))
    expected = {**mixing, **options, "aug_repeats": 3, "accumulation": 2, "seed": 11, "rank": 1}
    assert {key: getattr(data, key) for key in expected} == expected
    assert data.world_size == 2
    assert data.updates_per_epoch == 3  # of 7 batches
    validation = build.build_validation_data(config, ALONE)
    assert (validation.mixup, validation.cutmix, validation.aug_repeats) == (0, 0, 1)
    assert validation.steps_per_epoch == 6


def test_each_stage_has_transforms_of_its_own_size(photos):
    options = {"progressive_sizes": (8, 12, 20), "progressive_epochs": (2, 4)}
    data = build.build_training_data(config_for(photos, **options), ALONE)
    assert [start for start, _ in data.later_transforms] == [2, 4]
    sizes = []
    for epoch in range(6):
        image, _ = next(iter(data.epoch(epoch).create_tuple_iterator(num_epochs=1)))
        sizes.append(image.shape[-1])
    assert sizes == [8, 8, 12, 12, 20, 20]


@pytest.mark.parametrize(
    "options",
    [
        {"auto_augment": "rand-m9-n2"},
        {"color_jitter": (0.4, 0.4, 0.4)},
        {"color_jitter": "auto"},
        {"re_prob": 1.0},
        {"re_prob": 1.0, "re_value": "random"},
    ],
)
def test_augmentation_changes_the_images_of_the_training_and_no_others(photos, options):
    images = []
    for given in ({}, options):
        given = {"color_jitter": None, **given}
        config = config_for(photos, hflip=0.0, scale=(1.0, 1.0), **given)
        images.append(
            [
                next(iter(data.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True)))[0].copy()
                for data in (
                    build.build_training_data(config, ALONE),
                    build.build_validation_data(config, ALONE),
                )
            ]
        )
    (plain, validation), (augmented, validation_again) = images
    assert (plain != augmented).any()
    np.testing.assert_array_equal(validation, validation_again)


# --- step --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "kind"), [("norm", ClipByNorm), ("value", ClipByValue)])
def test_a_limit_of_all_gradients_or_of_each_element_is_the_options(mode, kind):
    step = step_for(clip_grad=True, clip_mode=mode, clip_value=0.75)
    assert type(step.clip) is kind
    assert float(step.clip.limit) == 0.75
    assert step_for(clip_mode=mode, clip_value=0.75).clip is None


@pytest.mark.parametrize("freeze", [None, 3])
def test_adaptive_clipping_excludes_the_classifier_alone(freeze):
    step = step_for(clip_grad=True, clip_mode="agc", clip_value=0.25, freeze=freeze)
    assert isinstance(step.clip, AdaptiveClip)
    assert len(step.clip.limits) == len(step.clip.weights) == len(step.optimizer.parameters)
    names = [p.name for p in step.optimizer.parameters]
    assert [p.name for p in step.clip.weights] == names
    limits = {name: float(limit) for name, limit in zip(names, step.clip.limits, strict=True)}
    assert [name for name, limit in limits.items() if limit == float("inf")] == [
        "classifier.weight",
        "classifier.bias",
    ]
    assert {limit for name, limit in limits.items() if "classifier" not in name} == {0.25}


@pytest.mark.parametrize(
    ("options", "dynamic", "skips", "scale"),
    [
        ({}, False, False, 512),
        ({"drop_overflow_update": True}, False, True, 512),
        ({"loss_scale_type": "dynamic"}, True, True, 512),
        ({"loss_scale_type": "auto"}, False, False, 1),
        ({"loss_scale_type": "auto", "amp_level": "O2"}, True, True, 2**24),
        ({"loss_scale_type": "auto", "amp_level": "O2", "amp_dtype": "bf16"}, False, False, 1),
    ],
)
def test_a_loss_scale_is_dynamic_where_the_options_say_so(options, dynamic, skips, scale):
    config = config_for(loss_scale=512.0, **options)
    network = nn.Dense(2, 3)
    optimizer = build.build_optimizer(config, network, [0.1])
    step = build.build_train_step(config, network, network, optimizer, None, ALONE)
    assert float(step.loss_scale.value.asnumpy()) == scale
    assert (step.loss_scale.dynamic, step.loss_scale.skips) == (dynamic, skips)


def test_an_ema_model_starts_from_the_network_and_has_its_decay(tmp_path):
    path = checkpoint(tmp_path / "start.ckpt", 5)
    options = {"ema": True, "ema_decay": 0.75, "ckpt_path": str(path)}
    network = network_for(**options)
    step = step_for(network, **options)
    assert step.ema.decay == 0.75
    for average, parameter in zip(step.ema.ema_values, network.get_parameters(), strict=True):
        assert average.name == f"ema.{parameter.name}"
        np.testing.assert_array_equal(average.asnumpy(), parameter.asnumpy())
    assert step_for().ema is None


@pytest.mark.slow
def test_network_and_ema_model_are_validated_each_by_its_own_weights(photos):
    config = config_for(photos, ema=True, val_while_train=True)
    network = build.build_network(config, CLASSES, ALONE, is_training=True)
    ema_model = build.build_ema_model(config, network, CLASSES, ALONE)
    for net, favourite in ((network, 0), (ema_model, 2)):
        bias = np.zeros(3, np.float32)
        bias[favourite] = 1000
        net.classifier.bias.set_data(ms.Tensor(bias))
    validate, validate_ema = build.build_validations(config, network, ema_model, ALONE, never)
    assert validate is not None
    assert validate_ema is not None
    assert (validate().top1, validate_ema().top1) == (8, 8)
    assert validate().loss != validate_ema().loss
    for ema_model_too, expected in ((ema_model, [True, True]), (None, [False, True])):
        given = config_for(photos, val_while_train=ema_model_too is None)
        found = build.build_validations(given, network, ema_model_too, ALONE, never)
        assert [run is None for run in found] == expected


def test_the_statistics_of_network_and_ema_model_are_exchanged_unless_switched_off(monkeypatch):
    exchanged = []
    for name in ("average", "broadcast"):
        monkeypatch.setattr(
            build.training_step,
            f"{name}_parameters",
            lambda found, name=name: exchanged.append((name, found)),
        )
    network, ema_model = network_for(), network_for()
    two = Runtime(device="CPU", rank=1, world_size=2)
    for how in ("reduce", "broadcast"):
        build.build_statistics_exchange(config_for(dist_bn=how), network, ema_model, two)()
    assert [name for name, _ in exchanged] == ["average", "broadcast"]
    statistics = [p for net in (network, ema_model) for p in net.get_parameters() if "moving" in p.name]
    assert {id(p) for p in exchanged[0][1]} == {id(p) for p in statistics}
    assert build.build_statistics_exchange(config_for(dist_bn="none"), network, ema_model, two) is None


# --- network and teacher -----------------------------------------------------------------------------------


def test_a_new_classifier_is_randomly_initialized_in_training_alone(tmp_path):
    path = checkpoint(tmp_path / "other.ckpt", 5, classes=9)
    options = {"ckpt_path": str(path), "new_classifier": True}
    weights = create_model("mnasnet_small", 9, checkpoint_path=str(path)).parameters_dict()
    network = network_for(**options)
    assert network.classifier.weight.shape == (3, 1280)
    for name, value in values_of(network).items():
        if "classifier" not in name:
            np.testing.assert_array_equal(value, weights[name].asnumpy())
    with pytest.raises(UserError, match=r"'classifier\.weight' has shape \(9, 1280\)"):
        build.build_network(config_for(**options), CLASSES, ALONE)


def test_a_frozen_backbone_is_none_of_the_optimizers_business():
    step = step_for(freeze="backbone", ema=True, layer_decay=0.5)
    assert [p.name for p in step.optimizer.parameters] == ["classifier.weight", "classifier.bias"]
    assert len(step.ema.ema_values) == len(list(network_for().get_parameters()))
    evaluated = build.build_network(config_for(freeze="backbone"), CLASSES, ALONE)
    assert len(evaluated.trainable_params()) > 2


def test_a_teacher_of_the_registry_has_its_weights_and_the_loss_its_options(tmp_path):
    path = checkpoint(tmp_path / "teacher.ckpt", 6)
    options = {"distill_alpha": 0.25, "distill_temperature": 3.0, "distill_hard": True}
    config = config_for(teacher="mnasnet_small", teacher_ckpt_path=str(path), label_smoothing=0.1, **options)
    forward = build.build_forward(config, network_for(), CLASSES)
    assert isinstance(forward, NetworkWithTeacher)
    assert (forward.loss.alpha, forward.loss.temperature, forward.loss.hard) == (0.25, 3.0, True)
    expected = values_of(create_model("mnasnet_small", 3, checkpoint_path=str(path)))
    found = values_of(forward.teacher)
    assert list(found) == [f"teacher.{name}" for name in expected]
    for name, value in expected.items():
        np.testing.assert_array_equal(found[f"teacher.{name}"], value)


def export(path: Path) -> Path:
    """A classifier of 3 classes in an ONNX file: the mean of each channel."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Mul", ["flat", "two"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.array([2], np.float32), "two")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_teacher_in_an_onnx_file_sees_the_images_of_the_training_normalised(photos, tmp_path):
    teacher = str(export(tmp_path / "teacher.onnx"))
    config = config_for(photos, teacher=teacher, mixup=0.5, mean=(10, 20, 30), std=(40, 50, 60))
    data = build.build_training_data(config, ALONE)
    assert isinstance(data.teacher, OnnxTeacher)
    batch = next(iter(data.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True)))
    image, label, logits = batch
    expected = 2 * (image.mean(axis=(2, 3)) - [10, 20, 30]) / [40, 50, 60]
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert label.shape == (4, 3)
    assert isinstance(build.build_forward(config, network_for(), CLASSES), NetworkWithTeacherLogits)
    assert build.build_validation_data(config, ALONE).teacher is None
