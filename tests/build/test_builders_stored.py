"""Options and classes stored in a checkpoint or an exported network, and which of them a program uses."""

import json
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from mindcv import build
from mindcv.config import Config, ConfigError, load_config, options_in_scope
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.runtime.program import run_program

ROOT = Path(__file__).parents[2]
CLASSES = ["Äpfel 苹果", "pear"]
TRAINED = {
    "model": "semnasnet_075",
    "image_resize": 48,
    "val_image_resize": 64,
    "crop_pct": 0.9,
    "mean": (1.0, 2.0, 3.0),
    "interpolation": "pilcubic",
    "padding": "same",
    "ema": True,
    "dataset": "image_folder",
}
OF_THE_RUN = {
    "data_dir": "/elsewhere",
    "ckpt_save_dir": "/elsewhere",
    "mode": 1,
    "device_target": "CPU",
    "batch_size": 7,
    "resume": "auto",
    "progressive_sizes": (32, 48),
    "progressive_epochs": (120,),
    "epoch_size": 200,
    "ckpt_save_policy": "top_k",
    "val_while_train": True,
}
SCRIPT = (
    "import sys; from mindcv import build; from mindcv.runtime.program import run_program; "
    "run_program(lambda: build.load_stored_config(sys.argv[1:]))"
)
TRAINING = Config.from_options({**TRAINED, **OF_THE_RUN}).options()


@pytest.fixture
def checkpoint(tmp_path):
    """Writes a checkpoint with this metadata and returns its path."""

    def write(config=TRAINING, classes=CLASSES) -> str:
        path = tmp_path / "my net.ckpt"
        write_checkpoint(path, {"weight": ms.Tensor([1.0])}, {"config": config, "classes": classes})
        return str(path)

    return write


@pytest.fixture
def exported(tmp_path):
    """Writes an ONNX file, with this text in its metadata if one is given, and returns its path."""

    def write(text: str | None) -> str:
        value = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n"])
        result = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n"])
        node = helper.make_node("Identity", ["images"], ["logits"])
        graph = helper.make_graph([node], "identity", [value], [result])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        if text is not None:
            helper.set_model_props(model, {"mindcv": text})
        onnx.save(model, tmp_path / "net.onnx")
        return str(tmp_path / "net.onnx")

    return write


# --- config ------------------------------------------------------------------------------------------------


def test_stored_options_win_over_defaults_and_file_and_command_line_over_them(recipe):
    path, stored = recipe("lr: 0.1"), {"lr": 0.5, "scale": [0.5, 1.0]}
    found = [
        load_config(argv, stored).schedule.lr
        for argv in ([], ["-c", path], ["--lr", "0.2"], ["-c", path, "--lr", "0.2"])
    ]
    assert found == [0.5, 0.1, 0.2, 0.2]
    assert load_config([], stored).augment.scale == (0.5, 1.0)
    assert load_config([], {}) == load_config([], None) == load_config([])
    assert load_config([], TRAINING).options() == TRAINING


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"gone": 1}, "my.ckpt: unknown option 'gone'; --help lists all options"),
        ({"lr": "abc"}, "my.ckpt: lr=abc does not fit: give a number"),
        ({"seed": -1}, "my.ckpt: seed=-1 is out of range: give an integer from 0 to 2**32 - 1"),
        (
            {"in_channels": 1, "mean": [1, 2, 3]},
            "my.ckpt: mean=[1.0, 2.0, 3.0] does not fit in_channels=1: give one number per channel",
        ),
    ],
)
def test_wrong_stored_options_blame_their_file(stored, expected):
    with pytest.raises(ConfigError) as caught:
        load_config([], stored, stored_in="my.ckpt")
    assert str(caught.value) == expected


def test_what_does_not_go_with_stored_options_is_blamed_itself(recipe):
    path, stored = recipe("mean: [1]"), {"mean": [1, 2, 3]}
    for argv, source in ((["-c", path], path), (["--mean", "[1]"], "command line")):
        with pytest.raises(ConfigError) as caught:
            load_config(argv, stored, stored_in="my.ckpt")
        assert (
            str(caught.value)
            == f"{source}: mean=[1.0] does not fit in_channels=3: give one number per channel"
        )
    assert load_config(["-c", path], {"in_channels": 1}).image.mean == (1.0,)


# --- files -------------------------------------------------------------------------------------------------


def test_a_checkpoint_keeps_all_options_and_the_classes(checkpoint):
    assert build.stored_options(checkpoint()) == (json.loads(json.dumps(TRAINING)), CLASSES)


def test_a_file_of_others_has_kept_nothing(tmp_path, exported):
    ms.save_checkpoint([{"name": "weight", "data": ms.Tensor([1.0])}], str(tmp_path / "mindcv.ckpt"))
    save_file({"weight": np.ones(1, np.float32)}, tmp_path / "net.safetensors")
    for path in (tmp_path / "mindcv.ckpt", exported(None), tmp_path / "net.safetensors"):
        assert build.stored_options(path) == ({}, [])


def test_an_exported_network_has_kept_the_same(exported):
    path = exported(json.dumps({"config": TRAINING, "classes": CLASSES, "model": "semnasnet_075"}))
    assert build.stored_options(path) == (json.loads(json.dumps(TRAINING)), CLASSES)
    config, classes = build.load_stored_config(["--ckpt_path", path])
    assert (config.model.model_name, config.model.num_classes, classes) == ("semnasnet_075", 2, CLASSES)


