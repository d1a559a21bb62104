"""What is typed, marked within a sentence and found again."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.core.marks import marked, parted


@given(st.text(st.sampled_from("`a b"), min_size=1).filter(str.strip), st.text(st.sampled_from("a b")))
def test_what_is_marked_is_found_again(text: str, around: str) -> None:
    assert parted(f"{around}x {marked(text)} x{around}") == [f"{around}x ", text, f" x{around}"]


@pytest.mark.parametrize(
    ("sentence", "pieces"),
    [
        ("", [""]),
        ("no ` mark", ["no ` mark"]),
        ("`a` and ``b`c``", ["", "a", " and ", "b`c", ""]),
        ("`` a ` b", ["`` a ` b"]),
        ("`a``b`", ["", "a``b", ""]),
    ],
)
def test_marks_are_those_of_markdown(sentence: str, pieces: list[str]) -> None:
    assert parted(sentence) == pieces


def test_a_long_text_of_nothing_but_marks_takes_no_time() -> None:
    text = "".join("`" * (1 + number % 250) + "a" for number in range(3000))
    begun = time.monotonic()
    parted(text)
    assert time.monotonic() - begun < 1
