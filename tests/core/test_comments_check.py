"""The page of a check run: as much of a plan as GitHub takes there, and a word where that is not all."""

from __future__ import annotations

from prbot.core.comments.blocks import Details, Document, Fence, Table, Text
from prbot.core.comments.check import check_page
from prbot.core.pulls import CHECK_LIMIT

URL = "https://github.example/acme/infra/pull/7"


def document(rows: int, lines: int) -> Document:
    table = Table(("Project", "Result"), tuple((f"`net/{number}`", "planned") for number in range(rows)))
    diff = Fence("\n".join(f"+ line {number} ü" for number in range(lines)), "diff")
    return ((Text("## Plan"), table), (Details("net", (diff,)),), (Text("What to do next."),))


def test_the_table_is_the_summary_and_the_diffs_are_the_text() -> None:
    summary, text = check_page(document(2, 3), URL)
    assert summary.startswith("## Plan")
    assert summary.endswith("| `net/1` | planned |")
    assert "+ line 2 ü" in text
    assert text.endswith("What to do next.")
    assert URL not in summary + text


def test_a_page_that_is_too_small_says_where_the_rest_is_and_leaves_nothing_open() -> None:
    for page in check_page(document(5_000, 10_000), URL):
        assert CHECK_LIMIT - 1_000 < len(page.encode()) <= CHECK_LIMIT
        assert page.endswith(f"The whole plan is in [the pull request's comments]({URL}).*")
        assert page.count("```") % 2 == 0
        assert page.count("<details>") == page.count("</details>")


def test_nothing_to_show_is_an_empty_page() -> None:
    assert check_page((), URL) == ("", "")
