"""A look at a JPEG's markers before MindSpore decodes it."""

__all__ = ["is_cut_jpeg"]

JPEG = b"\xff\xd8\xff"
END_OF_IMAGE = b"\xff\xd9"
PROGRESSIVE = 0xC2
START_OF_SCAN = 0xDA
STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers that no length follows


def is_cut_jpeg(data: bytes) -> bool:
    """Whether a file is a JPEG that was cut short where MindSpore's decoders crash.

    They raise if the compressed pixels are cut (which is not looked for here). But if the file ends in the
    header, or between two scans of a progressive image, MindSpore 2.10 divides by zero or reads beyond the
    file, which ends the process without an exception, or hangs.

    Args:
        data: Content of a file of any format.
    """
    if not data.startswith(JPEG):
        return False
    progressive = False
    position = 2
    while True:
        position = data.find(b"\xff", position)  # as libjpeg does, pass over what is no marker
        if position < 0 or position + 4 > len(data):
            return True
        marker = data[position + 1]
        if marker in (0x00, 0xFF):  # no marker, and padding before one
            position += 1
        elif marker in STANDALONE:
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
            progressive |= marker == PROGRESSIVE
            if marker == START_OF_SCAN:
                # Compressed pixels hold no marker of this value.
                return position > len(data) or (progressive and data.find(END_OF_IMAGE, position) < 0)
