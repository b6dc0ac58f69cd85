"""Parameters and MACs of networks, compared with the published numbers and with a run."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.errors import UserError
from mindcv.models import MnasNet, create_model, feature_pyramid, freeze, list_models, summarize
from mindcv.models.mnasnet import SMALL
from mindcv.structure import Parts
from tests.support.peers import timm

ROOT = Path(__file__).parents[2]

# Trainable parameters, with batch normalisation's statistics, million MACs at 224 px.
PUBLISHED = {
    "mnasnet_050": (2_218_512, 2_239_136, "104.46"),
    "mnasnet_075": (3_170_208, 3_200_016, "215.49"),
    "mnasnet_100": (4_383_312, 4_421_232, "314.42"),
    "mnasnet_130": (6_282_256, 6_331_072, "526.36"),
    "mnasnet_140": (7_115_728, 7_168_176, "588.80"),
    "semnasnet_100": (3_887_038, None, "311.6"),
    "mnasnet_small": (2_030_264, None, "68.3"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_totals_are_the_published_ones(name):
    parameters, with_statistics, millions = PUBLISHED[name]
    summary = summarize(create_model(name))
    assert summary.parameters == parameters
    if with_statistics is not None:
        assert summary.parameters + summary.statistics == with_statistics
    decimals = len(millions.partition(".")[2])
    assert f"{summary.macs / 1e6:.{decimals}f}" == millions


@pytest.mark.parametrize("name", ["semnasnet_075", "semnasnet_100", "mnasnet_small"])
def test_parameters_and_statistics_are_those_of_timm(name):
    theirs, summary = timm.create_model(name), summarize(create_model(name))
    assert summary.parameters == sum(p.numel() for p in theirs.parameters())
    buffers = {n: b.numel() for n, b in theirs.named_buffers() if "num_batches_tracked" not in n}
    assert summary.statistics == sum(buffers.values())


@pytest.mark.parametrize(("size", "channels", "classes"), [(64, 3, 10), (33, 1, 5), (47, 4, 1000)])
@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_shapes_of_every_part_are_those_of_a_run(size, channels, classes, padding):
    network = MnasNet(SMALL, 1.0, 8, in_channels=channels, num_classes=classes, padding=padding)
    network.set_train(False)
    summary = summarize(network, size)
    x, shapes = Tensor(np.ones((1, channels, size, size), np.float32)), []
    *features, _ = network.parts().in_order()
    for part in features:
        for cell in part:
            x = cell(x)
        shapes.append(x.shape[1:])
    assert [row.shape for row in summary.rows] == [*shapes, network.forward_head(x).shape[1:]]
    assert (summary.image_size, summary.in_channels) == (size, channels)
    stages = [f"stage {i}" for i in range(7)]
    assert [row.name for row in summary.rows] == ["stem", *stages, "head", "classifier"]


def test_macs_are_those_of_the_layers_of_a_run():
    network = create_model("semnasnet_075", 10).set_train(False)
    seen = []

    def count(cell, _, output):
        seen.append(cell.weight.size * int(np.prod(output.shape[2:])))

    for _, cell in network.cells_and_names():
        if isinstance(cell, (nn.Conv2d, nn.Dense)):
            cell.register_forward_hook(count)
    network(Tensor(np.ones((1, 3, 65, 65), np.float32)))
    assert summarize(network, 65).macs == sum(seen)


def test_what_is_frozen_or_dropped_counts_as_it_is_there():
    network = create_model("mnasnet_small", 10)
    whole = summarize(network)
    freeze(network, "backbone")
    assert summarize(network) == whole
    network.reset_classifier(0)
    assert whole.parameters - summarize(network).parameters == 10 * 1280 + 10
    assert summarize(network).rows[-1].shape == (1280,)
    pyramid = summarize(feature_pyramid(network, (0, 1)))
    assert pyramid.rows == whole.rows[:3]


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "224"])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(UserError) as caught:
        summarize(create_model("mnasnet_small"), size)
    assert str(caught.value) == f"image_size={size!r} must be a positive integer"


class Other(nn.Cell):
    """A network with a layer of a kind that is not counted."""

    def __init__(self):
        super().__init__()
        self.layer = nn.LayerNorm((4,))

    def parts(self):
        return Parts(stem=[self.layer], stages=[])


def test_what_cannot_be_counted_is_an_error():
    with pytest.raises(UserError) as caught:
        summarize(nn.Dense(1, 1))
    assert str(caught.value) == (
        "Dense does not describe its parts: give it a method parts() that returns mindcv.structure.Parts"
    )
    with pytest.raises(UserError) as caught:
        summarize(Other())
    assert str(caught.value) == ("the MACs of a LayerNorm layer are unknown: give it a method composition")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.summary", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_program_prints_a_table():
    ran = run("mnasnet_100")
    assert ran.returncode == 0
    assert ran.stderr == ""
    lines = [line.rstrip() for line in ran.stdout.splitlines()]
    assert lines[2:5] == [
        "image       3 x 224 x 224",
        "stem        32 x 112 x 112         928          64   10.84",
        "stage 0     16 x 112 x 112         896          96   10.04",
    ]
    assert lines[-3] == "classifier  1000             1,281,000           0    1.28"
    assert lines[-1] == "total                        4,383,312      37,920  314.42"


def test_the_program_takes_size_classes_and_channels():
    ran = run("mnasnet_small", "--image_size", "96", "--num_classes", "10", "--in_channels", "1")
    expected = summarize(create_model("mnasnet_small", 10, in_channels=1), 96)
    assert ran.stdout == f"{expected}\n"


def test_a_mistake_is_reported_in_one_line():
    ran = run("mnasnet_smal")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "error: unknown model 'mnasnet_smal'; did you mean 'mnasnet_small'? "
        "(python -m mindcv summary --list lists all models)\n"
    )


def test_the_program_lists_the_models_or_those_of_a_pattern():
    ran = run("--list")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == list_models()
    assert run("--list", "mobilenet_v3*").stdout == "mobilenet_v3_large_100\nmobilenet_v3_small_100\n"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "command line: give either MODEL or --list"),
        (["mnasnet_100", "--list"], "command line: give either MODEL or --list"),
        (["--list", "vgg*"], "--list vgg* matches no model: give another pattern, or none for all"),
    ],
)
def test_a_list_of_nothing_is_a_mistake(arguments, fault):
    ran = run(*arguments)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"error: {fault}\n")
