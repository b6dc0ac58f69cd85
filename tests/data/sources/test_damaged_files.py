"""Files of datasets that are damaged, or lead out of their folder: one line instead of a traceback."""

import gzip
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from mindcv.data import Pipeline, create_source, create_transforms
from mindcv.errors import UserError
from tests.data.sources.test_mindrecord import COUNT, write_records
from tests.support.hostile_images import with_size
from tests.support.paths import ROOT

REMEDY = "write it again with MindSpore's FileWriter, and copy both NAME.mindrecord and NAME.mindrecord.db"


def refusal(name, root):
    with pytest.raises(UserError) as caught:
        create_source(name, root, "train")
    return str(caught.value)


# --- digits and image folders ------------------------------------------------------------------------------


def test_digits_in_a_folder_that_cannot_be_made_are_refused_in_a_line(tmp_path):
    (tmp_path / "file").touch()
    root = tmp_path / "file" / "digits"
    assert refusal("digits", root) == (
        f"{root} cannot be written (Not a directory), and dataset=digits writes its images to "
        f"data_dir={root}: give another folder"
    )


@pytest.fixture
def pets(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "train" / name / "a.png")
    return tmp_path


def test_a_mark_before_the_first_class_is_not_part_of_its_name(pets):
    (pets / "classes.txt").write_text("dog\ncat\n", encoding="utf-8-sig")
    assert create_source("", pets, "train").classes == ["dog", "cat"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("Kätzchen\n".encode("latin-1"), "is not in UTF-8: save it in this encoding"),
        (b"cat\n../..\n", "lists '../..': give names of folders, without a path"),
        (b"cat\n..\n/etc\n", "lists '..', '/etc': give names of folders, without a path"),
    ],
)
def test_a_list_of_classes_that_is_no_text_or_leaves_the_folder_is_refused(pets, content, fault):
    (pets / "classes.txt").write_bytes(content)
    assert refusal("", pets) == f"{pets}/classes.txt {fault}"


# --- MNIST and CIFAR ---------------------------------------------------------------------------------------


def test_a_packed_file_that_is_damaged_or_a_bomb_is_refused(tmp_path):
    images = tmp_path / "train-images-idx3-ubyte.gz"
    header = np.array([2051, 2, 28, 28], ">i4").tobytes()
    packed = bytearray(gzip.compress(header + np.random.default_rng(0).bytes(2 * 28 * 28)))
    packed[40] ^= 0xFF
    images.write_bytes(packed)
    assert refusal("mnist", tmp_path).startswith(f"{images} is damaged: ")
    for sizes in ([2051, 2, 28, 28], [2051, 2**31 - 1, 28, 28]):
        images.write_bytes(gzip.compress(np.array(sizes, ">i4").tobytes() + bytes(10**7)))
        fault = "is damaged: it is not an intact IDX file of 3 dimensions"
        assert refusal("mnist", tmp_path) == f"{images.with_suffix('')} {fault}"


def test_a_list_of_names_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "train.bin").write_bytes(bytes(2 + 3072))
    (tmp_path / "fine_label_names.txt").write_bytes(b"\xff\xfe")
    assert refusal("cifar100", tmp_path) == f"{tmp_path}/fine_label_names.txt is damaged: it is not a text"


# --- MindRecord --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    write_records(folder / "train.mindrecord")
    return folder


@pytest.fixture
def records(written, tmp_path):
    """A copy of a MindRecord: its file of 50 MB, nearly all of it zeros, and its index."""
    for path in written.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / "train.mindrecord"


def header_of(path):
    with path.open("rb") as file:
        return json.loads(file.read(int.from_bytes(file.read(8), "little")))


def write_header(path, header):
    content = json.dumps(header).encode()
    with path.open("r+b") as file:
        file.write(len(content).to_bytes(8, "little") + content)


def test_a_record_without_its_index_is_refused(records):
    index = records.with_name("train.mindrecord.db")
    index.unlink()
    assert refusal("mindrecord", records.parent) == f"{index} is missing: {REMEDY}"


