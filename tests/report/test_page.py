"""The report as a file: complete, escaped, without anything from elsewhere, and small for many classes."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from mindcv.errors import UserError
from mindcv.report.document import LONGEST_TEXT, document, element, finite, shortened, write_page
from mindcv.report.options_table import Option, shown_value
from mindcv.report.run_page import LISTED_CLASSES, LISTED_EPOCHS, RunPage, render_run, thinned
from mindcv.report.thumbnails import thumbnail
from tests.support.report_pages import HOSTILE, example_page, scored_sample


class Elements(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def data_of(page: str) -> dict:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def test_hostile_names_are_text_everywhere():
    page = render_run(example_page(classes=[HOSTILE, "b", "c"]))
    assert HOSTILE not in page
    assert data_of(page)["scored"]["names"][0] == HOSTILE
    tags = [tag for tag, _ in Elements(page).found]
    assert tags.count("script") == 2
    assert not {"iframe", "object", "form"} & set(tags)


def test_a_page_refers_to_nothing_outside_of_itself_and_its_policy_forbids_it():
    page = render_run(example_page(classes=10))
    elements = Elements(page)
    links = [a[key] for _, a in elements.found for key in ("src", "href") if key in a]
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|innerHTML|eval\(", page)
    (policy,) = [a["content"] for a in elements.named("meta") if "http-equiv" in a]
    assert policy.startswith("default-src 'none'; img-src data:;")
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_every_link_within_a_page_has_its_target():
    elements = Elements(render_run(example_page(classes=3)))
    ids = [a["id"] for _, a in elements.found if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for a in elements.named("a")}
    assert targets == {"curves", "classes", "mistakes", "calibration", "configuration", "environment"}
    assert targets <= set(ids)


def test_a_thousand_classes_and_fifty_thousand_images_stay_below_3_mb():
    page = render_run(example_page(classes=1000, images=50_000))
    assert len(page.encode()) < 3_000_000
    scored = data_of(page)["scored"]
    assert (len(scored["names"]), scored["used"]) == (1000, 1000)
    assert "matrix" not in scored
    assert sum(scored["images"]) == 50_000


def test_of_a_hundred_thousand_classes_those_with_most_mistakes_are_listed():
    labels = np.repeat(np.arange(100_000, dtype=np.int32), 2)
    predicted = labels.copy()
    predicted[99_999] = 7  # the only mistake: an image of class 49,999
    page = RunPage(kind="k", title="t", scored=scored_sample(100_000, labels, predicted))
    scored = data_of(render_run(page))["scored"]
    assert len(scored["names"]) == LISTED_CLASSES
    assert "class 49999" in scored["names"]
    assert [[scored["names"][a], scored["names"][b], n] for a, b, n in scored["pairs"]] == [
        ["class 49999", "class 7", 1]
    ]


@pytest.mark.parametrize(("classes", "shown"), [(5, False), (6, True)])
def test_top_5_is_left_out_where_there_are_5_classes_or_fewer(classes, shown):
    assert (">Top-5<" in render_run(example_page(classes=classes))) == shown


@pytest.mark.parametrize(("classes", "shown"), [(30, True), (31, False)])
def test_a_confusion_matrix_is_shown_up_to_30_classes(classes, shown):
    assert ("matrix" in data_of(render_run(example_page(classes=classes)))["scored"]) == shown


def test_outputs_without_images_are_not_listed():
    labels = np.array([3, 3, 70, 70, 70], np.int32)
    predicted = np.array([3, 70, 70, 70, 99], np.int32)
    scored = data_of(render_run(RunPage(kind="k", title="t", scored=scored_sample(100, labels, predicted))))
    found = scored["scored"]
    assert found["names"] == ["class 3", "class 70", "class 99"]
    assert found["matrix"] == [[1, 1, 0], [0, 2, 1], [0, 0, 0]]
    assert (found["images"], found["predicted"]) == ([2, 3, 0], [1, 3, 1])


def test_numbers_that_are_not_finite_are_gaps():
    assert finite([1.0, float("nan"), float("inf"), None, 1 / 3]) == [1.0, None, None, None, 0.333333]
    page = RunPage(kind="k", title="t", columns={"epoch": [1, 2], "train_loss": [float("nan"), 2.0]})
    assert data_of(render_run(page)) == {"columns": {"epoch": [1, 2], "train_loss": [None, 2.0]}}


def test_of_very_many_epochs_the_last_one_is_kept():
    epochs = list(range(1, 100_001))
    (kept,) = thinned({"epoch": epochs}).values()
    assert len(kept) <= LISTED_EPOCHS
    assert kept[-1] == 100_000
    assert thinned({"epoch": [1, 2, 3]}) == {"epoch": [1, 2, 3]}


def test_options_that_differ_from_their_defaults_are_marked():
    options = [Option(name="lr", value=0.1, default=0.001), Option(name="opt", value="adam", default="adam")]
    page = render_run(RunPage(kind="k", title="t", options=options))
    assert "1 of 2 options differ from their defaults." in page
    assert page.count('<tr class="differs">') == 2  # in the short table and among all
    values = [True, None, (1, 2.5), "", "x", 1e-10]
    assert list(map(shown_value, values)) == ["true", "null", "[1, 2.5]", '""', "x", "1e-10"]


def test_long_texts_are_cut_and_surrogates_and_control_characters_are_replaced():
    assert len(shortened("x" * 10**6)) <= LONGEST_TEXT
    text = element("p", text="caf\udce9\x00\u202e", title='"&<')
    assert text == '<p title="&quot;&amp;&lt;">caf?��</p>'
    page = document("\udce9", "", {"name": "</script><!--\u2028"}, [])
    assert page.encode()
    assert data_of(page) == {"name": "</script><!--\u2028"}


def test_a_picture_is_small_and_one_that_cannot_be_decoded_is_left_out():
    digit = thumbnail(np.zeros((8, 8, 1), np.uint8))
    assert digit.startswith("data:image/jpeg;base64,/9j/")
    assert len(thumbnail(np.full((2000, 1000, 3), 128, np.uint8))) < 8000
    assert thumbnail(np.frombuffer(b"no image", np.uint8)) == ""


def test_a_page_that_cannot_be_written_is_a_mistake_of_one_line(tmp_path):
    with pytest.raises(UserError) as caught:
        write_page(tmp_path / "missing" / "report.html", "")
    assert str(caught.value).endswith("(No such file or directory): choose another folder")
