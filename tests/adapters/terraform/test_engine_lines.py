"""Bytes into lines, and the tail that is kept."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.terraform.lines import LINE_LIMIT, TAIL_LIMIT, TAIL_NOTICE, LineSplitter, Tail


def split(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.finish()


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a\n\nb"], ["a", "", "b"]),
        ([b"a\r\nb\r", b"\nc"], ["a", "b", "c"]),
        ([b"10%\r20%\r30%\n"], ["10%", "20%", "30%"]),
        ([b"gr\xc3", b"\xbcn\n"], ["gr\u00fcn"]),
        ([b"bad \xff byte\n"], ["bad \ufffd byte"]),
        ([b"\x1b[31mred\x1b[0m\n"], ["\x1b[31mred\x1b[0m"]),
        ([], []),
    ],
)
def test_lines_end_however_a_program_ends_them(chunks: list[bytes], lines: list[str]) -> None:
    assert split(*chunks) == lines


@given(st.lists(st.binary(max_size=40)))
def test_how_the_bytes_are_cut_into_chunks_makes_no_difference(chunks: list[bytes]) -> None:
    assert split(*chunks) == split(b"".join(chunks))


@given(st.binary(max_size=200))
def test_nothing_but_line_ends_is_lost(data: bytes) -> None:
    text = re.sub("\r\n?", "\n", data.decode(errors="replace"))
    assert split(data) == text.removesuffix("\n").split("\n") if text else split(data) == []


def test_an_overlong_line_is_cut_with_a_notice_once_and_the_next_one_is_whole() -> None:
    lines = split(b"x" * LINE_LIMIT, b"y" * 10, b"z" * 10, b"\nnext\n")
    assert len(lines) == 2
    assert lines[0].startswith("x" * LINE_LIMIT + " [prbot: the rest of this line is left out")
    assert lines[1] == "next"


def test_a_line_of_just_the_limit_is_whole() -> None:
    assert split(b"x" * LINE_LIMIT + b"\n") == ["x" * LINE_LIMIT]


def test_the_tail_keeps_all_of_a_short_output() -> None:
    tail = Tail()
    tail.add(b"one\r\n")
    tail.add(b"two")
    assert tail.text() == "one\ntwo"


def test_the_tail_of_a_long_output_begins_with_a_notice_and_a_whole_line() -> None:
    tail = Tail()
    line = b"0123456789" * 10 + b"\n"
    for _ in range(2 * TAIL_LIMIT // len(line) // 1000):
        tail.add(line * 1000)
    tail.add(b"the end\n")
    text = tail.text()
    assert text.startswith(TAIL_NOTICE + "0123456789" * 10 + "\n")
    assert text.endswith("\nthe end\n")
    assert TAIL_LIMIT - len(line) <= len(text.removeprefix(TAIL_NOTICE)) <= TAIL_LIMIT