@pytest.mark.parametrize("text", ["{", "[]", '{"config": 3}', '{"classes": "ab"}'])
def test_metadata_of_an_unknown_form_is_refused(exported, text):
    with pytest.raises(UserError, match=r"net.onnx: .* (export it again|use another file)$"):
        build.stored_options(exported(text))


def test_a_finished_network_takes_what_belongs_to_it_and_not_what_belongs_to_the_run(checkpoint):
    path = checkpoint()
    config, classes = build.load_stored_config(["--ckpt_path", path, "--batch_size", "3"])
    expected = {**TRAINED, "num_classes": 2, "ckpt_path": path, "batch_size": 3}
    assert config == Config.from_options(expected)
    assert classes == CLASSES


def test_a_recipe_may_name_the_checkpoint_and_wins_over_it(checkpoint, recipe):
    path = recipe(f"ckpt_path: {json.dumps(checkpoint())}\nimage_resize: 32\n")
    config, classes = build.load_stored_config(["-c", path])
    assert (config.model.model_name, config.image.image_resize, classes) == ("semnasnet_075", 32, CLASSES)
    assert build.load_stored_config(["--lr", "0.5"]) == (load_config(["--lr", "0.5"]), [])


def test_a_stored_number_of_classes_stands(checkpoint):
    path = checkpoint({**TRAINING, "num_classes": 10})
    assert build.load_stored_config(["--ckpt_path", path])[0].model.num_classes == 10


def test_the_options_of_a_network_are_what_it_is_built_from_and_what_images_it_expects():
    images = {"dataset", "image_resize", "val_image_resize", "interpolation", "crop_pct", "mean", "std"}
    architecture = {"model", "num_classes", "in_channels", "drop_rate", "drop_path_rate", "padding"}
    assert options_in_scope("network") == images | architecture | {"bn_eps", "bn_momentum", "ema"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"padding": "sam"}, "padding=sam does not fit: give one of symmetric, same or null; did you mean"),
        ({"gone": 1}, "unknown option 'gone'; --help lists all options"),
    ],
)
def test_a_wrong_stored_option_is_one_line_that_names_the_checkpoint(checkpoint, changed, expected):
    path = checkpoint({**TRAINING, **changed})
    script = SCRIPT
    ran = subprocess.run(
        [sys.executable, "-c", script, "--ckpt_path", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith(f"error: {path} (options of its training): {expected}")


def test_an_unknown_model_is_reported_before_images_are_read(checkpoint):
    with pytest.raises(UserError, match=r"^unknown model 'mnasnet_07'; did you mean 'mnasnet_075'\?"):
        build.load_stored_config(["--model", "mnasnet_07", "--ckpt_path", checkpoint()])
    path = checkpoint({**TRAINING, "model": "slimnet"})
    with pytest.raises(UserError) as caught:
        build.load_stored_config(["--ckpt_path", path])
    assert str(caught.value).startswith(f"{path} (options of its training): unknown model 'slimnet'; ")


def test_a_missing_checkpoint_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        run_program(lambda: build.load_stored_config(["--ckpt_path", str(tmp_path / "no.ckpt")]))
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/no.ckpt: no such checkpoint: check the path\n"


def test_a_validation_says_in_one_line_what_it_changes(checkpoint, caplog):
    path = checkpoint()
    with caplog.at_level("INFO", "mindcv.build"):
        build.tell_changes(build.load_stored_config(["--ckpt_path", path])[0])
        assert caplog.messages == []
        argv = ["--ckpt_path", path, "--image_resize", "224", "--crop_pct", "1.0", "--drop_rate", "0.1"]
        build.tell_changes(build.load_stored_config([*argv, "--batch_size", "3"])[0])
    assert caplog.messages == [
        f"{path}: scored with crop_pct=1.0 instead of 0.9, image_resize=224 instead of 48"
    ]


CHANGED = {
    "ema": ("False", "ema=False instead of True"),
    "image_resize": ("32", "image_resize=32 instead of 48"),
    "val_image_resize": ("null", "val_image_resize=the default instead of 64"),
    "crop_pct": ("1", "crop_pct=1.0 instead of 0.9"),
    "interpolation": ("bicubic", "interpolation=bicubic instead of pilcubic"),
    "mean": ("[1,2,4]", "mean=[1.0, 2.0, 4.0] instead of [1.0, 2.0, 3.0]"),
    "std": ("[1,2,4]", "std=[1.0, 2.0, 4.0] instead of the default"),
    "dataset": ("imagenet", "dataset=imagenet instead of image_folder"),
    "num_classes": ("3", "num_classes=3 instead of 2"),
    "model": ("mnasnet_050", "model=mnasnet_050 instead of semnasnet_075"),
    "padding": ("symmetric", "padding=symmetric instead of same"),
    "bn_eps": ("0.01", "bn_eps=0.01 instead of the default"),
}


def test_a_validation_names_every_option_of_the_network_that_it_changes(checkpoint, recipe, caplog):
    path, by_file = (
        checkpoint(),
        recipe("\n".join(f"{name}: {value}" for name, (value, _) in CHANGED.items())),
    )
    given = [f"--{name}={value}" for name, (value, _) in CHANGED.items()]
    with caplog.at_level("INFO", "mindcv.build"):
        for argv in (given, ["-c", by_file]):
            build.tell_changes(build.load_stored_config(["--ckpt_path", path, *argv])[0])
    told = ", ".join(CHANGED[name][1] for name in sorted(CHANGED))
    assert caplog.messages == [f"{path}: scored with {told}"] * 2
    assert set(CHANGED) == options_in_scope("network") - {
        "drop_rate",
        "drop_path_rate",
        "bn_momentum",
        "in_channels",
    }
