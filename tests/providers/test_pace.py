"""How often an answer is read on: at first as it comes, and what flows behind it fifty times a second."""

import time
from itertools import pairwise

from app.providers.streamed_reply import PACE, UNPACED
from tests.providers.conftest import Vendor
from tests.support.crowding import patient
from tests.support.replies import asking


def test_what_flows_is_read_at_a_pace_that_its_beginning_does_not_wait_for(vendor: Vendor) -> None:
    came: list[tuple[float, str]] = []

    for text in vendor.stream(asking("[[tokens=200 delay=0.002]]")):
        came.append((time.monotonic(), text))

    moments = [moment for moment, _ in came]
    paced = moments[UNPACED + 2 : -1]
    gaps = [later - earlier for earlier, later in pairwise(paced)]
    assert (came[0][1], "".join(text for _, text in came).count("word")) == ("word0 ", 200)
    assert min(gaps) > PACE * 0.8
    assert len(came) < 60


def test_a_short_answer_waits_for_nothing(vendor: Vendor) -> None:
    began = time.monotonic()

    texts = list(vendor.stream(asking("[[tokens=8 delay=0.001]]")))

    assert len(texts) > 4
    assert time.monotonic() - began < patient(PACE * 4)


def test_text_that_comes_slower_than_the_pace_waits_for_nothing(vendor: Vendor) -> None:
    texts = list(vendor.stream(asking("[[tokens=5 delay=0.05]]")))

    assert texts == [f"word{n} " for n in range(5)]
