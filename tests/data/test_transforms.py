"""Pixels after the transforms, compared with references in NumPy and Pillow."""

import io
from functools import partial

import mindspore.dataset as ds
import numpy as np
import pytest
from PIL import Image

from mindcv.data import create_transforms as create_normalized_transforms
from mindcv.errors import UserError

create_transforms = partial(create_normalized_transforms, normalize=False)

ALL = ["imagenet", "image_folder", "mindrecord", "digits", "cifar10", "cifar100", "mnist", "fashion_mnist"]
GREY_ARRAYS = ("mnist", "fashion_mnist")
ARRAYS = ("cifar10", "cifar100", *GREY_ARRAYS)


def photograph(height, width, seed=0):
    """A smooth colour image with some noise."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), int)
    return np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8)


def encoded(pixels, image_format="PNG"):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, image_format, quality=95)
    return np.frombuffer(data.getvalue(), np.uint8)


def transformed(image, operators, times=1, seed=0):
    """Outputs of a single image, `times` times."""
    ds.config.set_seed(seed)
    data = ds.GeneratorDataset(
        [(image,)] * times, ["image"], shuffle=False, num_parallel_workers=1, python_multiprocessing=False
    )
    data = data.map(operators, "image", num_parallel_workers=1)
    return np.stack([row[0] for row in data.create_tuple_iterator(num_epochs=1, output_numpy=True)])


def evaluated(image, name="imagenet", size=32, **options):
    return transformed(image, create_transforms(name, size, **options))[0]


def resized_nearest(pixels, height, width):
    rows = np.arange(height) * pixels.shape[0] // height
    columns = np.arange(width) * pixels.shape[1] // width
    return pixels[rows][:, columns]


def resized_bilinear(pixels, height, width):
    """Pixel centres at halves, borders repeated, no averaging."""
    values = pixels.astype(float)
    for axis, size in ((0, height), (1, width)):
        old = values.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
        low = np.floor(place).astype(int)
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        weight = (place - low).reshape(shape)
        high = np.minimum(low + 1, old - 1)
        values = values.take(low, axis) * (1 - weight) + values.take(high, axis) * weight
    return values


def centre(pixels, height, width):
    top, left = round((pixels.shape[0] - height) / 2), round((pixels.shape[1] - width) / 2)
    return pixels[top : top + height, left : left + width]


def chw(pixels):
    return pixels.transpose(2, 0, 1)


def sample(name):
    if name == "digits":
        return encoded(photograph(8, 8)[..., 0])
    if name in ARRAYS:
        return photograph(28, 28)[..., :1].copy() if name in GREY_ARRAYS else photograph(32, 32)
    return encoded(photograph(60, 50), "JPEG")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("is_training", [False, True])
def test_every_dataset_yields_uint8_channels_first(name, in_channels, is_training):
    operators = create_transforms(name, 40, is_training, in_channels=in_channels)
    images = transformed(sample(name), operators, times=3)
    assert images.dtype == np.uint8
    assert images.shape == (3, in_channels, 40, 40)
    assert images.std() > 1


@pytest.mark.parametrize(
    "interpolation", ["nearest", "bilinear", "bicubic", "area", "pilcubic", "pilbilinear"]
)
@pytest.mark.parametrize("name", ["imagenet", "digits", "cifar10", "mnist"])
@pytest.mark.parametrize("is_training", [False, True])
def test_every_interpolation_works_on_every_kind_of_image(name, interpolation, is_training):
    for in_channels in (1, 3):
        operators = create_transforms(
            name, 24, is_training, interpolation=interpolation, in_channels=in_channels
        )
        assert transformed(sample(name), operators).shape == (1, in_channels, 24, 24)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (70, 64), (64, 83), (64, 97)])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "BMP"])
def test_evaluation_without_a_resize_is_the_centre_crop_exactly(height, width, image_format):
    file = encoded(photograph(height, width), image_format)
    pixels = np.asarray(Image.open(io.BytesIO(file.tobytes())))
    # 56 / 0.875 = 64 is the shorter side already.
    assert np.array_equal(evaluated(file, size=56), chw(centre(pixels, 56, 56)))


@pytest.mark.parametrize("size", [16, 40, 100])
def test_evaluation_resizes_the_shorter_side_with_nearest_exactly(size):
    pixels = photograph(60, 90)
    short = int(size / 0.8)
    expected = centre(resized_nearest(pixels, short, short * 90 // 60), size, size)
    image = evaluated(encoded(pixels), size=size, crop_pct=0.8, interpolation="nearest")
    assert np.array_equal(image, chw(expected))


@pytest.mark.parametrize("size", [28, 70, 112])
def test_evaluation_resizes_with_bilinear_within_rounding(size):
    pixels = photograph(60, 90)
    short = int(size / 0.875)
    expected = centre(resized_bilinear(pixels, short, short * 90 // 60), size, size)
    assert np.abs(evaluated(encoded(pixels), size=size) - chw(expected)).max() <= 1


def test_evaluation_agrees_with_pillow_when_it_enlarges():
    pixels = photograph(60, 90)
    resized = Image.fromarray(pixels).resize((192, 128), Image.Resampling.BILINEAR)
    expected = chw(centre(np.asarray(resized, int), 112, 112))
    assert np.abs(evaluated(encoded(pixels), size=112) - expected).max() <= 1


def test_pilcubic_agrees_with_pillow_when_it_shrinks():
    pixels = photograph(120, 180)
    resized = Image.fromarray(pixels).resize((48, 32), Image.Resampling.BICUBIC)
    expected = chw(centre(np.asarray(resized, int), 28, 28))
    assert np.abs(evaluated(encoded(pixels), size=28, interpolation="pilcubic") - expected).max() <= 1


def test_height_and_width_may_differ():
    pixels = photograph(60, 90)
    image = evaluated(encoded(pixels), size=(40, 20), crop_pct=1.0, interpolation="nearest")
    assert np.array_equal(image, chw(resized_nearest(pixels, 40, 20)))
    assert evaluated(encoded(pixels), size=(40, 20)).shape == (3, 40, 20)
    for name in ("imagenet", "cifar10"):
        operators = create_transforms(name, (40, 20), is_training=True)
        assert transformed(sample(name), operators).shape == (1, 3, 40, 20)


def test_small_images_are_evaluated_whole():
    for name in ("cifar10", "mnist", "digits"):
        raw = sample(name)
        pixels = raw if name in ARRAYS else photograph(8, 8)[..., :1]
        image = evaluated(raw, name, 48, interpolation="nearest", in_channels=pixels.shape[-1])
        assert np.array_equal(image, chw(resized_nearest(pixels, 48, 48)))


def test_grey_of_a_colour_image_is_pillows_within_rounding():
    pixels = photograph(64, 64)
    expected = np.asarray(Image.fromarray(pixels).convert("L"), int)
    image = evaluated(encoded(pixels), size=64, crop_pct=1.0, in_channels=1)
    assert np.abs(image[0] - expected).max() <= 1


def test_grey_values_survive_exactly_in_one_channel_and_in_three():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for name, image in (
        ("imagenet", encoded(pixels)),
        ("digits", encoded(pixels)),
        ("mnist", pixels[..., None]),
    ):
        for in_channels in (1, 3):
            result = evaluated(image, name, 16, crop_pct=1.0, in_channels=in_channels)
            assert np.array_equal(result, np.stack([pixels] * in_channels)), (name, in_channels)


def test_training_crops_keep_area_and_aspect_within_bounds():
    columns, rows = np.meshgrid(np.arange(200), np.arange(200))
    place = np.stack([columns, rows, 0 * rows], -1).astype(np.uint8)
    operators = create_transforms(
        "imagenet", 100, True, scale=(0.2, 0.5), ratio=(0.5, 2.0), hflip=0.0, interpolation="nearest"
    )
    crops = transformed(encoded(place), operators, times=60)
    width, height = (
        crops[:, channel].max((1, 2)) - crops[:, channel].min((1, 2)) + 1.0 for channel in (0, 1)
    )
    area = width * height / 200**2
    assert np.all((area > 0.18) & (area < 0.52))
    assert np.all((width / height > 0.47) & (width / height < 2.12))
    assert area.max() - area.min() > 0.15
    assert len({tuple(crop[:2, 0, 0]) for crop in crops}) > 40


@pytest.mark.parametrize(
    ("name", "hflip", "vflip", "expected"),
    [
        ("imagenet", None, 0.0, {"same", "horizontal"}),
        ("imagenet", 0.0, 0.0, {"same"}),
        ("imagenet", 1.0, 0.0, {"horizontal"}),
        ("imagenet", 0.0, 1.0, {"vertical"}),
        ("imagenet", 0.5, 0.5, {"same", "horizontal", "vertical", "both"}),
        ("cifar10", None, 0.0, {"same", "horizontal"}),
        ("mnist", None, 0.0, {"same"}),
        ("digits", None, 0.0, {"same"}),
        ("digits", 0.5, 0.0, {"same", "horizontal"}),
    ],
)
def test_flips_are_those_asked_for(name, hflip, vflip, expected):
    raw = sample(name)
    options = {"interpolation": "nearest", "in_channels": 1 if name == "mnist" else 3}
    whole = evaluated(raw, name, 32, crop_pct=1.0, **options) if name != "imagenet" else None
    if name == "imagenet":
        raw = encoded(photograph(32, 32))
        whole = evaluated(raw, name, 32, crop_pct=1.0, **options)
        options |= {"scale": (1.0, 1.0), "ratio": (1.0, 1.0)}
    operators = create_transforms(name, 32, True, hflip=hflip, vflip=vflip, crop_padding=0, **options)
    views = {
        "same": whole,
        "horizontal": whole[:, :, ::-1],
        "vertical": whole[:, ::-1],
        "both": whole[:, ::-1, ::-1],
    }
    seen = [
        next((key for key, view in views.items() if np.array_equal(image, view)), "other")
        for image in transformed(raw, operators, times=40)
    ]
    assert set(seen) == expected


@pytest.mark.parametrize(
    ("name", "crop_padding", "reach"),
    [("cifar10", None, 6), ("mnist", None, 3), ("digits", None, 3), ("digits", 5, 5)],
)
def test_small_images_are_shifted_over_black_by_up_to_the_padding(name, crop_padding, reach):
    size = 48
    in_channels = 1 if name == "mnist" else 3
    options = {"interpolation": "nearest", "in_channels": in_channels}
    whole = np.maximum(evaluated(sample(name), name, size, **options), 0)
    padded = np.pad(whole, ((0, 0), (reach, reach), (reach, reach)))
    operators = create_transforms(name, size, True, hflip=0.0, crop_padding=crop_padding, **options)
    seen = set()
    for image in transformed(sample(name), operators, times=80):
        seen |= {
            (top, left)
            for top in range(2 * reach + 1)
            for left in range(2 * reach + 1)
            if np.array_equal(image, padded[:, top : top + size, left : left + size])
        } or {None}
    assert None not in seen
    assert {top for top, _ in seen} >= {0, 2 * reach}
    assert len(seen) > 20


def test_flips_are_independent_of_each_other_and_of_the_shift():
    columns, rows = np.meshgrid(np.arange(64), np.arange(64))
    place = np.stack([columns, rows, 0 * rows], -1).astype(np.uint8)
    operators = create_transforms("cifar10", 64, True, hflip=0.5, vflip=0.5, crop_padding=20)
    images = transformed(place, operators, times=600).astype(int)
    middle = images[:, :, 32, 32]
    draws = [
        images[:, 0, 32, 36] < images[:, 0, 32, 28],
        images[:, 1, 36, 32] < images[:, 1, 28, 32],
        middle[:, 0],
        middle[:, 1],
    ]
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.2


def test_impossible_options_are_explained():
    for options, message in (
        ({"interpolation": "bilinaer"}, "interpolation='bilinaer' is unknown.*; did you mean 'bilinear'?"),
        ({"in_channels": 4}, "in_channels=4 is not supported: give 3 for colour or 1 for grey"),
        ({"crop_pct": 0.0}, "crop_pct=0.0 is out of range: give a fraction above 0, of which 1 keeps all"),
        ({"mean": (1.0, 2.0)}, r"mean=\(1.0, 2.0\) has 2 numbers: give 3, one for each channel"),
        ({"dataset_name": "imagnet"}, "dataset='imagnet' is unknown.*; did you mean 'imagenet'?"),
    ):
        with pytest.raises(UserError, match=message):
            create_transforms(**options)
