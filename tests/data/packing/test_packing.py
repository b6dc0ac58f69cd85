"""Packing of image folders: equal records, the same training, resumption, and damage."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mindspore.dataset as ds
import numpy as np
import pytest
from PIL import Image

from mindcv.data import Pipeline, create_source, create_transforms
from mindcv.data.packing import PackOptions, pack_split, verify_split
from mindcv.data.sources.classes_file import CLASSES_FILE
from mindcv.errors import UserError
from mindcv.programs import pack as program
from mindcv.ranges import MAX_IMAGE_PIXELS

ROOT = Path(__file__).parents[3]
CLASSES = ["ant", "bée", "cat"]
COUNT = 23  # images of the training split


def write_images(
    root: Path, split: str = "train", count: int = COUNT, size: tuple[int, int] = (60, 40)
) -> None:
    random = np.random.default_rng(0)
    for number in range(count):
        folder = root / split / CLASSES[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(random.integers(0, 256, (40, 60, 3), dtype=np.uint8))
        image.save(folder / f"{number:03d}.{'png' if number % 5 == 0 else 'jpg'}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_images(tmp_path / "images")
    write_images(tmp_path / "images", "val", 6)
    return tmp_path / "images"


def pack(root: Path, output: Path, split: str = "train", *, shard_bytes: int = 10**9, **form):
    options = PackOptions(max_image_pixels=MAX_IMAGE_PIXELS, **form)
    splits = ["train", "val"]
    return pack_split(root, split, output, options, splits=splits, shard_bytes=shard_bytes, workers=1)


def verify(root: Path, output: Path, split: str = "train"):
    return verify_split(root, split, output, splits=["train", "val"], workers=1)


@pytest.mark.parametrize("split", ["../images/train", "..", "", "/etc", "train/ant"])
def test_a_split_is_a_folder_of_the_dataset(root, tmp_path, split, monkeypatch):
    output = tmp_path / "packed"
    monkeypatch.setattr(sys, "argv", ["pack", str(root), str(output), "--splits", "train", split])
    with pytest.raises(
        UserError, match=r"is not the name of a folder in DATA_DIR: give names without a path$"
    ):
        program.pack(program.parse_options())
    assert not output.exists()


def test_a_shard_that_grows_too_large_for_the_disk_is_reported_with_what_failed(root, tmp_path):
    command = [sys.executable, "-m", "mindcv", "pack", root, tmp_path / "packed", "--workers", "1"]
    limited = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))"
    limited += "; os.execv(sys.argv[1], sys.argv[1:])"
    ran = subprocess.run(
        [sys.executable, "-c", limited, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert re.search(
        r"error: .*mindrecord cannot be written \(Failed to \w+ file\): check the disk", ran.stderr
    )


def batches(source, *, is_training: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    transform = create_transforms("", 32, is_training, color_jitter=0.4, normalize=False)
    pipeline = Pipeline(
        source=source, transform=transform, batch_size=4, is_training=is_training, num_parallel_workers=1
    )
    return list(pipeline.epoch(1).create_tuple_iterator(num_epochs=1, output_numpy=True))


@pytest.mark.parametrize("is_training", [True, False], ids=["training", "evaluation"])
def test_a_packed_folder_gives_the_folders_batches(root, tmp_path, is_training):
    result = pack(root, tmp_path / "packed", shard_bytes=40_000)
    assert (result.images, result.classes, result.kept, result.skipped) == (COUNT, 3, 0, {})
    assert result.shards > 1
    folder, packed = (create_source(*of, "train") for of in (("", root), ("mindrecord", tmp_path / "packed")))
    assert packed.labels.tolist() == folder.labels.tolist()
    assert packed.classes == folder.classes == CLASSES
    pairs = zip(
        batches(folder, is_training=is_training), batches(packed, is_training=is_training), strict=True
    )
    for (image, label), (packed_image, packed_label) in pairs:
        np.testing.assert_array_equal(packed_image, image)
        np.testing.assert_array_equal(packed_label, label)


def test_larger_images_are_shrunk_to_the_shorter_side_and_others_keep_their_bytes(root, tmp_path):
    small = root / "train" / "ant" / "small.jpg"
    Image.new("RGB", (20, 30)).save(small)
    pack(root, tmp_path / "packed", shorter_side=20)
    records = ds.MindDataset(str(tmp_path / "packed/train/part-00000-of-00001.mindrecord"), shuffle=False)
    sizes = {}
    for row in records.create_dict_iterator(num_epochs=1, output_numpy=True):
        data = row["image"].tobytes()
        (tmp_path / "image").write_bytes(data)
        with Image.open(tmp_path / "image") as image:
            sizes[str(row["file"])] = (image.format, image.size)
        assert (data == small.read_bytes()) is (str(row["file"]) == "ant/small.jpg")
    assert sizes.pop("ant/small.jpg") == ("JPEG", (20, 30))
    assert {name: form for name, (form, _) in sizes.items()} == {
        name: "PNG" if name.endswith("png") else "JPEG" for name in sizes
    }
    assert {size for _, size in sizes.values()} == {(30, 20)}
    assert verify(root, tmp_path / "packed").images == COUNT + 1


def test_a_finished_shard_is_kept_unless_its_images_have_changed(root, tmp_path):
    first = pack(root, tmp_path / "packed", shard_bytes=40_000)
    assert pack(root, tmp_path / "packed", shard_bytes=40_000).kept == first.shards
    (tmp_path / f"packed/train/part-00000-of-0000{first.shards}.mindrecord.json").unlink()
    assert pack(root, tmp_path / "packed", shard_bytes=40_000).kept == first.shards - 1
    changed = root / "train" / "cat" / "002.jpg"
    os.utime(changed, (1, 1))
    assert pack(root, tmp_path / "packed", shard_bytes=40_000).kept == first.shards - 1
    assert verify(root, tmp_path / "packed").images == COUNT


def test_bad_images_end_the_packing_or_are_left_out(root, tmp_path):
    bad = root / "train" / "ant" / "000.png"
    bad.write_bytes(bad.read_bytes()[:-20])
    with pytest.raises(
        UserError, match=rf"{bad} is cut short: remove or replace it, or leave such images out"
    ):
        pack(root, tmp_path / "packed")
    result = pack(root, tmp_path / "packed", skip_bad=True)
    assert (result.images, result.skipped) == (COUNT - 1, {"ant/000.png": "is cut short"})
    assert len(create_source("mindrecord", tmp_path / "packed", "train")) == COUNT - 1
    assert verify(root, tmp_path / "packed").skipped == result.skipped


def damage_record(folder: Path) -> None:
    file = folder / "train/part-00000-of-00001.mindrecord"
    data = bytearray(file.read_bytes())
    data[-1000] ^= 1
    file.write_bytes(data)


def damage_classes(folder: Path) -> None:
    (folder / CLASSES_FILE).write_text("ant\ncat\nbée\n", encoding="utf-8")


def damage_index(folder: Path) -> None:
    path = folder / "train/index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**index, "images": 5}), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_record, r"\.mindrecord differs from its checksum: delete it and pack again"),
        (damage_classes, r"classes\.txt differs from the classes of .*: pack again"),
        (damage_index, r"index\.json differs from the shards: pack again"),
    ],
)
def test_damage_is_found(root, tmp_path, damage, message):
    pack(root, tmp_path / "packed")
    damage(tmp_path / "packed")
    with pytest.raises(UserError, match=message):
        verify(root, tmp_path / "packed")


def test_an_image_that_differs_from_its_record_is_found(root, tmp_path):
    pack(root, tmp_path / "packed")
    Image.new("RGB", (60, 40)).save(root / "train" / "cat" / "002.jpg")
    with pytest.raises(UserError, match=r"record \d+, cat/002\.jpg, differs from cat/002\.jpg: pack again"):
        verify(root, tmp_path / "packed")


def test_a_packing_of_other_shards_is_not_mixed_with_this_one(root, tmp_path):
    pack(root, tmp_path / "packed")
    with pytest.raises(UserError, match=r"part-00000-of-00001\.mindrecord is of another packing: delete"):
        pack(root, tmp_path / "packed", shard_bytes=40_000)


@pytest.mark.slow
def test_a_killed_packing_continues_and_equals_an_uninterrupted_one(root, tmp_path):
    command = [sys.executable, "-m", "tools.pack", str(root), str(tmp_path / "killed"), "--workers=2"]
    for path in list(root.glob("train/*/*")):  # a shard each
        Image.effect_noise((1200, 900), 90).convert("RGB").save(path, quality=100)
    command.append("--shard_size=1")
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while not list((tmp_path / "killed").glob("train/*.json")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = len(list((tmp_path / "killed").glob("train/*.json")))
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    done = re.search(
        rf"{COUNT} images of 3 classes in {COUNT} shards, (\d+) of which were finished", ran.stdout
    )
    assert done is not None
    assert finished <= int(done[1]) < COUNT
    verified = subprocess.run([*command, "--verify"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert verified.stdout.count("equal to the folder") == 2
