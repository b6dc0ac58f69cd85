"""Pixels after each augmentation, compared with closed forms in NumPy."""

import numpy as np
import pytest
from PIL import Image

from mindcv.data.augment import operations as ops

NEAREST = Image.Resampling.NEAREST
FILL = (10, 20, 30)


def noise(height=40, width=50, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def applied(operation, pixels, *arguments, **options):
    return np.asarray(operation(Image.fromarray(pixels), *arguments, **options))


def looked_up(pixels, x, y):
    """Pixels at places, whose corner is (0, 0); `FILL` outside."""
    height, width = pixels.shape[:2]
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    found = pixels[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return np.where(inside[..., None], found, np.array(FILL, np.uint8))


def centres(pixels):
    """Places of the pixels' centres."""
    height, width = pixels.shape[:2]
    return np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)


def grey(pixels):
    """Pillow's luma: ITU-R 601 in fixed point."""
    red, green, blue = (pixels[..., channel].astype(int) for channel in range(3))
    return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16


def blended(plain, pixels, factor):
    """`factor` times the distance from `plain`, cut to whole values."""
    plain = np.float32(plain)
    values = plain + np.float32(factor) * (pixels.astype(np.float32) - plain)
    return np.clip(values, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("factor", [-0.31, 0.17, 0.3, 0.99])
def test_shear_moves_a_row_or_a_column_by_its_place_times_the_factor(factor):
    pixels = noise()
    x, y = centres(pixels)
    sheared = applied(ops.shear_x, pixels, factor, fill=FILL, resample=NEAREST)
    assert np.array_equal(sheared, looked_up(pixels, x + factor * y, y))
    sheared = applied(ops.shear_y, pixels, factor, fill=FILL, resample=NEAREST)
    assert np.array_equal(sheared, looked_up(pixels, x, y + factor * x))


@pytest.mark.parametrize("factor", [0.3, 0.99])
def test_the_factor_of_a_shear_is_the_tangent_of_the_angle(factor):
    line = np.zeros((100, 200, 3), np.uint8)
    line[:, 150] = 255
    columns = applied(ops.shear_x, line, factor, resample=NEAREST)[..., 0].argmax(1)
    assert abs(int(columns[0]) - int(columns[99]) - 99 * factor) < 1
    columns = applied(ops.shear_y, line.transpose(1, 0, 2), factor, resample=NEAREST)[..., 0].argmax(0)
    assert abs(int(columns[0]) - int(columns[99]) - 99 * factor) < 1


def test_interpolation_is_linear_between_pixel_centres():
    ramp = np.broadcast_to(np.arange(0, 250, 5, dtype=np.uint8)[:, None], (40, 50, 3)).copy()
    shifted = applied(ops.translate_x, ramp, 0.4)[:, 1:-1]
    assert np.array_equal(shifted, ramp[:, 1:-1] + 2)


@pytest.mark.parametrize("pixels_moved", [-7, 0, 3])
def test_translation_moves_by_pixels_and_fills_the_rest(pixels_moved):
    pixels = noise()
    x, y = centres(pixels)
    moved = applied(ops.translate_x, pixels, pixels_moved, fill=FILL)
    assert np.array_equal(moved, looked_up(pixels, x + pixels_moved, y))
    moved = applied(ops.translate_y, pixels, pixels_moved, fill=FILL)
    assert np.array_equal(moved, looked_up(pixels, x, y + pixels_moved))


def test_relative_translation_is_a_part_of_the_width_or_the_height():
    pixels = noise(40, 50)
    assert np.array_equal(
        applied(ops.translate_x_relative, pixels, 0.2), applied(ops.translate_x, pixels, 10)
    )
    assert np.array_equal(applied(ops.translate_y_relative, pixels, 0.2), applied(ops.translate_y, pixels, 8))


@pytest.mark.parametrize("quarters", [-1, 1, 2, 3])
def test_a_rotation_by_right_angles_is_numpys(quarters):
    pixels = noise(32, 32)
    assert np.array_equal(applied(ops.rotate, pixels, 90 * quarters), np.rot90(pixels, quarters))


@pytest.mark.parametrize("degrees", [-30, 10, 135])
def test_a_rotation_is_in_degrees_and_counter_clockwise_about_the_centre(degrees):
    pixels = noise(41, 51)
    x, y = centres(pixels)
    right, up = x - 51 / 2, 41 / 2 - y
    angle = np.deg2rad(degrees)
    from_x = np.cos(angle) * right + np.sin(angle) * up + 51 / 2
    from_y = 41 / 2 - (np.cos(angle) * up - np.sin(angle) * right)
    rotated = applied(ops.rotate, pixels, degrees, fill=FILL, resample=NEAREST)
    assert (rotated == looked_up(pixels, from_x, from_y)).mean() > 0.999


def test_a_grey_image_is_filled_with_the_luma_of_the_colour():
    moved = applied(ops.translate_x, noise()[..., 0].copy(), 20, fill=(124, 116, 104))
    assert set(moved[:, -20:].flat) == {round(0.299 * 124 + 0.587 * 116 + 0.114 * 104)} == {117}


@pytest.mark.parametrize("bits", range(9))
def test_posterize_keeps_the_highest_bits(bits):
    pixels = noise()
    mask = [0, 0b10000000, 0b11000000, 0b11100000, 0b11110000, 0b11111000, 0b11111100, 0b11111110, 0b11111111]
    assert np.array_equal(applied(ops.posterize, pixels, bits), pixels & mask[bits])


@pytest.mark.parametrize("threshold", [0, 1, 128, 200.5, 255, 256])
def test_solarize_inverts_from_the_threshold_on(threshold):
    pixels = noise()
    expected = np.where(pixels < threshold, pixels, 255 - pixels)
    assert np.array_equal(applied(ops.solarize, pixels, threshold), expected)


@pytest.mark.parametrize("addend", [0, 50, 110, 128])
def test_solarize_add_raises_the_dark_half(addend):
    pixels = noise()
    expected = np.where(pixels < 128, np.minimum(pixels.astype(int) + addend, 255), pixels)
    assert np.array_equal(applied(ops.solarize_add, pixels, addend), expected)
    assert np.array_equal(applied(ops.solarize_add, pixels[..., 0].copy(), addend), expected[..., 0])


def test_invert_is_the_negative():
    assert np.array_equal(applied(ops.invert, noise()), 255 - noise())


def test_autocontrast_stretches_each_channel_to_the_whole_range():
    pixels = np.stack([noise()[..., 0] // 2, noise()[..., 1] // 4 + 100, np.full((40, 50), 77)], -1)
    pixels = pixels.astype(np.uint8)
    stretched = applied(ops.autocontrast, pixels)
    low, high = pixels.min((0, 1)).astype(int), pixels.max((0, 1)).astype(int)
    expected = (pixels[..., :2] - low[:2]) * 255 / (high - low)[:2]
    assert np.abs(stretched[..., :2] - expected).max() <= 1
    assert stretched[..., :2].min() == 0
    assert stretched[..., :2].max() == 255
    assert np.array_equal(stretched[..., 2], pixels[..., 2])


def test_equalize_gives_each_value_the_share_of_those_below_it():
    pixels = (noise(100, 100).astype(float) ** 2 / 255).astype(np.uint8)
    equal = applied(ops.equalize, pixels)
    for channel in range(3):
        counts = np.bincount(pixels[..., channel].flat, minlength=256)
        step = (counts.sum() - counts[counts > 0][-1]) // 255
        table = np.minimum((step // 2 + np.cumsum(counts) - counts) // step, 255)
        assert np.array_equal(equal[..., channel], table[pixels[..., channel]])


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.5, 1.0, 1.45, 1.9])
def test_enhancements_multiply_the_distance_from_their_plain_image(factor):
    pixels = noise()
    mean = int(grey(pixels).mean() + 0.5)
    assert np.array_equal(applied(ops.brightness, pixels, factor), blended(0, pixels, factor))
    assert np.array_equal(applied(ops.contrast, pixels, factor), blended(mean, pixels, factor))
    assert np.array_equal(
        applied(ops.color, pixels, factor), blended(grey(pixels)[..., None], pixels, factor)
    )


@pytest.mark.parametrize("factor", [0.0, 0.1, 1.0, 1.9])
def test_sharpness_multiplies_the_distance_from_the_smoothed_image(factor):
    pixels = noise()
    smooth = pixels.astype(float)
    around = np.lib.stride_tricks.sliding_window_view(smooth, (3, 3), (0, 1))
    smooth[1:-1, 1:-1] = (around.sum((-1, -2)) + 4 * smooth[1:-1, 1:-1]) / 13
    expected = np.clip(smooth + factor * (pixels - smooth), 0, 255)
    # Pillow rounds the smoothed image, and cuts the result.
    assert np.abs(applied(ops.sharpness, pixels, factor) - expected).max() < 1 + 0.5 * abs(1 - factor)


def test_desaturation_goes_from_the_image_to_its_grey():
    pixels = noise()
    assert np.array_equal(applied(ops.desaturate, pixels, 0), pixels)
    assert np.array_equal(applied(ops.desaturate, pixels, 1), np.stack([grey(pixels)] * 3, -1))
    assert np.array_equal(applied(ops.desaturate, pixels, 0.75), applied(ops.color, pixels, 0.25))


@pytest.mark.parametrize("radius", [0.5, 1.0, 2.0, 5.0])
def test_the_radius_of_a_blur_is_its_standard_deviation(radius):
    edge = np.zeros((5, 100, 3), np.uint8)
    edge[:, 50:] = 255
    kernel = np.diff(applied(ops.gaussian_blur, edge, radius)[2, :, 0].astype(float)) / 255
    place = np.arange(99) - 49
    assert kernel.sum() == pytest.approx(1)
    assert (kernel * place).sum() == pytest.approx(0, abs=0.02)
    assert np.sqrt((kernel * place**2).sum()) == pytest.approx(radius, rel=0.05)


ALL = [
    (ops.shear_x, 0.3),
    (ops.shear_y, 0.3),
    (ops.translate_x, 5),
    (ops.translate_y, 5),
    (ops.translate_x_relative, 0.3),
    (ops.translate_y_relative, 0.3),
    (ops.rotate, 30),
    (ops.posterize, 3),
    (ops.solarize, 100),
    (ops.solarize_add, 50),
    (ops.invert,),
    (ops.equalize,),
    (ops.autocontrast,),
    (ops.identity,),
    (ops.color, 0.5),
    (ops.contrast, 0.5),
    (ops.brightness, 0.5),
    (ops.sharpness, 0.5),
    (ops.desaturate, 0.5),
    (ops.gaussian_blur, 1.0),
]


@pytest.mark.parametrize(("operation", "arguments"), [(entry[0], entry[1:]) for entry in ALL])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_operations_keep_mode_and_size_and_leave_their_input_alone(operation, arguments, mode):
    image = Image.fromarray(noise()).convert(mode)
    before = image.copy()
    result = operation(image, *arguments)
    assert (result.mode, result.size) == (mode, (50, 40))
    assert image == before


def test_every_operation_is_tested():
    functions = {name for name in ops.__all__ if name.islower()}
    assert functions == {entry[0].__name__ for entry in ALL}