@pytest.mark.parametrize("size", [0, 5, 8000, 12288])
def test_half_an_index_is_refused(records, size):
    index = records.with_name("train.mindrecord.db")
    index.write_bytes(index.read_bytes()[:size])
    assert refusal("mindrecord", records.parent) == f"{index} is damaged: {REMEDY}"


@pytest.mark.parametrize(
    ("size", "fault"), [(0, "has a damaged header"), (100, "has a damaged header"), (2**25, "is cut short")]
)
def test_half_a_record_is_refused(records, size, fault):
    with records.open("r+b") as file:
        file.truncate(size)
    assert refusal("mindrecord", records.parent) == f"{records} {fault}: {REMEDY}"


@pytest.mark.parametrize("key", ["schema", "page", "page_size", "version", "index_fields", "shard_addresses"])
def test_a_header_without_a_key_ends_no_process(records, key):
    header = header_of(records)
    del header[key]
    write_header(records, header)
    assert refusal("mindrecord", records.parent) == f"{records} has a damaged header: {REMEDY}"


@pytest.mark.parametrize(
    "change", ["PAGE_OFFSET_BLOB_END = 1 << 40", "PAGE_ID_RAW = 7", "PAGE_OFFSET_RAW = -1"]
)
def test_an_index_that_points_outside_its_file_is_refused(records, change):
    index = records.with_name("train.mindrecord.db")
    with closing(sqlite3.connect(index)) as database:
        database.execute(f"UPDATE INDEXES SET {change} WHERE ROW_ID = 3")
        database.commit()
    assert refusal("mindrecord", records.parent) == f"{index} is damaged: {REMEDY}"


def test_an_image_of_too_many_pixels_in_a_record_is_named_and_not_decoded(records):
    content = records.read_bytes()
    begin = content.index(b"\x89PNG")
    huge = with_size(content[begin : begin + 33], 30000, 30000)
    with records.open("r+b") as file:
        file.seek(begin)
        file.write(huge)
    operators = create_transforms("mindrecord", 8, normalize=False)
    data = Pipeline(source=create_source("mindrecord", records.parent), transform=operators, batch_size=4)
    with pytest.raises(RuntimeError) as caught:
        list(data.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True))
    assert str(data.explain(caught.value)) == (
        f"an image of {records} has 30000 x 30000 pixels, more than max_image_pixels=67108864: "
        "write the MindRecord without it"
    )


FLIP = """
import shutil, sys
import numpy as np
from pathlib import Path
from mindcv.data import create_source
from mindcv.errors import UserError

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(seed)
for name in ("train.mindrecord", "train.mindrecord.db"):
    path = folder / name
    places = np.flatnonzero(np.fromfile(path, np.uint8, 2**24 + 4000))
    for _ in range(60):
        place, bit = int(rng.choice(places)), 1 << int(rng.integers(8))
        with path.open("r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ bit]))
            file.flush()
            print(name, place, bit, flush=True)
            try:
                source = create_source("mindrecord", folder, "train")
                source.labels
                data = source.dataset(np.arange(len(source)))
                rows = list(data.create_tuple_iterator(output_numpy=True, num_epochs=1))
                print("rows", len(rows))
            except (UserError, RuntimeError) as error:
                print(type(error).__name__, source.diagnose(error) if isinstance(error, RuntimeError) else "")
            file.seek(place)
            file.write(bytes([byte]))
print("survived")
"""


@pytest.mark.hostile
@pytest.mark.slow
def test_no_flipped_bit_in_a_record_ends_the_process_or_goes_without_a_name(records):
    seed = int(np.random.default_rng().integers(2**32))
    child = subprocess.run(
        [sys.executable, "-c", FLIP, str(records.parent), str(seed)],
        capture_output=True,
        text=True,
        timeout=170,
        cwd=ROOT,
    )
    lines = child.stdout.splitlines()
    assert (child.returncode, lines[-1]) == (0, "survived"), (seed, lines[-3:], child.stderr[-500:])
    outcomes = {line.strip() for line in lines if line.startswith(("rows", "RuntimeError"))}
    assert f"rows {COUNT}" in outcomes
    assert "RuntimeError" not in outcomes, seed  # without a diagnosis
