from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from prbot.core.comments.text import code, html_code, listed, mention, person, plain, plural, prose

ANY = st.text() | st.lists(st.sampled_from("`|\\<>*_~[]()!&#@$\n\r\t \u202e\x1b\ud800a1-+.:/'\"")).map("".join)


def shown(markdown: str) -> str:
    """What a reader sees of one line, taken for a table's cell."""
    tokens = MarkdownIt("commonmark").enable("table").parse(f"| h | i |\n|---|---|\n| {markdown} | end |")
    cells = [token for token in tokens if token.type == "inline"]
    assert [cell.content for cell in cells[:2]] == ["h", "i"]
    assert cells[3].content == "end"
    return "".join(child.content for child in cells[2].children or () if child.type in ("text", "code_inline"))


def test_colours_and_control_characters_go_and_line_ends_are_one_kind() -> None:
    assert plain("\x1b[1m\x1b[31mred\x1b[0m\x00\x07\r\nnext\rlast\tend\x9b") == "red\nnext\nlast\tend"


def test_invisible_characters_are_spelled_out() -> None:
    assert plain("a\u202eb\u200bc\u2066d") == "a⟨U+202E⟩b⟨U+200B⟩c⟨U+2066⟩d"


def test_text_hidden_in_a_terminal_sequence_stays_visible() -> None:
    assert "evil" in plain("\x1b]0;evil\x07")


def test_half_a_character_does_not_break_the_encoding() -> None:
    assert plain("\ud800").encode() == "\N{REPLACEMENT CHARACTER}".encode()


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("net/prod", "`net/prod`"),
        ('x["*a*"]', '`x["*a*"]`'),
        ("a\nb", "`a b`"),
        ("a`b", "<code>a&#96;b</code>"),
        ("a|b", "<code>a&#124;b</code>"),
        ("", "<code>&#34;&#34;</code>"),
    ],
)
def test_code_is_a_span_where_a_span_can_hold_it(text: str, markdown: str) -> None:
    assert code(text) == markdown


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("Type `prbot plan` again.", "Type `prbot plan` again."),
        ("@bo and @acme/team", "`@bo` and `@acme/team`"),
        ("see #12, GH-7", "see `#12`, `GH-7`"),
        ("go to https://example.com/x now", "go to `https://example.com/x` now"),
        ("*a* _b_ [c](d) <e>", "\\*a\\* \\_b\\_ \\[c\\](d) &lt;e&gt;"),
        ("a|b & $c$", "a&#124;b &amp; &#36;c&#36;"),
        ("an odd ` tick", "an odd &#96; tick"),
        ("type ``a`b`` or `` `c` ``", "type <code>a&#96;b</code> or <code>&#96;c&#96;</code>"),
        ("- x", "\\- x"),
        ("# x", "\\# x"),
        ("1. x", "1\\. x"),
        ("two\nlines", "two lines"),
    ],
)
def test_prose_keeps_code_and_loses_every_other_power(text: str, markdown: str) -> None:
    assert prose(text) == markdown


@given(ANY)
def test_code_shows_its_text_and_nothing_else_in_a_cell(text: str) -> None:
    assert shown(code(text)).split() == (plain(text).split() or ['""'])


@given(ANY)
def test_prose_makes_no_mark_up_but_code(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(prose(text))
    assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close"}
    kinds = {child.type for token in tokens for child in token.children or ()}
    html = {child.content for token in tokens for child in token.children or () if child.type == "html_inline"}
    assert kinds <= {"text", "code_inline", "html_inline", "text_special"}
    assert html <= {"<code>", "</code>"}


@given(ANY)
def test_code_in_html_holds_no_mark_up(text: str) -> None:
    inner = html_code(text).removeprefix("<code>").removesuffix("</code>")
    assert not set("<>\"'\n") & set(inner)


def test_long_code_in_html_shows_that_its_middle_is_missing() -> None:
    assert html_code("a" * 500 + "z") == f"<code>{'a' * 60} … {'a' * 59}z</code>"


def test_only_a_login_is_ever_called() -> None:
    assert (mention("bo"), person("bo")) == ("@bo", "`@bo`")
    assert mention("bo and @everybody") == "`@bo and @everybody`"


def test_lists_and_numbers_read_as_english() -> None:
    assert [listed(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert (plural(1, "project"), plural(0, "project")) == ("1 project", "0 projects")
