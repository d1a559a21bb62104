"""Whatever a pull request makes prbot print: it stays text."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from prbot.core.commands import Command, CommandError, parse
from prbot.core.comments import replies
from prbot.core.comments.apply import AppliedProject, ApplyView, apply_document
from prbot.core.comments.blocks import Document
from prbot.core.comments.plan import Lock, PlannedProject, PlanView, plan_document
from prbot.core.comments.split import Marker, find_marker, marker, split
from prbot.core.comparison import EntryDifference
from prbot.core.gates import Gate
from prbot.core.ids import ProjectKey
from prbot.core.plans import Counts
from prbot.core.projects import Orphan
from prbot.core.refusals import Refusal
from prbot.core.runs import RunStatus
from prbot.core.wanted import NoSuchProject

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])

FRAGMENTS = (
    *("prbot apply", "terraform plan", "@eve", "@acme/all", "#99", "GH-99", "@", "#", " ", "x", "\n", "\r"),
    *(
        "`",
        "```",
        "````\n",
        "~~~",
        "|",
        "|--|",
        "\\",
        "\\|",
        "> ",
        "- ",
        "1. ",
        "# ",
        "    ",
        "---",
        "===",
        "*",
        "_",
        "~~",
    ),
    *("<!--", "-->", "</details>", "</summary>", "</code>", "<script>", "<b>", "&lt;", "$", ":", marker("plan:1")),
    *("[x](https://e.example)", "![i](u)", "[a]: /u", "https://e.example", "www.e.example"),
    *("\u202e", "\u200b", "\x1b[31m", "\x00", "\ud800"),
)
HOSTILE = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=8).map("".join)
TEXTS = st.lists(HOSTILE, max_size=2).map(tuple)
STATUS = st.sampled_from(RunStatus)
COUNTS = st.builds(Counts, st.integers(0, 2), st.integers(0, 2))
KEYS = st.builds(ProjectKey, st.just("acme/infra"), HOSTILE, HOSTILE)

LOCKS = st.sampled_from([None, Lock(), Lock(12, 1)])
PRINTS = st.sampled_from(["", "k1:7f3a9c21"])
PLANNED = st.builds(
    PlannedProject, KEYS, STATUS, COUNTS, PRINTS, LOCKS, st.booleans(), HOSTILE, HOSTILE, HOSTILE, HOSTILE, TEXTS
)
PLAN = st.builds(
    PlanView, HOSTILE, HOSTILE, HOSTILE, st.lists(PLANNED, max_size=2).map(tuple),
    st.lists(st.builds(Refusal, HOSTILE, HOSTILE, HOSTILE), max_size=1).map(tuple),
    st.lists(st.builds(Orphan, HOSTILE, st.none() | HOSTILE), max_size=1).map(tuple), st.just(()), TEXTS,
)  # fmt: skip
DIFFERENCE = st.builds(EntryDifference, HOSTILE, st.none() | HOSTILE, HOSTILE, TEXTS, TEXTS)
APPLIED = st.builds(
    AppliedProject, KEYS, STATUS, COUNTS, st.none() | st.floats(0, 9999), HOSTILE, HOSTILE, HOSTILE, HOSTILE,
    st.lists(DIFFERENCE, max_size=2).map(tuple), st.just("k1:7f3a9c21"), HOSTILE,
)  # fmt: skip
APPLY = st.builds(ApplyView, HOSTILE, HOSTILE, st.lists(APPLIED, max_size=2).map(tuple), TEXTS)
GATES = st.builds(Gate, st.just("approved"), st.booleans(), HOSTILE, HOSTILE, TEXTS)

DOCUMENTS: st.SearchStrategy[Document] = st.one_of(
    PLAN.map(plan_document),
    APPLY.map(apply_document),
    st.builds(replies.conflict, HOSTILE, HOSTILE, st.lists(HOSTILE, max_size=3)),
    st.lists(GATES, max_size=2).map(lambda gates: replies.gates(gates)),
    st.builds(replies.refused, HOSTILE, HOSTILE, HOSTILE),
    st.lists(st.builds(CommandError, HOSTILE, HOSTILE, HOSTILE), max_size=2).map(replies.command_errors),
    st.builds(NoSuchProject, HOSTILE, TEXTS).map(replies.no_such_project),
    st.builds(replies.version_reply, HOSTILE, HOSTILE),
    st.lists(st.builds(replies.Freed, HOSTILE, st.none() | st.just(12)), max_size=2).map(replies.unlocked),
    st.builds(replies.nothing_affected, HOSTILE),
    st.builds(replies.notice, HOSTILE, st.lists(HOSTILE, min_size=1, max_size=2)),
)

OUR_HTML = re.compile(
    r"(?:<!-- prbot:k part=\d+ -->|<details(?: open)?><summary><code>[^<>]*</code>[^<>@#]*</summary>|</details>)\n?"
)
OUR_NUMBERS = re.compile(r"#12\b")


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS)
def test_nothing_of_anybodys_text_comes_alive_in_a_comment(document: Document) -> None:
    for body in split("k", document):
        tokens = MARKDOWN.parse(body)
        assert all(OUR_HTML.fullmatch(token.content) for token in tokens if token.type == "html_block")
        for inline in (token for token in tokens if token.type == "inline"):
            visible, in_code = "", False
            for child in inline.children or ():
                assert child.type not in ("link_open", "image", "s_open", "em_open")
                if child.type == "html_inline":
                    assert child.content in ("<code>", "</code>")
                    in_code = child.content == "<code>"
                elif child.type in ("text", "text_special") and not in_code:
                    visible += child.content
                else:
                    visible += "\n"
            visible = OUR_NUMBERS.sub("", visible)
            assert not re.search(r"@[A-Za-z0-9]|#[0-9]|GH-[0-9]|https?://[^\n]|www\.[^\n]", visible, re.IGNORECASE)
        assert not re.search("[\u202e\u200b\x1b\x00]", body)
        body.encode()


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS)
def test_no_comment_of_prbot_is_a_command_whatever_is_in_it(document: Document) -> None:
    for number, body in enumerate(split("k", document), start=1):
        found = parse(body, prefixes=("prbot", "terraform"), bot="eve")
        assert not any(isinstance(each, Command) for each in found)
        assert find_marker(body) == Marker("k", number)


@given(HOSTILE)
def test_a_marker_in_anybodys_text_is_not_the_comments(text: str) -> None:
    [body] = split("k", replies.notice("Title", [marker("plan:1") + text]))
    assert find_marker(body) == Marker("k", 1)
