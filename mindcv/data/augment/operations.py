"""Operations on images at a strength that the caller gives.

Images are Pillow's, of mode RGB or L; each function returns a new image or, where nothing changes, its input.
Geometric operations map output pixels to input pixels, as Pillow does: a shift of 3 moves the image 3 pixels
to the left. `fill` is the colour outside the input.
"""

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

__all__ = [
    "BILINEAR",
    "Fill",
    "autocontrast",
    "brightness",
    "color",
    "contrast",
    "desaturate",
    "equalize",
    "gaussian_blur",
    "identity",
    "invert",
    "posterize",
    "rotate",
    "sharpness",
    "shear_x",
    "shear_y",
    "solarize",
    "solarize_add",
    "translate_x",
    "translate_x_relative",
    "translate_y",
    "translate_y_relative",
]

Fill = tuple[int, int, int]

BLACK = (0, 0, 0)
BILINEAR = Image.Resampling.BILINEAR
MIDDLE = 128  # the first grey of the bright half


def shear_x(
    image: Image.Image, factor: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """Shear along x: output ``(x, y)`` is input ``(x + factor * y, y)``, factor the tangent of the angle."""
    return _affine(image, (1, factor, 0, 0, 1, 0), fill, resample)


def shear_y(
    image: Image.Image, factor: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """Shear along y: output ``(x, y)`` is input ``(x, y + factor * x)``, factor the tangent of the angle."""
    return _affine(image, (1, 0, 0, factor, 1, 0), fill, resample)


def translate_x(
    image: Image.Image, pixels: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """Translate along x: output ``(x, y)`` is input ``(x + pixels, y)``."""
    return _affine(image, (1, 0, pixels, 0, 1, 0), fill, resample)


def translate_y(
    image: Image.Image, pixels: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """Translate along y: output ``(x, y)`` is input ``(x, y + pixels)``."""
    return _affine(image, (1, 0, 0, 0, 1, pixels), fill, resample)


def translate_x_relative(
    image: Image.Image, fraction: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """Translate along x by a fraction of the image's width, see `translate_x`."""
    return translate_x(image, fraction * image.width, fill=fill, resample=resample)


def translate_y_relative(
    image: Image.Image, fraction: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """Translate along y by a fraction of the image's height, see `translate_y`."""
    return translate_y(image, fraction * image.height, fill=fill, resample=resample)


def rotate(
    image: Image.Image, degrees: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """Rotate the image counter-clockwise about its centre, without changing its size."""
    return image.rotate(degrees, resample, fillcolor=_colour(image, fill))


def posterize(image: Image.Image, bits: int) -> Image.Image:
    """Keep the `bits` highest bits of each value and clear the others: 8 changes nothing, 0 returns black."""
    # Pillow's own refuses 0 bits, which policies ask for, from its version 13 on.
    mask = 0xFF << (8 - bits) & 0xFF
    return image.point([value & mask for value in range(256)] * len(image.getbands()))


def solarize(image: Image.Image, threshold: float) -> Image.Image:
    """Invert the values of `threshold` and above: 256 changes nothing, 0 inverts the image."""
    return ImageOps.solarize(image, threshold)  # pyright: ignore[reportArgumentType]


def solarize_add(image: Image.Image, addend: int) -> Image.Image:
    """Add `addend` to values below 128, up to 255."""
    table = [min(255, value + addend) if value < MIDDLE else value for value in range(256)]
    return image.point(table * len(image.getbands()))


def invert(image: Image.Image) -> Image.Image:
    """Invert the image."""
    return ImageOps.invert(image)


def equalize(image: Image.Image) -> Image.Image:
    """Equalize the histogram of each channel."""
    return ImageOps.equalize(image)


def autocontrast(image: Image.Image) -> Image.Image:
    """Stretch each channel to the range 0 to 255."""
    return ImageOps.autocontrast(image)


def identity(image: Image.Image) -> Image.Image:
    """Return the image unchanged."""
    return image


def color(image: Image.Image, factor: float) -> Image.Image:
    """Multiply the distance from the grey image by `factor`: 0 returns grey, 1 changes nothing."""
    return ImageEnhance.Color(image).enhance(factor)


def contrast(image: Image.Image, factor: float) -> Image.Image:
    """Multiply the distance from the mean grey by `factor`: 0 returns a uniform grey, 1 changes nothing."""
    return ImageEnhance.Contrast(image).enhance(factor)


def brightness(image: Image.Image, factor: float) -> Image.Image:
    """Multiply the values by `factor`: 0 returns black, 1 changes nothing."""
    return ImageEnhance.Brightness(image).enhance(factor)


def sharpness(image: Image.Image, factor: float) -> Image.Image:
    """Multiply the distance from the smoothed image by `factor`: 0 smooths, 1 changes nothing, 2 sharpens."""
    return ImageEnhance.Sharpness(image).enhance(factor)


def desaturate(image: Image.Image, amount: float) -> Image.Image:
    """Remove colour: 0 changes nothing, 1 returns grey."""
    return color(image, 1 - amount)


def gaussian_blur(image: Image.Image, radius: float) -> Image.Image:
    """Blur with a Gaussian whose standard deviation is `radius` pixels."""
    return image.filter(ImageFilter.GaussianBlur(radius))


def _affine(
    image: Image.Image, matrix: tuple[float, ...], fill: Fill, resample: Image.Resampling
) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=_colour(image, fill)
    )


def _colour(image: Image.Image, fill: Fill) -> int | Fill:
    """Return `fill` in the image's mode: its luma (ITU-R 601) for a grey image."""
    if image.mode != "L":
        return fill
    red, green, blue = fill
    return round((299 * red + 587 * green + 114 * blue) / 1000)
