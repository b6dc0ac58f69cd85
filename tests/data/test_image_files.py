"""Image files by name, and as the network's input."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindcv.data import (
    ImageFiles,
    Pipeline,
    create_source,
    create_transforms,
    imagenet_classes,
    list_images,
    readable_classes,
)
from mindcv.errors import UserError
from tests.support.hostile_images import run_length_bmp

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """The working directory, into which MindSpore writes copies of images that it cannot decode."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


@pytest.fixture
def album(tmp_path) -> Path:
    """Folders in folders with names of all kinds, empty files throughout."""
    root = tmp_path / "mein Album 相册"
    for name in ("b.JPG", "a.png", "[x].jpg", "notes.txt", ".hidden.jpg", "sub dir/c.bmp", ".git/d.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def picture(height: int = 40, width: int = 50) -> Image.Image:
    coarse = RNG.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height))


# --- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([""], ["[x].jpg", "a.png", "b.JPG", "sub dir/c.bmp"]),
        (["b.JPG", "a.png"], ["b.JPG", "a.png"]),
        (["notes.txt"], ["notes.txt"]),
        (["*.png", "b.JPG"], ["a.png", "b.JPG"]),
        (["[x].jpg"], ["[x].jpg"]),
        (["[ab].*"], ["a.png", "b.JPG"]),
        (["**/*.bmp"], ["sub dir/c.bmp"]),
        (["s*"], ["sub dir/c.bmp"]),
        (["a.png", "", "a.png"], ["a.png", "[x].jpg", "b.JPG", "sub dir/c.bmp"]),
    ],
)
def test_files_folders_and_patterns_are_found_in_order_and_once(album, names, expected):
    assert list_images([album / name for name in names]) == [str(album / name) for name in expected]


def test_names_are_kept_as_the_user_wrote_them(album, monkeypatch):
    monkeypatch.chdir(album)
    assert list_images(["./sub dir", "./a.png", "*.JPG"]) == ["./sub dir/c.bmp", "./a.png", "b.JPG"]


@pytest.mark.parametrize("name", ["nowhere.jpg", "*.gif", "nowhere/**"])
def test_a_name_that_leads_nowhere_is_an_error(album, name):
    with pytest.raises(UserError, match="no such file or folder, and no file matches it as a pattern"):
        list_images([album / "a.png", album / name])


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"cwd holds no image: MindSpore reads .jpg, .jpeg, .png, .bmp files"):
        list_images([tmp_path / "cwd"])


# --- images ------------------------------------------------------------------------------------------------


def save_all_kinds(folder: Path) -> None:
    """One picture in all the forms that photographs come in."""
    folder.mkdir(parents=True)
    image = picture()
    rotated = Image.Exif()
    rotated[274] = 6
    image.save(folder / "exif.jpg", exif=rotated)
    image.save(folder / "plain.jpg")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.convert("L").save(folder / "grey.jpg")
    image.save(folder / "progressive.jpg", progressive=True)
    for mode in ("L", "LA", "RGBA", "P", "1"):
        image.convert(mode).save(folder / f"mode {mode}.png")
    for name, size in (("rle.bmp", (50, 40)), ("thin.bmp", (300, 3))):
        (folder / name).write_bytes(run_length_bmp(*size))
    image.save(folder / "animated.png", save_all=True, append_images=[image.rotate(90)])
    image.save(folder / "plain.bmp")


@pytest.mark.parametrize(
    "options", [{}, {"interpolation": "pilcubic", "crop_pct": 1.0}, {"in_channels": 1, "image_resize": 24}]
)
def test_images_of_all_kinds_are_those_of_the_validation_to_the_last_bit(tmp_path, options):
    save_all_kinds(tmp_path / "val" / "Äpfel")
    operators = create_transforms("imagenet", **{"image_resize": 32, "normalize": False, **options})
    source = create_source("", str(tmp_path), "val")
    pipeline = Pipeline(source=source, transform=operators, batch_size=1)
    expected = [
        image[0] for image, _ in pipeline.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True)
    ]
    found = list(ImageFiles([tmp_path], operators))
    assert [image.path for image in found] == [source.path(i) for i in range(14)]
    for image, pixels in zip(found, expected, strict=True):
        np.testing.assert_array_equal(image.pixels, pixels)
        assert (image.pixels.dtype, image.problem) == (np.uint8, "")


@pytest.mark.parametrize(("dataset", "channels"), [("mnist", 1), ("mnist", 3), ("cifar10", 3), ("digits", 1)])
def test_networks_of_small_images_get_files_as_they_got_pixels(tmp_path, dataset, channels):
    grey = RNG.integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    operators = create_transforms(dataset, 28, in_channels=channels, normalize=False)
    (image,) = ImageFiles([tmp_path / "a.png"], operators, dataset_name=dataset)
    np.testing.assert_array_equal(image.pixels, np.broadcast_to(grey, (channels, 28, 28)))


