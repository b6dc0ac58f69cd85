"""Operations on images at a strength that the caller gives.

Images are Pillow's, of mode RGB or L; each function returns a new image or, where nothing changes, its input.
Geometric operations say where an output pixel is looked up, as Pillow does: a shift of 3 moves the picture
3 pixels to the left. `fill` colours what lies outside the input.
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
    """Output ``(x, y)`` shows input ``(x + factor * y, y)``: `factor` is the tangent of the angle."""
    return _affine(image, (1, factor, 0, 0, 1, 0), fill, resample)


def shear_y(
    image: Image.Image, factor: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """Output ``(x, y)`` shows input ``(x, y + factor * x)``: `factor` is the tangent of the angle."""
    return _affine(image, (1, 0, 0, factor, 1, 0), fill, resample)


def translate_x(
    image: Image.Image, pixels: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """Output ``(x, y)`` shows input ``(x + pixels, y)``."""
    return _affine(image, (1, 0, pixels, 0, 1, 0), fill, resample)


def translate_y(
    image: Image.Image, pixels: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """Output ``(x, y)`` shows input ``(x, y + pixels)``."""
    return _affine(image, (1, 0, 0, 0, 1, pixels), fill, resample)


def translate_x_relative(
    image: Image.Image, fraction: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """`translate_x` by a fraction of the image's width."""
    return translate_x(image, fraction * image.width, fill=fill, resample=resample)


def translate_y_relative(
    image: Image.Image, fraction: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """`translate_y` by a fraction of the image's height."""
    return translate_y(image, fraction * image.height, fill=fill, resample=resample)


def rotate(
    image: Image.Image, degrees: float, *, fill: Fill = BLACK, resample: Image.Resampling = BILINEAR
) -> Image.Image:
    """The picture turned counter-clockwise about its centre; the size stays."""
    return image.rotate(degrees, resample, fillcolor=_colour(image, fill))


def posterize(image: Image.Image, bits: int) -> Image.Image:
    """The `bits` highest bits of each value are kept, and the others 0: 8 changes nothing, 0 makes black."""
    # Pillow's own refuses 0 bits, which policies ask for, from its version 13 on.
    mask = 0xFF << (8 - bits) & 0xFF
    return image.point([value & mask for value in range(256)] * len(image.getbands()))


def solarize(image: Image.Image, threshold: float) -> Image.Image:
    """Values of `threshold` and above are inverted: 256 changes nothing, 0 makes the negative."""
    return ImageOps.solarize(image, threshold)  # pyright: ignore[reportArgumentType]


def solarize_add(image: Image.Image, addend: int) -> Image.Image:
    """Values below 128 are raised by `addend`, up to 255."""
    table = [min(255, value + addend) if value < MIDDLE else value for value in range(256)]
    return image.point(table * len(image.getbands()))


def invert(image: Image.Image) -> Image.Image:
    """The negative."""
    return ImageOps.invert(image)


def equalize(image: Image.Image) -> Image.Image:
    """Each channel's histogram made as even as a table of values can."""
    return ImageOps.equalize(image)


def autocontrast(image: Image.Image) -> Image.Image:
    """Each channel stretched to reach from 0 to 255."""
    return ImageOps.autocontrast(image)


def identity(image: Image.Image) -> Image.Image:
    """The image as it is."""
    return image


def color(image: Image.Image, factor: float) -> Image.Image:
    """Distance from the grey image times `factor`: 0 makes grey, 1 changes nothing."""
    return ImageEnhance.Color(image).enhance(factor)


def contrast(image: Image.Image, factor: float) -> Image.Image:
    """Distance from the mean grey times `factor`: 0 makes a grey plane, 1 changes nothing."""
    return ImageEnhance.Contrast(image).enhance(factor)


def brightness(image: Image.Image, factor: float) -> Image.Image:
    """Values times `factor`: 0 makes black, 1 changes nothing."""
    return ImageEnhance.Brightness(image).enhance(factor)


def sharpness(image: Image.Image, factor: float) -> Image.Image:
    """Distance from the smoothed image times `factor`: 0 smooths, 1 changes nothing, 2 sharpens."""
    return ImageEnhance.Sharpness(image).enhance(factor)


def desaturate(image: Image.Image, amount: float) -> Image.Image:
    """Colour taken away: 0 changes nothing, 1 makes grey."""
    return color(image, 1 - amount)


def gaussian_blur(image: Image.Image, radius: float) -> Image.Image:
    """Blurred by a Gaussian whose standard deviation is `radius` pixels."""
    return image.filter(ImageFilter.GaussianBlur(radius))


def _affine(
    image: Image.Image, matrix: tuple[float, ...], fill: Fill, resample: Image.Resampling
) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=_colour(image, fill)
    )


def _colour(image: Image.Image, fill: Fill) -> int | Fill:
    """`fill` in the image's mode: its luma (ITU-R 601) for a grey one."""
    if image.mode != "L":
        return fill
    red, green, blue = fill
    return round((299 * red + 587 * green + 114 * blue) / 1000)
