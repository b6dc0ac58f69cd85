"""Checks of a JPEG's markers before MindSpore decodes it."""

import re
from functools import lru_cache

__all__ = ["JPEG", "count_components", "read_jpeg"]

JPEG = b"\xff\xd8\xff"
CUT = "is cut short"
DAMAGED = "is a damaged JPEG"

# What follows 0xff in compressed pixels is 0x00 or a restart marker, 0xd0 to 0xd7; before a marker, padding.
MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
HUFFMAN_TABLES, END, SCAN, QUANTIZATION_TABLES = 0xC4, 0xD9, 0xDA, 0xDB
BASELINE, PROGRESSIVE = (0xC0, 0xC1), 0xC2
START = 0xD8
MAX_SCANS = 100  # a progressive JPEG has about ten; each passes over the whole image
NOT_DECODED = (0xC3, *range(0xC5, 0xD0), START)  # lossless, hierarchical, arithmetic, and a second start


def read_jpeg(data: bytes) -> tuple[tuple[int, int], str | None]:
    """Return the width and height of a JPEG, and what is wrong with its markers; None if nothing is.

    MindSpore 2.10 cannot handle these faults. If the file ends within the compressed pixels, it may raise, or
    read beyond the file and return an image whose rest is grey. If the header is cut or its tables are
    invalid, it divides by zero, reads invalid memory or hangs: the process ends without an exception.

    Args:
        data: Content of a file that begins as a JPEG.
    """
    markers = _Markers()
    try:
        fault = markers.read(data)
    except (IndexError, KeyError, ValueError):
        fault = DAMAGED
    return markers.size, fault


def count_components(data: bytes) -> int:
    """Return the number of color components of a JPEG in which `read_jpeg` finds no fault."""
    position = 2
    while found := MARKER.search(data, position):
        position = found.end()
        if found[1][0] in (*BASELINE, PROGRESSIVE):
            return data[position + 7]
        position += int.from_bytes(data[position : position + 2], "big")
    return 0


class _Markers:
    """The tables that the scans of an image refer to, collected on the way through its file."""

    def __init__(self) -> None:
        self.quantization: set[int] = set()
        self.huffman: set[int] = set()  # 0x00 to 0x03 for DC, 0x10 to 0x13 for AC
        self.components: dict[int, int] = {}  # of the frame: name, and its quantization table
        self.frame = 0
        self.size = (0, 0)
        self.scans = 0
        self.scanned: set[int] = set()  # components of a frame that is not progressive have one scan each

    def read(self, data: bytes) -> str | None:
        """Return the fault of a file, see `read_jpeg`.

        Raises:
            ValueError: If a table is invalid, which a KeyError or an IndexError means, too.
        """
        position = 2
        while found := MARKER.search(data, position):
            marker, begin = found[1][0], found.end()
            if marker == END:
                _require(self.scans > 0)
                return None
            _require(marker not in NOT_DECODED)
            end = begin + int.from_bytes(data[begin : begin + 2], "big")
            if max(end, begin + 2) > len(data):
                return CUT
            _require(end >= begin + 2)
            self._segment(marker, data[begin + 2 : end])
            position = end
        return CUT

    def _segment(self, marker: int, segment: bytes) -> None:
        if marker == QUANTIZATION_TABLES:
            self.quantization |= _quantization_tables(segment)
        elif marker == HUFFMAN_TABLES:
            self.huffman |= _huffman_tables(segment)
        elif marker in BASELINE or marker == PROGRESSIVE:
            self._frame(marker, segment)
        elif marker == SCAN:
            self._scan(segment)

    def _frame(self, marker: int, segment: bytes) -> None:
        names, samplings, tables = segment[6::3], segment[7::3], segment[8::3]
        height, width = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
        _require(not self.frame and segment[0] == 8 and height > 0 and width > 0)
        _require(segment[5] in (1, 3, 4) and len(segment) == 6 + 3 * segment[5])
        _require(all(1 <= side <= 4 for sampling in samplings for side in divmod(sampling, 16)))
        _require(len(set(names)) == len(names) and max(tables) <= 3)
        self.frame, self.size = marker, (width, height)
        self.components = dict(zip(names, tables, strict=True))

    def _scan(self, segment: bytes) -> None:
        count = segment[0]
        _require(1 <= count <= len(self.components) and len(segment) == 4 + 2 * count)
        names, tables = segment[1 : 1 + 2 * count : 2], segment[2 : 2 + 2 * count : 2]
        first, last, bits = segment[-3:]
        _require(len(set(names)) == count and {self.components[name] for name in names} <= self.quantization)
        for table in tables:
            dc, ac = divmod(table, 16)
            _require(dc <= 3 and ac <= 3)
            if self.frame != PROGRESSIVE:
                _require(self.scanned.isdisjoint(names))
                _require({dc, 0x10 + ac} <= self.huffman)
            elif first > 0:
                _require(0x10 + ac in self.huffman)
            elif bits < 16:  # a later scan of DC coefficients has no codes
                _require(dc in self.huffman)
        if self.frame == PROGRESSIVE:
            high, low = divmod(bits, 16)
            _require(last == 0 if first == 0 else first <= last <= 63 and count == 1)
            _require(low <= 13 and (high == 0 or high == low + 1))
        self.scanned |= set(names)
        self.scans += 1
        _require(self.scans <= MAX_SCANS)


# Most encoders write the same tables in every file.
@lru_cache(256)
def _quantization_tables(segment: bytes) -> set[int]:
    tables, position = set(), 0
    while position < len(segment):
        wide, table = divmod(segment[position], 16)
        _require(wide <= 1 and table <= 3)
        tables.add(table)
        position += 1 + 64 * (1 + wide)
    _require(position == len(segment))
    return tables


@lru_cache(256)
def _huffman_tables(segment: bytes) -> set[int]:
    tables, position = set(), 0
    while position < len(segment):
        table, lengths = segment[position], segment[position + 1 : position + 17]
        symbols = segment[position + 17 : position + 17 + sum(lengths)]
        _require(table & 0xEF <= 3 and len(lengths) == 16 and len(symbols) == sum(lengths) <= 256)
        _require(table > 3 or max(symbols, default=0) <= 15)
        _require(sum(count << 16 - length for length, count in enumerate(lengths, 1)) <= 1 << 16)
        tables.add(table)
        position += 17 + len(symbols)
    _require(position == len(segment))
    return tables


def _require(sensible: bool) -> None:
    if not sensible:
        raise ValueError(DAMAGED)
