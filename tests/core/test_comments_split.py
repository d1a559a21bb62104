from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from prbot.core.comments.blocks import Block, Details, Document, Fence, Table, Text
from prbot.core.comments.split import LIMIT, SMALLEST_LIMIT, Marker, find_marker, marker, split
from prbot.core.comments.text import plain

MARKDOWN = MarkdownIt("commonmark").enable("table")


def fenced(body: str) -> str:
    """All that stands in fences, without line ends; fails if the structure around it is broken."""
    tokens = MARKDOWN.parse(body)
    tags = "".join(token.content for token in tokens if token.type == "html_block")
    assert len(re.findall("<details", tags)) == len(re.findall("</details>", tags))
    assert not any(token.type == "code_block" for token in tokens)
    return "".join(token.content for token in tokens if token.type == "fence").replace("\n", "")


# -- markers ----------------------------------------------------------------------------------------------------------
def test_a_marker_is_found_again() -> None:
    assert find_marker(marker("plan:01J.x/y", 3) + "\ntext") == Marker("plan:01J.x/y", 3)
    assert find_marker(marker("plan") + "\r\ntext") == Marker("plan", 1)
    assert find_marker(marker("plan")) == Marker("plan", 1)


@pytest.mark.parametrize("before", [" ", "\n", "> ", "text\n", "```\n", "\ufeff"])
def test_a_marker_counts_as_the_very_first_line_only(before: str) -> None:
    assert find_marker(before + marker("plan")) is None


@pytest.mark.parametrize("after", ["x", " -->", "<!-- -->"])
def test_a_marker_stands_alone_on_its_line(after: str) -> None:
    assert find_marker(marker("plan") + after) is None


@pytest.mark.parametrize("key", ["", "a b", "a-->", "-a", "a\n", "x" * 121])
def test_a_key_that_would_not_be_found_again_is_a_mistake(key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        marker(key)


# -- parts ------------------------------------------------------------------------------------------------------------
def test_what_fits_is_one_comment_without_a_word_about_parts() -> None:
    document: Document = ((Text("## Title\n\nBody"), Fence("x = 1", "hcl")), (Text("End"),))
    assert split("plan", document) == ["<!-- prbot:plan part=1 -->\n## Title\n\nBody\n\n```hcl\nx = 1\n```\n\nEnd"]


def test_an_empty_document_is_one_comment_still() -> None:
    assert split("plan", ()) == [marker("plan")]


def test_parts_say_which_they_are_and_close_what_they_open() -> None:
    lines = "\n".join(f"+ line {number}" for number in range(3_000))
    parts = split("plan", ((Details("<code>net</code>", (Fence(lines, "diff"),)),),), limit=10_000)
    assert [find_marker(part) for part in parts] == [Marker("plan", number + 1) for number in range(len(parts))]
    assert len(parts) == 4
    for number, part in enumerate(parts, start=1):
        assert "<details><summary><code>net</code></summary>\n\n```diff\n+ line" in part
        assert "\n```\n\n</details>" in part
        assert (f"*Part {number} of 4, continued from the comment before.*" in part) == (number > 1)
        assert (f"*Part {number} of 4; the next comment goes on.*" in part) == (number < 4)


def test_a_section_that_fits_into_the_next_comment_is_not_parted() -> None:
    section = (Text("### a"), Fence("x\n" * 2_500))
    parts = split("plan", (section, section), limit=9_000)
    assert [part.count("### a") for part in parts] == [1, 1]
    assert all(fenced(part) == "x" * 2_500 for part in parts)


def test_a_table_that_goes_on_has_its_header_again() -> None:
    rows = tuple((f"`row{number}`", "x" * 100) for number in range(200))
    parts = split("plan", ((Table(("Name", "What"), rows, frozenset({1})),),), limit=9_000)
    assert len(parts) > 2
    assert all("\n| Name | What |\n| :-- | --: |\n| `row" in part for part in parts)
    assert re.findall(r"`(row\d+)`", "".join(parts)) == [f"row{number}" for number in range(200)]


def test_the_limit_is_counted_in_bytes() -> None:
    parts = split("plan", ((Fence("│" * 60_000),),))
    assert len(parts) == 3
    assert all(len(part.encode()) <= LIMIT for part in parts)


def test_one_enormous_line_is_parted_between_characters() -> None:
    line = "ä🙂" * 10_000
    parts = split("plan", ((Fence(line),),), limit=SMALLEST_LIMIT)
    assert "".join(map(fenced, parts)) == line


def test_an_enormous_line_of_our_own_becomes_a_fence_so_that_its_marks_stay_whole() -> None:
    text, cell = f"`{'y' * 9_000}`", f"`{'x' * 9_000}`"
    parts = split("plan", ((Text(f"before\n{text}\nafter"), Table(("a", "b"), ((cell, "end"),))),), SMALLEST_LIMIT)
    assert "".join(map(fenced, parts)) == f"{text}| {cell} | end |"
    assert any("\nafter" in part for part in parts)


def test_a_fence_is_longer_than_any_run_of_backticks_in_it() -> None:
    [part] = split("plan", ((Fence("```\nprbot apply\n`````\n"),),))
    assert "\n``````\n```\nprbot apply\n`````\n``````" in part
    [many] = split("plan", ((Fence("`" * 500),),))
    assert fenced(many) == "`" * 500


def test_a_limit_that_could_not_hold_a_line_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="too small"):
        split("plan", (), limit=SMALLEST_LIMIT - 1)


