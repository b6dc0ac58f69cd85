"""Compare on all processes of a job what must be equal there, and name the first difference in one line.

Each part is a list of texts. The ranks exchange one digest of each; only where two differ, a binary search
over digests of its beginnings finds the first text that is not rank 0's, and the ranks exchange that text.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mindcv.errors import UserError

__all__ = ["Part", "compare_ranks"]

Gather = Callable[[bytes], Sequence[bytes]]

DIGEST = hashlib.sha256().digest_size
LONGEST_TEXT = 1000  # bytes of a text that the ranks exchange; a longer one is cut


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that must be equal on all ranks.

    Args:
        items: The texts that must be equal, in this order.
        noun: Names them in a message, for example "classes in train".
        remedy: What to do where they differ.
        form: Whether the texts are names in a list, or values of which each rank has the same number.
    """

    items: Sequence[str]
    noun: str
    remedy: str
    form: Literal["names", "values"]

    def digest(self, count: int | None = None) -> bytes:
        """Return the SHA-256 of the first `count` items, by default of all."""
        content = "\0".join(self.items[:count])
        return hashlib.sha256(
            f"{len(self.items[:count])}\0{content}".encode(errors="surrogateescape")
        ).digest()

    def item(self, index: int) -> bytes:
        """Return an item as bytes; empty behind the last one."""
        text = self.items[index] if index < len(self.items) else ""
        return text.encode(errors="surrogateescape")[:LONGEST_TEXT]


def compare_ranks(parts: Sequence[Part], rank: int, gather: Gather) -> None:
    """Check that parts are the same on all ranks; call it on all of them, with the same kinds of parts.

    Args:
        parts: What to compare.
        rank: This process.
        gather: Returns the bytes that each rank gives, in the order of the ranks.

    Raises:
        UserError: If they differ; the message, the same on all ranks, names the first part that does, the
            first rank whose part is not rank 0's, and the difference.
    """
    found = gather(b"".join(part.digest() for part in parts))
    for number, part in enumerate(parts):
        digests = [digest[number * DIGEST : (number + 1) * DIGEST] for digest in found]
        others = [other for other, digest in enumerate(digests) if digest != digests[0]]
        if others:
            raise UserError(_difference(part, others, rank, gather))


def _difference(part: Part, others: Sequence[int], rank: int, gather: Gather) -> str:
    """Describe how the part of the first of `others` is not rank 0's."""
    other = others[0]
    counts = [int(count) for count in gather(str(len(part.items)).encode())]
    first = _first_difference(part, other, min(counts[0], counts[other]), gather)
    texts = gather(part.item(first))
    own, mine = (texts[each].decode(errors="surrogateescape") for each in (other, 0))
    # Whether rank 0's text is elsewhere on the other rank, and the other's on rank 0.
    wanted = mine if rank == other else own
    known = [flag == b"1" for flag in gather(b"1" if wanted in part.items else b"0")]
    more = f" ({len(others)} ranks differ)" if len(others) > 1 else ""
    if part.form == "values":
        text = f"{own}{more}; rank 0: {mine}"
    elif first < counts[0] and not known[other]:
        text = f"{counts[other]} {part.noun}, '{mine}' is missing{more}; rank 0 has {counts[0]}"
    elif first < counts[other] and not known[0]:
        text = f"{counts[other]} {part.noun}, and rank 0, which has {counts[0]}, lacks '{own}'{more}"
    else:
        place = f"number {first + 1} is '{own}'{more}"
        text = f"{counts[other]} {part.noun} in another order, {place}; rank 0's is '{mine}'"
    return f"rank {other}: {text}: {part.remedy}"


def _first_difference(part: Part, other: int, end: int, gather: Gather) -> int:
    """Return the first index at which a rank's items are not rank 0's, or `end` if there is none before."""
    begin = 0
    while begin < end:
        middle = (begin + end + 1) // 2
        digests = gather(part.digest(middle))
        if digests[other] == digests[0]:
            begin = middle
        else:
            end = middle - 1
    return begin