def test_many_images_come_in_their_order_on_several_threads(tmp_path):
    for i in range(150):
        Image.new("RGB", (8, 8 + i % 7), (i, 0, 255 - i)).save(tmp_path / f"{i:03}.png")
    images = ImageFiles([tmp_path], create_transforms("", 8, normalize=False), num_parallel_workers=2)
    assert len(images) == 150
    for _ in range(2):
        assert [int(image.pixels[0, 0, 0]) for image in images] == list(range(150))


def test_files_that_are_no_images_say_why_and_the_others_are_read(tmp_path, capfd):
    picture().save(tmp_path / "1 good.jpg")
    content = (tmp_path / "1 good.jpg").read_bytes()
    (tmp_path / "2 header.jpg").write_bytes(content[:200])
    (tmp_path / "3 pixels.jpg").write_bytes(content[: len(content) * 2 // 3])
    picture().save(tmp_path / "4 cut.png")
    (tmp_path / "4 cut.png").write_bytes((tmp_path / "4 cut.png").read_bytes()[:120])
    (tmp_path / "5 text.bmp").write_text("hello")
    (tmp_path / "6 empty.png").touch()
    picture().save(tmp_path / "7 film.jpg", format="GIF")
    picture().save(tmp_path / "8 web.png", format="WebP")
    (tmp_path / "9 dangling.png").symlink_to(tmp_path / "nowhere")
    picture().save(tmp_path / "99 good.png")
    capfd.readouterr()
    good, *bad, last = ImageFiles([tmp_path], create_transforms("", 32, normalize=False))
    assert (good.problem, last.problem) == ("", "")
    faults = (
        ("2 header.jpg", "is cut short"),
        ("3 pixels.jpg", "is cut short"),
        ("4 cut.png", "is cut short"),
        ("5 text.bmp", "is not in an image format that MindSpore decodes"),
        ("6 empty.png", "is empty"),
        ("7 film.jpg", "is not in an image format that MindSpore decodes"),
        ("8 web.png", "is not in an image format that MindSpore decodes"),
        ("9 dangling.png", "has vanished"),
    )
    expected = [f"{tmp_path}/{name} {fault}: remove or replace it" for name, fault in faults]
    assert [image.problem for image in bad] == expected
    assert all(image.pixels is None for image in bad)
    assert list(Path().iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_an_image_of_more_pixels_than_allowed_is_reported_and_not_decoded(tmp_path):
    picture(16, 16).save(tmp_path / "a.png")
    picture(16, 17).save(tmp_path / "b.png")
    small, large = ImageFiles(
        [tmp_path], create_transforms("", 32, normalize=False), max_image_pixels=16 * 16
    )
    assert small.problem == ""
    assert large.problem == (
        f"{tmp_path}/b.png has 17 x 16 pixels, more than max_image_pixels=256: remove or replace it"
    )


def test_damage_that_only_the_decoder_detects_is_reported_too(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return len(content).to_bytes(4, "big") + kind + content + checksum.to_bytes(4, "big")

    header = chunk(b"IHDR", bytes((0, 0, 0, 8, 0, 0, 0, 8, 8, 2, 0, 0, 0)))
    garbage = header + chunk(b"IDAT", b"no compressed pixels") + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + garbage)
    Path("abnormal_image.png").write_bytes(b"mine")
    (image,) = ImageFiles([tmp_path / "a.png"], create_transforms("", 32, normalize=False))
    assert image.problem == f"{tmp_path}/a.png cannot be decoded: remove or replace it"
    assert list(Path().iterdir()) == [Path("abnormal_image.png")]


# --- class names -------------------------------------------------------------------------------------------


def test_imagenet_has_a_thousand_classes_in_the_order_of_their_ids():
    classes = imagenet_classes()
    assert len(classes) == len(set(classes.values())) == 1000
    assert list(classes) == sorted(classes)
    names = list(classes.values())
    assert (names[0], names[1], names[134], names[517], names[999]) == (
        "tench",
        "goldfish",
        "crane (bird)",
        "crane (machine)",
        "toilet tissue",
    )


def test_the_names_are_wordnets():
    from tests.support.peers import timm

    info = timm.data.ImageNetInfo()
    assert list(imagenet_classes()) == info.label_names()
    for index, name in enumerate(imagenet_classes().values()):
        assert name.split(" (")[0] in info.index_to_description(index).split(", ")


def test_only_wordnet_ids_are_put_into_words():
    assert readable_classes(["n01443537", "n01440764"]) == ["goldfish", "tench"]
    assert readable_classes(["n01443537", "cat"]) == ["n01443537", "cat"]
    assert readable_classes([]) == []