FRAGMENT = st.sampled_from(
    ["`", "```", "~~~~", "\n", "\n\n", "<!--", "-->", "</details>", "<details>", "| a |", "    ", "> ", "é🙂", "\u202e"]
)  # fmt: skip
CONTENT = st.lists(FRAGMENT | st.text(max_size=3), max_size=12).map("".join)
BIG = st.builds(lambda text, times: text * times, CONTENT, st.sampled_from([1, 1, 1, 2, 40, 800]))
FENCES = st.builds(Fence, BIG, st.sampled_from(["", "diff"]))
OTHERS = st.builds(
    lambda lines: Text("\n".join(lines)), st.lists(st.from_regex("[a-z ]{1,40}", fullmatch=True), max_size=90)
)
TABLES = st.integers(1, 120).map(lambda count: Table(("h", "i"), (("`a`", "b" * 40),) * count))
DETAILS = st.builds(
    lambda fences, is_open: Details("<code>s</code>", tuple(fences), is_open),
    st.lists(FENCES, max_size=3),
    st.booleans(),
)
DOCUMENTS = st.lists(st.lists(FENCES | OTHERS | TABLES | DETAILS, max_size=4).map(tuple), max_size=4).map(tuple)


def contents(blocks: tuple[Block, ...]) -> str:
    found = ""
    for block in blocks:
        if isinstance(block, Fence) and plain(block.content).strip():  # what shows as nothing makes no fence
            found += plain(block.content)
        elif isinstance(block, Details):
            found += contents(block.blocks)
    return found.replace("\n", "")


@settings(max_examples=50, deadline=None)
@example(((Fence("    \x1b"),),), SMALLEST_LIMIT)
@given(DOCUMENTS, st.integers(SMALLEST_LIMIT, 20_000))
def test_nothing_is_lost_and_every_part_is_whole(document: Document, limit: int) -> None:
    parts = split("plan:1", document, limit)
    assert all(len(part.encode()) <= limit for part in parts)
    assert "".join(map(fenced, parts)) == "".join(map(contents, document))
    assert [find_marker(part) for part in parts] == [Marker("plan:1", number + 1) for number in range(len(parts))]
    rows = sum(len(block.rows) for section in document for block in section if isinstance(block, Table))
    assert sum(part.count("| `a` | ") for part in parts) >= rows
