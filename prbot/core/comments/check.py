"""The plan as the page of a check run: the table above, the diffs below, each as long as GitHub lets it be."""

from __future__ import annotations

from prbot.core.comments.blocks import Document
from prbot.core.comments.split import page
from prbot.core.pulls import CHECK_LIMIT


def check_page(document: Document, pull_url: str) -> tuple[str, str]:
    """The summary and the text of a document's page; where one is too small, it says that the rest is at `pull_url`.

    The document's first section is the summary; the text may be empty.
    """
    comments = f"[the pull request's comments]({pull_url})" if pull_url else "the pull request's comments"
    more = f"*This is not all: a page of GitHub's holds no more. The whole plan is in {comments}.*"
    return page(document[:1], CHECK_LIMIT, more), page(document[1:], CHECK_LIMIT, more)
