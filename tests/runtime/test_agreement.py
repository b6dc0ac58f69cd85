"""The first difference between ranks, and how it is said; threads are the ranks, and exchange as ranks do."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from mindcv.errors import UserError
from mindcv.runtime.agreement import LONGEST_TEXT, Part, compare_ranks


class Exchange:
    """Gathers bytes of several threads, and counts how often.

    Args:
        ranks: Number of threads.
    """

    def __init__(self, ranks: int) -> None:
        self._barrier = Barrier(ranks, timeout=20)
        self._given: dict[int, bytes] = {}
        self.count = 0

    def of(self, rank: int) -> Callable[[bytes], Sequence[bytes]]:
        """Return the function with which a thread gathers."""

        def gather(content: bytes) -> list[bytes]:
            self._given[rank] = content
            self._barrier.wait()
            gathered = [self._given[each] for each in sorted(self._given)]
            if self._barrier.wait() == 0:
                self.count += 1
            return gathered

        return gather


def part(items: Sequence[str], form: str = "names", noun: str = "classes in train") -> Part:
    return Part(items=items, noun=noun, remedy="copy it again", form=form)


def said(*ranks: Sequence[Part]) -> tuple[str, int]:
    """Return what all ranks say about their parts, which must be the same; and the number of exchanges."""
    exchange = Exchange(len(ranks))

    def compare(rank: int) -> str:
        try:
            compare_ranks(ranks[rank], rank, exchange.of(rank))
        except UserError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(len(ranks)) as pool:
        (text,) = set(pool.map(compare, range(len(ranks))))
    return text, exchange.count


NAMES = ["apple", "pear", "sky"]


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (NAMES, ["apple", "pear"], "rank 1: 2 classes in train, 'sky' is missing; rank 0 has 3"),
        (NAMES, ["pear", "sky"], "rank 1: 2 classes in train, 'apple' is missing; rank 0 has 3"),
        (NAMES, [], "rank 1: 0 classes in train, 'apple' is missing; rank 0 has 3"),
        (NAMES, ["apple", "peer", "sky"], "rank 1: 3 classes in train, 'pear' is missing; rank 0 has 3"),
        (["apple", "sky"], NAMES, "rank 1: 3 classes in train, and rank 0, which has 2, lacks 'pear'"),
        ([], NAMES, "rank 1: 3 classes in train, and rank 0, which has 0, lacks 'apple'"),
        (
            NAMES,
            ["apple", "sky", "pear"],
            "rank 1: 3 classes in train in another order, number 2 is 'sky'; rank 0's is 'pear'",
        ),
        (
            ["Äpfel 苹果", "\udcff"],
            ["Äpfel 苹果"],
            "rank 1: 1 classes in train, '\\udcff' is missing; rank 0 has 2",
        ),
    ],
)
def test_a_name_that_is_missing_more_or_elsewhere_is_said(first, second, text):
    assert said([part(first)], [part(second)])[0] == f"{text}: copy it again"


def test_values_are_said_side_by_side():
    parts = [[part(["lr=0.1", f"seed={seed}", "mode=0"], "values", "options")] for seed in (1, 1, 2, 3)]
    assert said(*parts)[0] == "rank 2: seed=2 (2 ranks differ); rank 0: seed=1: copy it again"


def test_the_first_part_that_differs_is_named():
    same, other = part(NAMES), part(["a"], noun="image files in train")
    text, _ = said([same, part([], noun="image files in train"), part(["x"])], [same, other, part(["y"])])
    assert text == "rank 1: 1 image files in train, and rank 0, which has 0, lacks 'a': copy it again"


@pytest.mark.parametrize("place", [0, 1, 7, 8, 9, 64, 99_999])
def test_one_of_many_names_is_found_in_few_exchanges(place):
    names = [f"{number}.jpg" for number in range(100_000)]
    text, exchanges = said([part(names)], [part([*names[:place], *names[place + 1 :]])])
    assert f"99999 classes in train, '{place}.jpg' is missing" in text
    assert exchanges <= 21


def test_equal_parts_take_one_exchange():
    assert said(*[[part(NAMES), part([]), part(["lr=1"], "values")]] * 5) == ("", 1)


def test_names_that_run_into_each_other_are_distinguished():
    assert said([part(["a", "b"])], [part(["ab"])])[0] != ""
    assert said([part(["", "a"])], [part(["a", ""])])[0] != ""
    assert said([part([""])], [part([])])[0] != ""


def test_of_a_long_text_the_beginning_is_exchanged():
    text, _ = said([part(["a" * 10**6])], [part(["b" * 10**6])])
    assert text.startswith("rank 1: 1 classes in train")
    assert len(text) < LONGEST_TEXT
